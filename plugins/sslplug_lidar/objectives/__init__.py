"""Objectives of the lidar plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.objectives.chamfer import CHAMFER

OBJECTIVES: Mapping[str, Component] = MappingProxyType({"chamfer": CHAMFER})

__all__ = ["OBJECTIVES"]
