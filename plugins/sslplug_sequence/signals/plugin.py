"""The table of contents of the wearable plugin; the entry point ``wearable`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_sequence.signals.data import DATA
from sslplug_sequence.signals.decoders import DECODERS
from sslplug_sequence.signals.encoders import ENCODERS
from sslplug_sequence.signals.methods import METHODS
from sslplug_sequence.signals.views import VIEWS

PLUGIN = Plugin(
    name="wearable",
    api=API,
    summary="wearables and other regularly sampled signals: activity recordings, several devices, series benchmarks, your own",
    data=DATA,
    views=VIEWS,
    encoders=ENCODERS,
    decoders=DECODERS,
    methods=METHODS,
    default_recipe="simclr-gait",
    recipes="sslplug_configs.wearable",
    traits=frozenset({"labels"}),
)
