"""The table of contents of the recsys plugin; the entry point ``recsys`` names this constant.

Tables are kept sorted, one entry a line.
"""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_recsys.collaborative import COLLABORATIVE_ENCODERS, COLLABORATIVE_METHODS, COLLABORATIVE_VIEWS
from sslplug_recsys.data import DATA
from sslplug_recsys.relatedness import RELATEDNESS_DATA, RELATEDNESS_ENCODERS, RELATEDNESS_METHODS, RELATEDNESS_VIEWS
from sslplug_recsys.sequential import (
    SEQUENTIAL_DATA,
    SEQUENTIAL_ENCODERS,
    SEQUENTIAL_METHODS,
    SEQUENTIAL_OBJECTIVES,
    SEQUENTIAL_VIEWS,
)
from sslplug_recsys.towers import TOWER_ENCODERS, TOWER_METHODS, TOWER_VIEWS

PLUGIN = Plugin(
    name="recsys",
    api=API,
    summary="recommendation: item towers, collaborative filtering on graphs, sequences; and your own interactions",
    data={
        **DATA,
        **RELATEDNESS_DATA,
        **SEQUENTIAL_DATA,
    },
    views={
        **COLLABORATIVE_VIEWS,
        **RELATEDNESS_VIEWS,
        **SEQUENTIAL_VIEWS,
        **TOWER_VIEWS,
    },
    encoders={
        **COLLABORATIVE_ENCODERS,
        **RELATEDNESS_ENCODERS,
        **SEQUENTIAL_ENCODERS,
        **TOWER_ENCODERS,
    },
    decoders={},
    objectives={
        **SEQUENTIAL_OBJECTIVES,
    },
    methods={
        **COLLABORATIVE_METHODS,
        **RELATEDNESS_METHODS,
        **SEQUENTIAL_METHODS,
        **TOWER_METHODS,
    },
    default_recipe="towers-tastes",
    recipes="sslplug_configs.recsys",
    traits=frozenset(),
)
