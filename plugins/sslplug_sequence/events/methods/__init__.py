"""Methods of the events plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_sequence.events.methods.cpc import CPC
from sslplug_sequence.events.methods.hybrid import HYBRID
from sslplug_sequence.events.methods.reconstruction import RECONSTRUCTION

METHODS: Mapping[str, Component] = MappingProxyType({"cpc": CPC, "reconstruction": RECONSTRUCTION, "hybrid": HYBRID})
