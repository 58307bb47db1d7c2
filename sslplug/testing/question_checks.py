"""Checks of ranking and measured tasks: features of pairs stand by themselves, measures repeat and name what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sslplug.contracts import MeasuredTask, RankingTask, RawFeatures, tasks_of
from sslplug.errors import SslplugError
from sslplug.evaluation import EvaluateOptions
from sslplug.evaluation.judging import Judging
from sslplug.evaluation.measured import judge_measured
from sslplug.evaluation.trees import LightGbm, LightGbmOptions
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable

PAIRS = 200


def ranking_pairs(material: Material) -> str:
    """Raw features of pairs: a row a pair, never infinite, the same on another build, each pair's by itself.

    Mend: compute each pair from training interactions alone, NaN for a missing value.
    """
    ranked = {name: task for name, task in tasks_of(RankingTask, material.data.tasks).items() if task.pairs is not None}
    if not ranked:
        raise NotApplicable("no ranking task brings raw features of pairs.")
    again = tasks_of(RankingTask, material.again.tasks)
    generator = np.random.Generator(np.random.Philox(key=2))
    for name, task in ranked.items():
        query = generator.choice(task.parts["test"].queries, PAIRS)
        candidate = generator.integers(0, task.candidates, PAIRS)
        found = _values(task, query, candidate)
        if found.ndim != 2 or len(found) != PAIRS:
            return f"{name!r}: pairs of {PAIRS} queries and candidates is {found.shape}; expected ({PAIRS}, f)."
        if np.isinf(found).any():
            return f"{name!r}: pairs gave an infinity; expected finite numbers, NaN for a missing value."
        if not np.array_equal(_values(again[name], query, candidate), found, equal_nan=True):
            return f"{name!r}: pairs differ on a second build of the data; expected the same."
        order = generator.permutation(PAIRS)
        if not np.array_equal(_values(task, query[order], candidate[order]), found[order], equal_nan=True):
            return f"{name!r}: features of a pair depend on the pairs asked with it; expected each pair by itself."
    return ""


def _values(task: RankingTask, query: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The task's features of pairs, dense."""
    assert task.pairs is not None  # picked for it
    raw: RawFeatures = task.pairs(query, candidate)
    return raw.values if isinstance(raw.values, np.ndarray) else np.asarray(raw.values.toarray())


def measured(material: Material) -> str:
    """A measured task gives the metrics it names, finite, the same for the same embeddings; baselines judge the same cases.

    Mend: let measure depend on its argument alone, and give one number a case for every metric.
    """
    tasks = tasks_of(MeasuredTask, material.data.tasks)
    if not tasks:
        raise NotApplicable("this data has no measured task.")
    levels = material.rows.lend()
    trees = LightGbm(LightGbmOptions())
    judging = Judging({"pretrained": levels}, material.data.raw_features, [], trees, EvaluateOptions(), 0, lambda line: None)
    for name, task in tasks.items():
        try:
            scores = judge_measured(task, judging)
        except SslplugError as error:
            return str(error)
        again = {metric: float(np.mean(values)) for metric, values in task.measure(levels).items()}
        for score in scores:
            if score.features == "pretrained" and score.value != again[score.metric]:
                found = f"{score.metric} is {score.value}, then {again[score.metric]}"
                return f"{name!r}: {found}; expected one value for the same embeddings."
    return ""


CHECKS: Mapping[str, Callable[[Material], str]] = {"ranking-pairs": ranking_pairs, "measured": measured}
