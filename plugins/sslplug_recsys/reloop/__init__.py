"""ReLoop2: a memory of recent errors corrects a click model that drifts, without retraining (Zhu et al., KDD 2023).

    memory = ErrorMemory(width, tables=20, bits=10, rng=Rng.root(0))
    outcome = replay(events, score, memory=memory, blend=Blend(strength=0.4))
    report(events, outcome)                                   # AUC and gAUC of the model and of the corrected model

``score`` is any model: a function of events (without labels) that gives probabilities (n,) and keys (n, d).
"""

from __future__ import annotations

from sslplug_recsys.reloop.click_model import ClickModel, ClickOptions, train_clicks
from sslplug_recsys.reloop.events import Clicks, movielens_clicks
from sslplug_recsys.reloop.memory import Blend, ErrorMemory
from sslplug_recsys.reloop.metrics import auc, grouped_auc
from sslplug_recsys.reloop.replay import Outcome, replay, report
from sslplug_recsys.reloop.stream import DriftOptions, drifting_clicks

__all__ = [
    "Blend",
    "ClickModel",
    "ClickOptions",
    "Clicks",
    "DriftOptions",
    "ErrorMemory",
    "Outcome",
    "auc",
    "drifting_clicks",
    "grouped_auc",
    "movielens_clicks",
    "replay",
    "report",
    "train_clicks",
]
