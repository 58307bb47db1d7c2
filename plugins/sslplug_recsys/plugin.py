"""The table of contents of the recsys plugin; the entry point ``recsys`` names this constant.

Tables are kept sorted, one entry a line.
"""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_recsys.data import DATA

PLUGIN = Plugin(
    name="recsys",
    api=API,
    summary="recommendation: item towers, collaborative filtering on graphs, sequences; and your own interactions",
    data=DATA,
    views={},
    encoders={},
    decoders={},
    objectives={},
    methods={},
    default_recipe="towers-tastes",
    recipes="sslplug_configs.recsys",
    traits=frozenset(),
)
