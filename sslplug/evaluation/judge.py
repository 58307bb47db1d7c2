"""Judging frozen embeddings: each form of task by its own judge, all with the controls beside the pretrained encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sslplug.contracts import AnyTask, MeasuredTask, RankingTask, RawFeatures, Task
from sslplug.errors import UsageError
from sslplug.evaluation import measured
from sslplug.evaluation.clusters import KMeans
from sslplug.evaluation.judging import EvaluateOptions, Judging
from sslplug.evaluation.labelled import judge_labelled
from sslplug.evaluation.measured import judge_measured
from sslplug.evaluation.probe import Probe
from sslplug.evaluation.ranking import judge as ranking
from sslplug.evaluation.ranking.judge import judge_ranking
from sslplug.evaluation.ranking.metrics import headline
from sslplug.evaluation.score import Score

JUDGES: Mapping[type, Callable[[Any, Judging], list[Score]]] = {
    Task: judge_labelled,
    RankingTask: judge_ranking,
    MeasuredTask: judge_measured,
}
"""Form of task -> the function that judges it."""

UNLABELLED = (ranking.PROBE, measured.PROBE)
"""Probes that are fitted on no label, so that no share of the labels goes with their scores."""


def shown(probe: str, metrics: Sequence[str]) -> list[str]:
    """Which of a probe's metrics tables print, primary first: all of a measured task, the headline of a ranking, else the primary.

    >>> shown("logistic", ["accuracy", "macro_f1"]), shown("measured", ["error", "share"])
    (['accuracy'], ['error', 'share'])
    """
    if probe == measured.PROBE:
        return list(metrics)
    return headline(metrics) if probe == ranking.PROBE else list(metrics[:1])


def judge(
    tasks: Sequence[AnyTask],
    features: Mapping[str, Mapping[str, np.ndarray]],
    raw: Callable[[Task], RawFeatures],
    probes: Sequence[tuple[str, Probe | KMeans]],
    lightgbm: Probe,
    options: EvaluateOptions,
    seed: int,
    announce: Callable[[str], None],
) -> list[Score]:
    """Every score of ``tasks``, in their order; the arguments are those of :class:`Judging`. Raises what the judges raise."""
    if "pretrained" not in features:
        raise UsageError(f"Nothing to judge: features hold {sorted(features)}; expected 'pretrained'.")
    judging = Judging(features, raw, probes, lightgbm, options, seed, announce)
    return [score for task in tasks for score in JUDGES[type(task)](task, judging)]
