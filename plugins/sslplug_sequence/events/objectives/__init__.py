"""Objectives of the events plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_sequence.events.objectives.coles import COLES
from sslplug_sequence.events.objectives.fields import FIELDS

OBJECTIVES: Mapping[str, Component] = MappingProxyType({"coles": COLES, "fields": FIELDS})
