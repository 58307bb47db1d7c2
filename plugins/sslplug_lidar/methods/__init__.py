"""Methods of the lidar plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.methods.one_way import ONE_WAY
from sslplug_lidar.methods.segment_points import SEGMENT_POINTS

METHODS: Mapping[str, Component] = MappingProxyType({"one_way": ONE_WAY, "segment_points": SEGMENT_POINTS})

__all__ = ["METHODS"]
