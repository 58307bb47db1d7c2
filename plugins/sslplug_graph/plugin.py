"""The table of contents of the graph plugin; the entry point ``graph`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_graph.data import DATA
from sslplug_graph.encoders import DECODERS, ENCODERS
from sslplug_graph.views import VIEWS

PLUGIN = Plugin(
    name="graph",
    api=API,
    summary="graphs: citation, co-purchase and co-author networks, molecules, proteins, and your own",
    data=DATA,
    views=VIEWS,
    encoders=ENCODERS,
    decoders=DECODERS,
    default_recipe="grace-digits",
    recipes="sslplug_configs.graph",
    # Batches share the graph's tensors: copying a graph every step would cost more than many a step, and no view writes.
    traits=frozenset({"labels", "shared-batches"}),
)
