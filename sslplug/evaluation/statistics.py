"""Means, intervals and paired tests of scores, and Holm's correction over the family of claims.

What is one observation: a split where a task has several, with the runs' seeds averaged within it; else a seed. The test itself,
and what a difference's uncertainty is made of, is :mod:`sslplug.evaluation.paired`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from sslplug.evaluation.paired import ALPHA, PairedTest, paired_test
from sslplug.evaluation.score import Score

_TREES = ("lightgbm", "lightgbm_tuned")


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; ``low`` and ``high`` are None where one observation allows none."""

    mean: float
    low: float | None
    high: float | None
    std: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """Pretrained features against one control, on the same test rows.

    control          probe and features of the control, "logistic on untrained"
    difference       mean of pretrained minus control in the metric's own unit; better: whether it favours pretraining
    low, high        95 % interval of the difference, None where there is none
    p                two-sided p value, None where no test is possible;  p_holm: corrected over the whole family
    n                paired observations;  test: the test's name;  note: what must be said with it
    """

    control: str
    difference: float
    better: bool
    low: float | None
    high: float | None
    p: float | None
    n: int
    test: str
    note: str = ""
    p_holm: float | None = None


@dataclass(frozen=True)
class Summary:
    """One row of a report: a probe on pretrained features, its interval and its comparisons."""

    task: str
    protocol: str
    probe: str
    metric: str
    fraction: float
    higher_is_better: bool
    mean: float
    low: float | None
    high: float | None
    std: float | None
    n: int
    controls: dict[str, Interval]
    comparisons: tuple[Comparison, ...]


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean and Student's t interval of independent observations.

    >>> interval([0.5]).low is None
    True
    """
    array = np.asarray(values, dtype=np.float64)
    n, mean = len(array), float(array.mean())
    if n < 2:
        return Interval(mean, None, None, None, n)
    std = float(array.std(ddof=1))
    half = float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * std / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, std, n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m times m - i + 1, made monotone, at most 1.

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = worst
    return corrected


def summarise(scores: Iterable[Score]) -> list[Summary]:
    """One :class:`Summary` for each task, probe, metric and fraction of pretrained features, in the order first seen.

    ``scores`` may come from several runs (seeds). Controls of a probe: the same probe on the untrained encoder, and LightGBM
    on raw features, on the embeddings and on both (k-means: on raw features), and what judged raw features alone (popularity,
    item-kNN, a measured task's baselines). LightGBM on the embeddings is a row of its own
    only where it is one of the recipe's probes: it then also judged the untrained encoder, or there are no controls.

    Holm's family are the comparisons by primary metric (the first of each task) over all tasks, probes and fractions; other
    metrics keep the plain p value alone. Splits are matched by number, seeds by seed; a score without a partner is left out
    of the comparison and the note says so; a control without any common pair is not compared.
    """
    cells: dict[tuple[str, str, float], dict[tuple[str, str], list[Score]]] = {}
    for score in scores:
        # Not by protocol: seeds of one recipe have one, whatever words describe the data that each drew.
        place = (score.task, score.metric, score.fraction)
        cells.setdefault(place, defaultdict(list))[score.probe, score.features].append(score)
    primary: dict[str, str] = {}
    for task, metric, _ in cells:
        primary.setdefault(task, metric)
    rows = [
        _summary(place, probe, columns)
        for place, columns in cells.items()
        for probe, features in columns
        if features == "pretrained"
        and (probe not in _TREES or (probe, "untrained") in columns or (probe, "raw") not in columns)
    ]
    claims = [
        (r, c)
        for r, row in enumerate(rows)
        if row.metric == primary[row.task]
        for c, comparison in enumerate(row.comparisons)
        if comparison.p is not None
    ]
    corrected = holm([rows[r].comparisons[c].p or 0.0 for r, c in claims])
    for (r, c), p in zip(claims, corrected, strict=True):
        comparisons = list(rows[r].comparisons)
        comparisons[c] = replace(comparisons[c], p_holm=p)
        rows[r] = replace(rows[r], comparisons=tuple(comparisons))
    return rows


def compare_to_controls(scores: Iterable[Score]) -> list[Comparison]:
    """Every comparison of :func:`summarise`, in its order."""
    return [comparison for row in summarise(scores) for comparison in row.comparisons]


def _summary(place: tuple[str, str, float], probe: str, columns: dict[tuple[str, str], list[Score]]) -> Summary:
    task, metric, fraction = place
    own = columns[probe, "pretrained"]
    protocol, higher = own[0].protocol, own[0].higher_is_better
    controls, comparisons = {}, []
    for name, features in columns:
        same_probe = name == probe and features in ("untrained", "raw", "both")
        peer = features == "raw" and (name, "pretrained") not in columns
        trees = (
            name in _TREES
            and (name, "raw") in columns
            and features in ("raw", "pretrained", "both")
            and (name, features) != (probe, "pretrained")
        )
        if same_probe or peer or trees:
            other = columns[name, features]
            label = f"{name} on {features}"
            controls[label] = interval(list(_observations(other).values()))
            comparison = _compare(own, other, label, higher)
            if comparison is not None:
                comparisons.append(comparison)
    found = interval(list(_observations(own).values()))
    return Summary(
        task, protocol, probe, metric, fraction, higher, found.mean, found.low, found.high, found.std, found.n, controls,
        tuple(comparisons),
    )  # fmt: skip


def _observations(scores: Sequence[Score]) -> dict[int, float]:
    """{split: mean over its seeds} where there are several splits, else {seed: value}."""
    several = len({score.split for score in scores}) > 1
    groups: dict[int, list[float]] = defaultdict(list)
    for score in scores:
        groups[score.split if several else score.seed].append(score.value)
    return {key: float(np.mean(values)) for key, values in groups.items()}


@dataclass(frozen=True)
class Pairs:
    """Scores of two models over the (split, seed) pairs that both have: what a paired test is computed from.

    differences  (splits, seeds) own minus other, NaN where a pair is missing
    without      (G,) their mean with each group of test rows left out, None where a score does not hold it
    train, test  rows fitted on and tested, on average;  seeds: of the pairs;  lacking: scores without a partner
    """

    differences: np.ndarray
    without: np.ndarray | None
    train: float
    test: float
    seeds: int
    lacking: int

    def tested(self, alpha: float = ALPHA) -> PairedTest:
        """The paired test, with an interval of level 1 - alpha."""
        return paired_test(self.differences, self.without, max(self.train, 1.0), self.test, alpha)

    def observations(self) -> np.ndarray:
        """(n,) one difference a split where there are several, with its seeds averaged, else one a seed."""
        several = len(self.differences) > 1
        found: np.ndarray = np.nanmean(self.differences, axis=1) if several else self.differences[0]
        return found


def pair(own: Sequence[Score], other: Sequence[Score]) -> Pairs | None:
    """The common (split, seed) pairs of two models' scores in one metric; None where there is none."""
    theirs = {(score.split, score.seed): score for score in other}
    pairs = [(score, theirs[score.split, score.seed]) for score in own if (score.split, score.seed) in theirs]
    if not pairs:
        return None
    splits = {split: row for row, split in enumerate(sorted({mine.split for mine, _ in pairs}))}
    seeds = {seed: column for column, seed in enumerate(sorted({mine.seed for mine, _ in pairs}))}
    differences = np.full((len(splits), len(seeds)), np.nan)
    for mine, their in pairs:
        differences[splits[mine.split], seeds[mine.seed]] = mine.value - their.value
    train, test = (float(np.mean([getattr(mine, part) for mine, _ in pairs])) for part in ("train", "test"))
    lacking = len(own) + len(theirs) - 2 * len(pairs)
    return Pairs(differences, _without(pairs, list(splits)), train, test, len(seeds), lacking)


def _compare(own: Sequence[Score], other: Sequence[Score], control: str, higher: bool) -> Comparison | None:
    """The paired comparison over the (split, seed) pairs that both sides have; None where there is no such pair."""
    pairs = pair(own, other)
    if pairs is None:
        return None
    found = pairs.tested()
    note = found.note
    if pairs.lacking:
        note = "; ".join(filter(None, [note, f"{pairs.lacking} scores without a partner left out"]))
    better = found.mean > 0 if higher else found.mean < 0
    return Comparison(control, found.mean, better, found.low, found.high, found.p, found.n, found.name, note)


def _without(pairs: Sequence[tuple[Score, Score]], splits: Sequence[int]) -> np.ndarray | None:
    """(G,) the mean difference with each group of test rows left out, or None where a score does not hold it.

    Seeds are averaged within their split first, as in the mean itself. A group that no split tests on is dropped.
    """
    if not all(len(mine.without) and len(mine.without) == len(their.without) for mine, their in pairs):
        return None
    by_split = []
    for split in splits:
        inside = [pair for pair in pairs if pair[0].split == split]
        left = np.mean([np.subtract(mine.without, their.without) for mine, their in inside], axis=0)
        whole = float(np.mean([mine.value - their.value for mine, their in inside]))
        by_split.append((left, whole))
    tested = ~np.isnan([left for left, _ in by_split]).all(axis=0)
    filled = np.mean([np.where(np.isnan(left), whole, left) for left, whole in by_split], axis=0)
    return filled[tested] if tested.sum() > 1 else None
