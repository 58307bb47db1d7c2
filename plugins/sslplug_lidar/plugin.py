"""The table of contents of the lidar plugin; the entry point ``lidar`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_lidar.data import DATA
from sslplug_lidar.decoders import DECODERS
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.group_levels import with_groups
from sslplug_lidar.methods import METHODS
from sslplug_lidar.objectives import OBJECTIVES
from sslplug_lidar.views import VIEWS

PLUGIN = Plugin(
    name="lidar",
    api=API,
    summary="point clouds: objects, spinning-sensor sweeps and their motion, radar points, and your own",
    data=DATA,
    views=VIEWS,
    encoders={name: with_groups(encoder) for name, encoder in ENCODERS.items()},
    decoders=DECODERS,
    objectives=OBJECTIVES,
    methods=METHODS,
    default_recipe="simclr-objects",
    recipes="sslplug_configs.lidar",
    traits=frozenset({"labels"}),
)
