"""The table of contents of the lidar plugin; the entry point ``lidar`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_lidar.data import DATA
from sslplug_lidar.decoders import DECODERS
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.flow import ENCODERS as FLOW_ENCODERS
from sslplug_lidar.flow import METHODS as FLOW_METHODS
from sslplug_lidar.flow import VIEWS as FLOW_VIEWS
from sslplug_lidar.group_levels import with_groups
from sslplug_lidar.methods import METHODS
from sslplug_lidar.motion_tasks import with_motion_tasks
from sslplug_lidar.objectives import OBJECTIVES
from sslplug_lidar.places import PLACES
from sslplug_lidar.views import VIEWS

PLUGIN = Plugin(
    name="lidar",
    api=API,
    summary="point clouds: objects, spinning-sensor sweeps and their motion, radar points, and your own",
    data={**{name: with_motion_tasks(name, data) for name, data in DATA.items()}, **PLACES},
    views={**VIEWS, **FLOW_VIEWS},
    encoders={name: with_groups(encoder) for name, encoder in {**ENCODERS, **FLOW_ENCODERS}.items()},
    decoders=DECODERS,
    objectives=OBJECTIVES,
    methods={**METHODS, **FLOW_METHODS},
    default_recipe="simclr-objects",
    recipes="sslplug_configs.lidar",
    traits=frozenset({"labels", "beats-untrained"}),
)
