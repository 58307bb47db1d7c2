"""Methods that the engine does not have, by the name a recipe uses."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component
from sslplug_sequence.signals.methods.clan import CLAN
from sslplug_sequence.signals.methods.collossl import COLLOSSL
from sslplug_sequence.signals.methods.cpc import CPC
from sslplug_sequence.signals.methods.ts2vec import TS2VEC
from sslplug_sequence.signals.methods.ts_tcc import TS_TCC

METHODS: Mapping[str, Component] = {
    "ts_tcc": TS_TCC,
    "ts2vec": TS2VEC,
    "cpc": CPC,
    "collossl": COLLOSSL,
    "clan": CLAN,
}
