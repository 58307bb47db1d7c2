"""Judging frozen features: every probe on the pretrained embeddings, and beside it the controls on the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from sslplug.contracts import Choice, Kind, Options, RawFeatures, Role, Split, Task
from sslplug.errors import DataError, UsageError
from sslplug.evaluation.clusters import KMeans, KMeansOptions
from sslplug.evaluation.finetune import FinetuneOptions
from sslplug.evaluation.fractions import shrink
from sslplug.evaluation.logistic import Logistic, LogisticOptions
from sslplug.evaluation.metrics import agreement, higher_is_better, measure
from sslplug.evaluation.probe import CLASS_KINDS, Features, Probe
from sslplug.evaluation.ridge import Ridge, RidgeOptions
from sslplug.evaluation.trees import LightGbmOptions
from sslplug.randomness import Rng

Source = Literal["pretrained", "untrained", "raw", "both"]


class EvaluateOptions(Options):
    """How a run is judged."""

    probes: list[Annotated[Choice, Role("probe")]] = Field(
        default_factory=list, description="probes; none: logistic for classes, ridge for numbers, kmeans for clustering"
    )
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(1.0,), min_length=1, description="shares of the labels to fit with"
    )
    controls: bool = Field(default=True, description="also the untrained encoder, and LightGBM on raw, embeddings and both")
    splits: int = Field(default=0, ge=0, description="how many of a task's splits to use; 0 = all")
    published: dict[str, float] = Field(
        default_factory=dict, description="{task: value} others reported for this method and protocol; printed beside ours"
    )
    lightgbm: LightGbmOptions = Field(
        default_factory=lambda: LightGbmOptions(), description="the budget of the boosted trees"
    )
    finetune: FinetuneOptions | None = Field(
        default=None, description="also train encoder and head together, from pretrained and from untrained parameters"
    )


@dataclass(frozen=True)
class Score:
    """One number: a metric of one probe on one kind of features, on the test rows of one split.

    features  "pretrained", "untrained" (the encoder before training), "raw" or "both" (raw features and embeddings)
    seconds   to fit and to predict;  seed: the run's seed;  train, test: how many rows were fitted on and tested
    """

    task: str
    protocol: str
    probe: str
    features: str
    metric: str
    fraction: float
    split: int
    value: float
    seconds: float
    higher_is_better: bool
    seed: int = 0
    train: int = 0
    test: int = 0


def default_probe(kind: Kind) -> tuple[str, Probe | KMeans]:
    """The probe of a kind of task where the recipe names none."""
    if kind == "regression":
        return "ridge", Ridge(RidgeOptions())
    if kind == "clustering":
        return "kmeans", KMeans(KMeansOptions())
    return "logistic", Logistic(LogisticOptions())


def judge(
    tasks: Sequence[Task],
    features: Mapping[str, Mapping[str, np.ndarray]],
    raw: Callable[[Task], RawFeatures],
    probes: Sequence[tuple[str, Probe | KMeans]],
    lightgbm: Probe,
    options: EvaluateOptions,
    seed: int,
    announce: Callable[[str], None],
) -> list[Score]:
    """Every score of ``tasks``: by task, split, fraction, probe, features, metric.

    features   {"pretrained": {level: (n, d)}, "untrained": {...}}; "untrained" is needed for the controls
    raw        task -> raw features of the rows of its level; asked once a task, for the controls alone
    probes     named; each judges the tasks of its kinds. A task that none of them fits is judged by the default of its kind
    lightgbm   the boosted trees of the controls
    announce   gets one line a task and split

    Test rows are scored once, by the finished model. A class that is absent from the training rows can only be missed.
    Raises DataError where a split's training rows hold one class, where features and members disagree, or where a level is
    missing.
    """
    if "pretrained" not in features:
        raise UsageError(f"Nothing to judge: features hold {sorted(features)}; expected 'pretrained'.")
    scores: list[Score] = []
    for task in tasks:
        columns: dict[str, Features] = {
            name: _instances(task, _level(task, name, levels)) for name, levels in features.items()
        }
        fitting = [(name, probe) for name, probe in probes if task.kind in probe.kinds]
        if not fitting:
            fitting = [default_probe(task.kind)]
            if probes:
                named = ", ".join(name for name, _ in probes)
                announce(f"{task.name}: {named} cannot judge a {task.kind} task; using {fitting[0][0]}.")
        if options.controls:
            columns["raw"] = _instances(task, raw(task).values)
            columns["both"] = _beside(columns["raw"], columns["pretrained"])
        for number in range(min(options.splits or len(task.splits), len(task.splits))):
            for fraction in options.fractions:
                split = shrink(task, number, fraction, seed)
                plan = _plan(task, fitting, lightgbm, columns, options.controls)
                parts: list[str] = []
                for name, probe, source in plan:
                    if isinstance(probe, KMeans) and (number or fraction != options.fractions[0]):
                        continue  # clusters see every row and no label: neither the split nor the fraction changes them
                    found = _judged(task, split, number, fraction, name, probe, source, columns[source], seed)
                    scores += found
                    parts.append(f"{name} on {source} {found[0].value:.4f}")
                if parts:
                    share = "" if options.fractions == (1.0,) else f", {100 * fraction:g} % of the labels"
                    announce(f"{task.name}, split {number}{share}: " + ", ".join(parts))
    return scores


def _plan(
    task: Task,
    probes: Sequence[tuple[str, Probe | KMeans]],
    lightgbm: Probe,
    columns: Mapping[str, Features],
    controls: bool,
) -> list[tuple[str, Probe | KMeans, Source]]:
    """What to fit on what, without doing the same fit twice."""
    plan: dict[tuple[str, Source], Probe | KMeans] = {}
    for name, probe in probes:
        plan[name, "pretrained"] = probe
        if controls and "untrained" in columns:
            plan[name, "untrained"] = probe
        if controls and isinstance(probe, KMeans):
            plan[name, "raw"] = probe
    if controls and task.kind in lightgbm.kinds:
        sources: tuple[Source, ...] = ("raw", "pretrained", "both")
        for source in sources:
            plan.setdefault(("lightgbm", source), lightgbm)
    return [(name, probe, source) for (name, source), probe in plan.items()]


def _judged(
    task: Task,
    split: Split,
    number: int,
    fraction: float,
    name: str,
    probe: Probe | KMeans,
    source: str,
    x: Features,
    seed: int,
) -> list[Score]:
    """Fit one probe and score its test rows once."""
    labels = task.labels
    draw = Rng.root(seed).fork("probe", task.name, number).key % (2**31 - 1)
    began = time.perf_counter()
    if isinstance(probe, KMeans):
        usable = np.flatnonzero(labels >= 0)
        values = agreement(labels[usable], probe.cluster(x[usable], len(np.unique(labels[usable])), draw))
        sizes = (0, len(usable))
    else:
        if task.kind in CLASS_KINDS and len(np.unique(labels[split.train])) < 2:
            raise DataError(
                f"Task {task.name!r}, split {number}: all {len(split.train)} training rows are of class "
                f"{labels[split.train[0]]}; a probe needs two classes. Stratify the split."
            )
        train, val, test = split.train, split.val, split.test
        fitted = probe.fit(x[train], labels[train], x[val], labels[val], task.kind, draw)
        values = measure(task.kind, labels[test], fitted(x[test]))
        sizes = (len(train), len(test))
    seconds = time.perf_counter() - began
    return [
        Score(
            task.name,
            task.protocol,
            name,
            source,
            metric,
            fraction,
            number,
            value,
            seconds,
            higher_is_better(metric),
            seed,
            *sizes,
        )
        for metric, value in values.items()
    ]


def _level(task: Task, name: str, levels: Mapping[str, np.ndarray]) -> np.ndarray:
    if task.level not in levels:
        raise DataError(
            f"Task {task.name!r} judges level {task.level!r}, but the {name} encoder made {', '.join(sorted(levels))}. "
            "Choose an encoder with that level, or another task."
        )
    return levels[task.level]


def _instances(task: Task, x: Features) -> Features:
    """(instances, f): the rows themselves, or for members the element-wise product and, for pairs, absolute difference.

    Embeddings of a link are compared as node2vec does (Grover and Leskovec 2016, Hadamard product); raw features get both
    operators, so do embeddings, so that no side has more to work with.
    """
    rows = x.tocsr() if _is_sparse(x) else np.asarray(x)
    if task.members is None:
        if rows.shape[0] != len(task.labels):
            raise DataError(f"Task {task.name!r}: {rows.shape[0]} rows of features for {len(task.labels)} labels.")
        return rows
    if len(task.members) and int(task.members.max()) >= rows.shape[0]:
        raise DataError(
            f"Task {task.name!r}: members name row {int(task.members.max())}, but features have {rows.shape[0]} rows."
        )
    product = rows[task.members[:, 0]]
    for column in range(1, task.members.shape[1]):
        other = rows[task.members[:, column]]
        product = product.multiply(other).tocsr() if _is_sparse(product) else product * other
    if task.members.shape[1] != 2:
        return product
    return _beside(product, abs(rows[task.members[:, 0]] - rows[task.members[:, 1]]))


def _is_sparse(x: Features) -> bool:
    return bool(sparse.issparse(x))


def _beside(a: Features, b: Features) -> Features:
    """Columns of both, float32; sparse where one is."""
    if _is_sparse(a) or _is_sparse(b):
        return sparse.hstack([sparse.csr_matrix(a), sparse.csr_matrix(b)], format="csr", dtype=np.float32)
    return np.concatenate([np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)], axis=1)
