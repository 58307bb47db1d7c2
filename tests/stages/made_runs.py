"""Scores of runs that were never trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sslplug.evaluation import Score

MakeRun = Callable[..., Path]
"""The fixture ``make_run``."""


def scored(
    model: str,
    value: float,
    seed: int = 0,
    split: int = 0,
    share: float = 1.0,
    task: str = "kind",
    wobble: float = 0.002,
    **more: Any,
) -> Score:
    """A score of "logistic on pretrained"; it moves by ``wobble`` up and down as groups of test rows are left out."""
    probe, _, features = model.partition(" on ")
    without = tuple(value + wobble * (-1) ** group for group in range(20))
    defaults = {"metric": "accuracy", "higher_is_better": True, "protocol": "given", "seconds": 0.5} | more
    return Score(
        task=task, probe=probe, features=features, fraction=share, split=split, value=value, seed=seed, train=round(100 * share),
        test=400, without=without, **defaults,
    )  # fmt: skip


def beside(seed: int, pretrained: float, untrained: float, trees: float, **more: Any) -> list[Score]:
    """The scores of one run of a task."""
    return [
        scored("logistic on pretrained", pretrained + 0.001 * seed, seed, **more),
        scored("logistic on untrained", untrained, seed, **more),
        scored("lightgbm on raw", trees, seed, **more),
        scored("lightgbm on both", trees + 0.001, seed, **more),
    ]
