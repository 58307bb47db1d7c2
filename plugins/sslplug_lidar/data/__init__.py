"""The lidar plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.data import generated

DATA: Mapping[str, Component] = MappingProxyType(
    {
        "objects": Component(
            generated.ObjectOptions,
            generated.build_objects,
            "generated: single things cut from simulated sweeps, eight classes",
        ),
        "street": Component(
            generated.StreetOptions,
            generated.build_street,
            "generated: drives through a city, consecutive sweeps with per-point classes, poses and flow",
        ),
    }
)

__all__ = ["DATA"]
