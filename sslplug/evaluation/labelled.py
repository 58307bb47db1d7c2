"""Judging labelled tasks: every probe on the pretrained embeddings, and beside it the controls on the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy import sparse

from sslplug.contracts import RawFeatures, Split, Task
from sslplug.errors import DataError
from sslplug.evaluation.clusters import KMeans, KMeansOptions
from sslplug.evaluation.columns import beside, instances, level_of, raw_instances
from sslplug.evaluation.fractions import shrink
from sslplug.evaluation.judging import EvaluateOptions, Judging
from sslplug.evaluation.logistic import Logistic, LogisticOptions
from sslplug.evaluation.metrics import agreement, agreement_without, by_group, higher_is_better, measure, measure_without
from sslplug.evaluation.network import Network
from sslplug.evaluation.one_class import OneClass, OneClassOptions, all_normal
from sslplug.evaluation.paired import row_groups
from sslplug.evaluation.probe import CLASS_KINDS, Features, Probe, take
from sslplug.evaluation.ridge import Ridge, RidgeOptions
from sslplug.evaluation.score import Score, split_number
from sslplug.evaluation.trees import LightGbm
from sslplug.evaluation.vectorise import fit_vectoriser
from sslplug.randomness import Rng

Source = Literal["pretrained", "untrained", "raw", "both"]


def default_probe(task: Task) -> tuple[str, Probe | KMeans]:
    """The probe of a task where the recipe names none that can judge it."""
    if task.kind == "regression":
        return "ridge", Ridge(RidgeOptions())
    if task.kind == "clustering":
        return "kmeans", KMeans(KMeansOptions())
    if all_normal(task):
        return "one_class", OneClass(OneClassOptions())
    return "logistic", Logistic(LogisticOptions())


def judge_labelled(task: Task, judging: Judging) -> list[Score]:
    """Every score of a labelled task: by split, fraction, probe, features, metric.

    Each probe judges the tasks of its kinds; a task that none of them fits is judged by the default of its kind. Where the
    boosted trees are tuned, a row without tuning is judged too. Raw features are asked for the controls and
    ``probes_on_raw`` alone.

    Test rows are scored once, by the finished model. A class that is absent from the training rows can only be missed.
    An anomaly task with a split whose training rows are all normal is judged by ``one_class`` alone: what needs two classes,
    LightGBM too, is left out. Raises DataError where another task's training rows hold one class, where features and
    members disagree, or where a level is missing.
    """
    options, seed = judging.options, judging.seed
    columns: dict[str, Features] = {
        name: instances(task, level_of(task.name, task.level, name, levels)) for name, levels in judging.features.items()
    }
    fitting = _fitting(task, judging.probes, options.controls, judging.announce)
    if options.controls or options.probes_on_raw:
        columns["raw"] = raw_instances(task, judging.raw(task))
    if options.controls:
        columns["both"] = beside(columns["raw"], columns["pretrained"])
    group = groups_of(task)
    plan = _plan(task, fitting, judging.lightgbm, columns, options)
    scores: list[Score] = []
    for number in range(min(options.splits or len(task.splits), len(task.splits))):
        if any(_wants_numbers(probe, source, columns[source]) for _, probe, source in plan):
            columns["numbers"] = _numbers(task, number, columns["raw"], options, seed)
        for fraction in options.fractions:
            split = shrink(task, number, fraction, seed)
            parts: list[str] = []
            for name, probe, source in plan:
                if isinstance(probe, KMeans) and (number or fraction != options.fractions[0]):
                    continue  # clusters see every row and no label: neither the split nor the fraction changes them
                x = columns["numbers" if _wants_numbers(probe, source, columns[source]) else source]
                found = _judged(task, split, number, fraction, name, probe, source, x, group, seed)
                scores += found
                parts.append(f"{name} on {source} {found[0].value:.4f}")
            if parts:
                share = "" if options.fractions == (1.0,) else f", {100 * fraction:g} % of the labels"
                judging.announce(f"{task.name}, split {split_number(task, number, seed)}{share}: " + ", ".join(parts))
    return scores


def _fitting(
    task: Task, probes: Sequence[tuple[str, Probe | KMeans]], controls: bool, announce: Callable[[str], None]
) -> list[tuple[str, Probe | KMeans]]:
    """The probes that can judge ``task``, or the default one. Says what is left out."""
    fitting = [(name, probe) for name, probe in probes if task.kind in probe.kinds]
    alone = all_normal(task)
    if alone:
        left = [name for name, probe in fitting if not isinstance(probe, OneClass)] + (["lightgbm"] if controls else [])
        fitting = [(name, probe) for name, probe in fitting if isinstance(probe, OneClass)]
        if left:
            announce(
                f"{task.name}: all training rows are normal in {alone} of {len(task.splits)} splits; left out, as two classes "
                f"are needed: {', '.join(dict.fromkeys(left))}."
            )
    elif probes and not fitting:
        named = ", ".join(name for name, _ in probes)
        announce(f"{task.name}: {named} cannot judge a {task.kind} task; using {default_probe(task)[0]}.")
    return fitting or [default_probe(task)]


def groups_of(task: Task) -> np.ndarray:
    """(n,) the jackknife group of each instance; the instances of one person stay together."""
    return row_groups(np.arange(len(task.labels)) if task.groups is None else task.groups)


def _plan(
    task: Task,
    probes: Sequence[tuple[str, Probe | KMeans]],
    lightgbm: Probe,
    columns: Mapping[str, Features],
    options: EvaluateOptions,
) -> list[tuple[str, Probe | KMeans, Source]]:
    """What to fit on what, without doing the same fit twice."""
    plan: dict[tuple[str, Source], Probe | KMeans] = {}
    for name, probe in probes:
        plan[name, "pretrained"] = probe
        if options.controls and "untrained" in columns:
            plan[name, "untrained"] = probe
        if options.probes_on_raw or (options.controls and isinstance(probe, KMeans | OneClass)):
            plan[name, "raw"] = _on_raw(probe)
    if options.controls and task.kind in lightgbm.kinds and not all_normal(task):
        trees = {"lightgbm": lightgbm}
        if isinstance(lightgbm, LightGbm) and lightgbm.options.tune:
            trees = {"lightgbm": lightgbm.untuned(), "lightgbm_tuned": lightgbm}
        sources: tuple[Source, ...] = ("raw", "pretrained", "both")
        for name, probe in trees.items():
            for source in sources:
                plan.setdefault((name, source), probe)
    return [(name, probe, source) for (name, source), probe in plan.items()]


def _on_raw(probe: Probe | KMeans) -> Probe | KMeans:
    """The same probe for raw features, which are no tokens and whose numbers are centred."""
    if isinstance(probe, Network):
        return probe.flat()
    return probe.centred() if isinstance(probe, OneClass) else probe


def _wants_numbers(probe: Probe | KMeans, source: str, x: Features) -> bool:
    """Whether raw features must become numbers first. Trees take them as they are; k-means does where it can."""
    if source != "raw" or isinstance(probe, LightGbm):
        return False
    return not isinstance(probe, KMeans) or bool(x.categorical) or not _finite(x)


def _finite(x: RawFeatures) -> bool:
    return bool(np.isfinite(x.values.data if sparse.issparse(x.values) else x.values).all())


def _numbers(task: Task, number: int, raw: RawFeatures, options: EvaluateOptions, seed: int) -> np.ndarray:
    """Raw features as numbers, by statistics of all training rows of a split: labelled ones of a fraction or not."""
    train = take(raw, task.splits[number].train)
    return fit_vectoriser(train, options.raw_numbers, seed % (2**31 - 1))(raw)


def _judged(
    task: Task,
    split: Split,
    number: int,
    fraction: float,
    name: str,
    probe: Probe | KMeans,
    source: str,
    x: Features,
    group: np.ndarray,
    seed: int,
) -> list[Score]:
    """Fit one probe and score its test rows once."""
    labels = task.labels
    draw = Rng.root(seed).fork("probe", task.name, number).key % (2**31 - 1)
    began = time.perf_counter()
    if isinstance(probe, KMeans):
        usable = np.flatnonzero(labels >= 0)
        rows = x.values if isinstance(x, RawFeatures) else x
        clusters = probe.cluster(rows[usable], len(np.unique(labels[usable])), draw)
        values = agreement(labels[usable], clusters)
        without = agreement_without(labels[usable], clusters, group[usable])
        sizes = (0, len(usable))
    else:
        two = task.kind in CLASS_KINDS and not isinstance(probe, OneClass)
        if two and len(np.unique(labels[split.train])) < 2:
            raise DataError(
                f"Task {task.name!r}, split {number}: all {len(split.train)} training rows are of class "
                f"{labels[split.train[0]]}; a probe needs two classes. Stratify the split."
            )
        train, val, test = split.train, split.val, split.test
        fitted = probe.fit(take(x, train), labels[train], take(x, val), labels[val], task.kind, draw)
        said = fitted(take(x, test))
        values = measure(task.kind, labels[test], said)
        if task.groups is not None and task.kind in ("classification", "segmentation"):
            values |= by_group(labels[test], said.labels, task.groups[test])
        without = measure_without(task.kind, labels[test], said, group[test])
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
            split_number(task, number, seed),
            value,
            seconds,
            higher_is_better(metric),
            seed,
            *sizes,
            () if place else without,
        )
        for place, (metric, value) in enumerate(values.items())
    ]
