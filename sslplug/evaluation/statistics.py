"""Means, intervals and paired tests of scores, and Holm's correction over the family of claims.

What is one observation: a split where a task has several, with the runs' seeds averaged within it; else a seed. Seeds on one
split share its test rows and are no further observations of it.

Which test. Splits whose training sets share most of their rows (cross-validation folds) give correlated differences, and a
plain paired test finds far too many: they are compared by the corrected resampled t-test (Nadeau and Bengio 2003, "Inference
for the generalization error"), whose variance of the mean difference is s^2 (1/n + test/train) rather than s^2 / n. That
estimate of the correlation holds for learners that hardly notice which rows they were trained on. With few labels it is the
other way round: two draws of 10 % share a tenth of their rows and the differences vary with the draw, so splits that train on
less than half of their rows are independent draws of labels on one fixed data set and are compared by Wilcoxon's signed-rank
test (zeros by Pratt's rule); the claim is then about this data set. Several seeds on one fixed split are independent runs and
take the same test, which cannot reach 0.05 with fewer than six pairs; that is said rather than a verdict.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from sslplug.evaluation.judge import Score

ALPHA = 0.05
_FEWEST_WILCOXON = 6


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


def wilcoxon(differences: np.ndarray) -> tuple[float | None, str]:
    """Two-sided p value of paired differences, and a note. All differences zero give p = 1; fewer than six give no p."""
    n = len(differences)
    if not np.any(differences):
        return 1.0, "all pairs are equal"
    if n < _FEWEST_WILCOXON:
        return None, f"cannot reach {ALPHA} with {n} pair{'s' if n > 1 else ''}; {_FEWEST_WILCOXON} are needed"
    return float(stats.wilcoxon(differences, zero_method="pratt", method="auto").pvalue), ""


def resampled_t(differences: np.ndarray, test_to_train: float) -> tuple[float | None, float | None, str]:
    """Corrected resampled t-test: (p value, half width of the 95 % interval, note). Nadeau and Bengio 2003, eq. for sigma^2.

    Equal differences have no spread to test by: zero gives p = 1, anything else the sign test's 2^(1 - n).
    """
    n = len(differences)
    if not np.any(differences):
        return 1.0, 0.0, "all pairs are equal"
    if n < 2:
        return None, None, "one split allows no test"
    spread, mean = float(differences.std(ddof=1)), float(differences.mean())
    if spread <= 1e-12 * abs(mean):
        return min(1.0, 2.0 ** (1 - n)), None, "every pair differs by the same amount: sign test"
    error = spread * math.sqrt(1.0 / n + test_to_train)
    p = 2.0 * float(stats.t.sf(abs(mean) / error, n - 1))
    return p, float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * error, ""


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
    on raw features, on the embeddings and on both (k-means: on raw features). LightGBM on the embeddings is a row of its own
    only where it is one of the recipe's probes: it then also judged the untrained encoder, or there are no controls.

    Holm's family are the comparisons by primary metric (the first of each task) over all tasks, probes and fractions; other
    metrics keep the plain p value alone. Splits are matched by number, seeds by seed; a score without a partner is left out
    of the comparison and the note says so; a control without any common pair is not compared.
    """
    cells: dict[tuple[str, str, str, float], dict[tuple[str, str], list[Score]]] = {}
    for score in scores:
        place = (score.task, score.protocol, score.metric, score.fraction)
        cells.setdefault(place, defaultdict(list))[score.probe, score.features].append(score)
    primary: dict[str, str] = {}
    for task, _, metric, _ in cells:
        primary.setdefault(task, metric)
    rows = [
        _summary(place, probe, columns)
        for place, columns in cells.items()
        for probe, features in columns
        if features == "pretrained"
        and (probe != "lightgbm" or (probe, "untrained") in columns or (probe, "raw") not in columns)
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


def _summary(place: tuple[str, str, str, float], probe: str, columns: dict[tuple[str, str], list[Score]]) -> Summary:
    task, protocol, metric, fraction = place
    own = columns[probe, "pretrained"]
    higher = own[0].higher_is_better
    controls, comparisons = {}, []
    for name, features in columns:
        same_probe = name == probe and features in ("untrained", "raw", "both")
        trees = (
            (name, "raw") in columns
            and name == "lightgbm"
            and features in ("raw", "pretrained", "both")
            and (name, features) != (probe, "pretrained")
        )
        if same_probe or trees:
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


def _compare(own: Sequence[Score], other: Sequence[Score], control: str, higher: bool) -> Comparison | None:
    """The paired comparison over the (split, seed) pairs that both sides have; None where there is no such pair."""
    theirs = {(score.split, score.seed): score for score in other}
    pairs = [(score, theirs[score.split, score.seed]) for score in own if (score.split, score.seed) in theirs]
    lacking = len(own) + len(theirs) - 2 * len(pairs)
    if not pairs:
        return None
    differences = np.array(
        list(_observations([replace(mine, value=mine.value - their.value) for mine, their in pairs]).values())
    )
    mean = float(differences.mean())
    ratio = float(np.mean([mine.test / max(mine.train, 1) for mine, _ in pairs]))
    if len({mine.split for mine, _ in pairs}) > 1 and ratio < 1.0:
        test = "corrected resampled t"
        p, half, note = resampled_t(differences, ratio)
        low, high = (None, None) if half is None else (mean - half, mean + half)
    else:
        test = "Wilcoxon signed-rank"
        p, note = wilcoxon(differences)
        found = interval(differences)
        low, high = found.low, found.high
    if lacking:
        note = "; ".join(filter(None, [note, f"{lacking} scores without a partner left out"]))
    better = mean > 0 if higher else mean < 0
    return Comparison(control, mean, better, low, high, p, len(differences), test, note)
