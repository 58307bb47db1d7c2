"""The paired test of two models on the same rows: how sure a mean difference is, given everything that made it uncertain.

A difference of two scores varies for three reasons, and each is measured where it shows:

- **the split** (which rows were trained on): the spread s of the differences between splits;
- **the seed** (of pretraining, one for all splits): the spread of the differences between seeds;
- **the test rows**: random splits of one data set test on mostly the same rows, and seeds on one split on exactly the same.
  A model that is lucky on these rows is lucky in every split, so the spread between splits cannot show it. The delete-a-group
  jackknife does: the test rows, or the persons they belong to, fall into :data:`GROUPS` groups, every score is also taken
  without each of them, and the variance of the mean difference is (G - 1)/G times the sum of squares of the G values about
  their mean (Efron and Stein 1981; Shao and Tu 1995, "The jackknife and bootstrap", section 2.3).

Splits that train on most rows (cross-validation folds) share their training rows instead; there s^2 (1/n + test/train) of
Nadeau and Bengio (2003, "Inference for the generalization error") stands for both. For the others the shared part of the
training rows adds s^2 train/test to s^2/n by the same argument, and the jackknife stands for the test rows.

The variances v_k, of f_k degrees of freedom, are joined by Banerjee's interval (1960, "Approximate confidence interval for linear
functions of means of k populations"). Its half width is sqrt(sum of v_k t(f_k)^2): each part is widened by its own Student's t,
which is never too narrow. Satterthwaite's is, with two or three splits or seeds whose spread happens to be small. Some of the
spread is counted twice: the test errs towards silence. ``tests/benchmarks/sim_statistics.py`` measures its level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

ALPHA = 0.05
GROUPS = 20
_SMALLEST = 1e-100


@dataclass(frozen=True)
class PairedTest:
    """What a paired comparison found.

    mean        of the differences, in the metric's own unit;  low, high: its interval, None where there is none
    p           two-sided, None where no test is possible and ``note`` says why
    n           observations: splits where there are several, else seeds
    name        the test's name;  note: what must be said with it
    widest      what makes most of the interval's width: "splits", "seeds" or "test rows"; "" where there is none
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    name: str
    note: str = ""
    widest: str = ""


def row_groups(units: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n,) the jackknife group of each instance: units (rows, or the persons they belong to) dealt out after a shuffle."""
    names, index = np.unique(units, return_inverse=True)
    group: np.ndarray = np.random.default_rng(seed).permutation(len(names))[index] % GROUPS
    return group


def means_without(values: np.ndarray, group: np.ndarray) -> tuple[float, ...]:
    """The mean of (n,) values with each group 0..GROUPS - 1 left out; NaN for a group without rows, () if one holds all."""
    sums, counts = np.bincount(group, values, GROUPS), np.bincount(group, minlength=GROUPS)
    rest = len(values) - counts
    if not rest.all():
        return ()
    return tuple(float(x) for x in np.where(counts > 0, (values.sum() - sums) / rest, np.nan))


def jackknife(without: np.ndarray) -> float:
    """Variance of a statistic from its (G,) values with each group of rows left out."""
    g = len(without)
    return float((g - 1) / g * ((without - without.mean()) ** 2).sum())


def paired_test(
    differences: np.ndarray, without: np.ndarray | None, train: float, test: float, alpha: float = ALPHA
) -> PairedTest:
    """Test that the mean of (splits, seeds) ``differences`` is zero; NaN where a pair is missing.

    without      (G,) the mean difference with each group of test rows left out; None where the scores do not hold it
    train, test  rows a split trains and tests on, on average
    alpha        the interval misses the true mean this often

    Runs whose seeds drew one split each vary in both at once: the spread between splits is all there is.

    One run allows no test. Seeds on one split are compared on that split's training rows: nothing can show what others would
    have given. One seed on several splits says nothing of other seeds, and the note says so.
    """
    splits, seeds = differences.shape
    by_split, by_seed = np.nanmean(differences, axis=1), np.nanmean(differences, axis=0)
    mean = float(by_split.mean())
    n, name = (splits, "corrected resampled t") if splits > 1 else (seeds, "t over seeds and test rows")
    if not np.any(np.nan_to_num(differences)):
        return PairedTest(mean, mean, mean, 1.0, n, name, "all pairs are equal")
    if splits == seeds == 1:
        return PairedTest(mean, None, None, None, n, name, "one run allows no test; train more seeds or use more splits")
    folds = splits > 1 and train >= test
    if without is None and splits == 1:
        return PairedTest(
            mean, None, None, None, n, name, "the scores hold no errors by rows: `sslplug evaluate` writes them"
        )
    found: dict[str, tuple[float, int]] = {}
    if splits > 1:
        shared = test / train if folds or without is None else train / test
        found["splits"] = (float(by_split.var(ddof=1)) * (1.0 / splits + shared), splits - 1)
    together = splits == seeds == np.isfinite(differences).sum()
    if seeds > 1 and not together:
        found["seeds"] = (float(by_seed.var(ddof=1)) / seeds, seeds - 1)
    if without is not None and not folds:
        found["test rows"] = (jackknife(without), len(without) - 1)
    parts = list(found.values())
    total = sum(variance for variance, _ in parts)
    if total <= (1e-12 * mean) ** 2:
        return PairedTest(mean, None, None, min(1.0, 2.0 ** (1 - n)), n, "sign", "every pair differs by the same amount")
    if splits > 1 and not folds and without is not None:
        name = "t over splits and test rows"
    half = _half_width(parts, alpha)
    widest = max(found, key=lambda part: _half_width([found[part]], alpha))
    return PairedTest(mean, mean - half, mean + half, _p_value(abs(mean), parts), n, name, widest=widest)


def _half_width(parts: list[tuple[float, int]], alpha: float) -> float:
    """Banerjee's half width at level 1 - alpha of (variance, degrees of freedom) parts; Student's t for one part."""
    return math.sqrt(sum(variance * float(stdtrit(freedom, alpha / 2)) ** 2 for variance, freedom in parts))


def _p_value(distance: float, parts: list[tuple[float, int]]) -> float:
    """The alpha at which the half width is ``distance``."""
    if not distance:
        return 1.0
    if _half_width(parts, _SMALLEST) <= distance:
        return _SMALLEST
    return math.exp(float(brentq(lambda log: _half_width(parts, math.exp(log)) - distance, math.log(_SMALLEST), 0.0)))
