"""Judging measured tasks: the plugin's own measure on trained and untrained embeddings, beside its baselines."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sslplug.contracts import Measured, MeasuredTask
from sslplug.errors import DataError
from sslplug.evaluation.columns import level_of
from sslplug.evaluation.judging import Judging
from sslplug.evaluation.paired import means_without, row_groups
from sslplug.evaluation.score import Score, only_split

PROBE = "measured"
"""The probe's name in scores of embeddings; baselines go by their own name, on features "raw"."""


def judge_measured(task: MeasuredTask, judging: Judging) -> list[Score]:
    """Every score of a measured task: the mean over its cases, of the pretrained encoder, the untrained one, the baselines.

    Raises DataError where a measure gives other metrics than the task names, numbers that are not finite, or other cases than
    its groups or the pretrained encoder's.
    """
    scores: list[Score] = []
    cases = 0
    for name, levels in judging.features.items():
        level_of(task.name, task.level, name, levels)
        found = _measured(task, PROBE, name, lambda levels=levels: task.measure(levels), judging.seed, cases)  # type: ignore[misc]
        scores, cases = scores + found, found[0].test
    for name, baseline in task.baselines.items() if judging.options.controls else ():
        scores += _measured(task, name, "raw", baseline, judging.seed, cases)
    first = [score for score in scores if score.metric == next(iter(task.metrics))]
    told = ", ".join(f"{score.probe} on {score.features} {score.value:.4f}" for score in first)
    judging.announce(f"{task.name}: {first[0].metric}, {told}")
    return scores


def _measured(
    task: MeasuredTask, probe: str, features: str, measure: Callable[[], Measured], seed: int, cases: int
) -> list[Score]:
    """Measure once. ``cases`` of the primary metric are expected, unless it is 0."""
    began = time.perf_counter()
    values = {name: np.asarray(array, dtype=np.float64) for name, array in measure().items()}
    seconds = time.perf_counter() - began
    where = f"Task {task.name!r}, {probe} on {features}"
    if set(values) != set(task.metrics):
        raise DataError(f"{where}: measured {', '.join(sorted(values))}; expected {', '.join(sorted(task.metrics))}.")
    for name, array in values.items():
        if array.ndim != 1 or not len(array):
            raise DataError(f"{where}: {name} is {array.shape}; expected one number a case, (cases,).")
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            raise DataError(f"{where}: {name} is not finite in {len(bad)} of {len(array)} cases, first case {bad[0]}.")
    primary = values[next(iter(task.metrics))]
    if cases and len(primary) != cases:
        raise DataError(
            f"{where}: {len(primary)} cases; the pretrained encoder was measured on {cases}. Use the same cases."
        )
    if task.groups is not None and len(primary) != len(task.groups):
        raise DataError(f"{where}: {len(primary)} cases for {len(task.groups)} groups; expected as many.")
    group = row_groups(np.arange(len(primary)) if task.groups is None else task.groups)
    return [
        Score(
            task.name,
            task.protocol,
            probe,
            features,
            metric,
            1.0,
            only_split(task.drawn, seed),
            float(values[metric].mean()),
            seconds,
            higher,
            seed,
            0,
            len(primary),
            () if place else means_without(primary, group),
        )
        for place, (metric, higher) in enumerate(task.metrics.items())
    ]
