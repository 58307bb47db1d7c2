"""The plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component

DATA: Mapping[str, Component] = MappingProxyType({})

__all__ = ["DATA"]
