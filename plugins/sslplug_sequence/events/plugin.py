"""The table of contents of the events plugin; the entry point ``events`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.encoders import DECODERS, ENCODERS
from sslplug_sequence.events.methods import METHODS
from sslplug_sequence.events.objectives import OBJECTIVES
from sslplug_sequence.events.views import VIEWS

PLUGIN = Plugin(
    name="events",
    api=API,
    summary="event sequences: transactions, intensive-care stays, system calls, point processes, and your own",
    data=DATA,
    views=VIEWS,
    encoders=ENCODERS,
    decoders=DECODERS,
    objectives=OBJECTIVES,
    methods=METHODS,
    default_recipe="coles-shoppers",
    recipes="sslplug_configs.events",
    traits=frozenset({"labels", "beats-untrained"}),
)
