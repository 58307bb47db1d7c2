"""Retrieval of places visited before: the task, a hand-made peer, and simulated drives that come back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.places import loop

PLACES: Mapping[str, Component] = MappingProxyType(
    {
        "loop": Component(
            loop.LoopOptions, loop.build, "generated: drives around a block, twice, with the task of knowing a place again"
        )
    }
)

__all__ = ["PLACES"]
