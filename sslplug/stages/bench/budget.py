"""How much a comparison may cost: recipes as they are, or a smaller run of each, cut by the same rule for every plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sslplug.evaluation import EvaluateOptions
from sslplug.recipe import Resolved
from sslplug.training.loop import TrainOptions
from sslplug.training.optim import OptimOptions

Budget = Literal["small", "full"]

SMALL_STEPS = 50
"""Most optimiser steps of a small run."""

SMALL_WARMUP = 10
"""Most steps of warm-up of a small run; a longer one would end before the rate is reached."""

SMALL_SPLITS = 1
"""Most splits of each task that a small run is judged on."""


def cuts(budget: Budget, resolved: Resolved) -> list[str]:
    """The overrides that bring a recipe down to the budget; only those that change something.

    full    none
    small   at most SMALL_STEPS optimiser steps, SMALL_WARMUP of them warm-up, and SMALL_SPLITS splits a task; of the label
            fractions the smallest and the largest, and beside one alone a tenth of it; no search for settings, no fine-tuning.
            LightGBM keeps its rounds: a control that was cut would flatter what it stands beside.
    """
    if budget == "full":
        return []
    train, optim, evaluate = (resolved.sections[section] for section in ("train", "optim", "evaluate"))
    assert isinstance(train, TrainOptions)  # the schema says so
    assert isinstance(optim, OptimOptions)
    assert isinstance(evaluate, EvaluateOptions)
    found = []
    if not 0 < train.max_steps <= SMALL_STEPS:
        found.append(f"train.max_steps={SMALL_STEPS}")
    if optim.warmup > SMALL_WARMUP:
        found.append(f"optim.warmup={SMALL_WARMUP}")
    if not 0 < evaluate.splits <= SMALL_SPLITS:
        found.append(f"evaluate.splits={SMALL_SPLITS}")
    known = sorted(set(evaluate.fractions))
    two = [known[0] if len(known) > 1 else known[0] / 10, known[-1]]
    if list(evaluate.fractions) != two:
        found.append(f"evaluate.fractions={json.dumps(two)}")
    if evaluate.finetune is not None:
        found.append("evaluate.finetune=null")
    rest = evaluate.model_dump(mode="json", exclude={"finetune"})
    return found + [f"{path}=0" for path in _searches(rest, "evaluate")]


def _searches(value: Any, path: str) -> Iterator[str]:
    """Where options named ``tune`` ask for a search of settings."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key == "tune" and isinstance(item, int) and item > 0:
            yield f"{path}.{key}"
        else:
            yield from _searches(item, f"{path}.{key}")
