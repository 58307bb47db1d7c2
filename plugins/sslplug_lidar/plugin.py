"""The table of contents of the lidar plugin; the entry point ``lidar`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin

PLUGIN = Plugin(
    name="lidar",
    api=API,
    summary="point clouds: objects, spinning-sensor sweeps and their motion, radar points, and your own",
    data={},
    views={},
    encoders={},
    default_recipe="simclr-objects",
    recipes="sslplug_configs.lidar",
    traits=frozenset({"labels"}),
)
