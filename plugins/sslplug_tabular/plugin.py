"""The table of contents of the tabular plugin; the entry point ``tabular`` names this constant."""

from __future__ import annotations

from sslplug.contracts import API, Plugin
from sslplug_tabular.data import DATA
from sslplug_tabular.decoders import DECODERS
from sslplug_tabular.encoders import ENCODERS
from sslplug_tabular.methods import METHODS
from sslplug_tabular.views import VIEWS

PLUGIN = Plugin(
    name="tabular",
    api=API,
    summary="tables: CSV, Parquet and Arrow files, frames and arrays, and named data sets",
    data=DATA,
    views=VIEWS,
    encoders=ENCODERS,
    decoders=DECODERS,
    methods=METHODS,
    default_recipe="mae",
    recipes="sslplug_configs.tabular",
    traits=frozenset({"labels", "beats-untrained", "missing-values", "words"}),
)
