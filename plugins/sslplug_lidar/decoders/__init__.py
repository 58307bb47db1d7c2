"""Decoders of the lidar plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.decoders import patches

DECODERS: Mapping[str, Component] = MappingProxyType(
    {"patches": Component(patches.PatchDecoderOptions, patches.build, "hidden patches from visible ones (Point-MAE)")}
)

__all__ = ["DECODERS"]
