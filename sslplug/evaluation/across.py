"""Models compared over tasks: mean ranks, Friedman's test, Nemenyi's critical difference (Demsar 2006, JMLR 7, 1-30).

A table holds one score a task and model. Metrics of different kinds meet only as ranks within a task. Scores that print alike are
ties and share their ranks. Few tasks, ties and identical columns give words instead of NaN.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy import stats

from sslplug.evaluation.paired import ALPHA

DIGITS = 4
"""Decimals that reports print: scores equal to so many are ties."""


@dataclass(frozen=True)
class Ranks:
    """Models by mean rank over tasks, 1 is best.

    order       their column numbers, best first;  mean_ranks: in that order
    p           Friedman's test in Iman and Davenport's form, None where no test is possible
    difference  Nemenyi's critical difference of mean ranks at 5 %, None where there is none
    groups      positions [first, last] in ``order`` of the longest ranges that cannot be told apart, of two models at least
    note        what cannot be said, and why
    """

    order: tuple[int, ...]
    mean_ranks: tuple[float, ...]
    p: float | None
    difference: float | None
    groups: tuple[tuple[int, int], ...]
    note: str = ""


def rank_models(table: np.ndarray, higher: Sequence[bool]) -> Ranks:
    """Ranks of (tasks, models) scores without gaps; ``higher`` says for each task whether larger is better.

    Nemenyi's groups are drawn only where Friedman's test rejects that all models are alike; else all are one group.
    """
    tasks, models = table.shape
    ranks = task_ranks(table, higher)
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    p, note = friedman(ranks)
    difference = critical_difference(models, tasks) if tasks > 1 and models > 1 else None
    groups: tuple[tuple[int, int], ...] = ()
    if p is None or p >= ALPHA or difference is None:
        groups = ((0, models - 1),) if models > 1 else ()
        if p is not None and p >= ALPHA and not note:
            note = f"Friedman's test finds no difference between the models (p {p:.3f}), so none is told apart"
    else:
        groups = cliques(means[order], difference)
    return Ranks(tuple(map(int, order)), tuple(float(x) for x in means[order]), p, difference, groups, note)


def task_ranks(table: np.ndarray, higher: Sequence[bool]) -> np.ndarray:
    """(tasks, models) ranks within each task, 1 is best; scores equal to :data:`DIGITS` decimals share the mean of theirs.

    >>> task_ranks(np.array([[0.9, 0.8, 0.90001]]), [True]).tolist()
    [[1.5, 3.0, 1.5]]
    """
    sign = np.where(np.asarray(higher, dtype=bool), -1.0, 1.0)
    found: np.ndarray = stats.rankdata(sign[:, None] * np.round(table, DIGITS), axis=1)
    return found


def friedman(ranks: np.ndarray) -> tuple[float | None, str]:
    """(p, note) of Friedman's test of (tasks, models) ranks in the F form of Iman and Davenport (1980).

    F = (N - 1) X / (N (k - 1) - X) with k - 1 and (k - 1)(N - 1) degrees of freedom, X Friedman's statistic corrected for ties.
    Where all tasks agree F is infinite and p is the chance that they would: k!^(1 - N), which no p undercuts.
    Identical columns, whose statistic is undefined, have p = 1.
    """
    tasks, models = ranks.shape
    if models < 2:
        return None, "one model: nothing to rank"
    if tasks < 2:
        return None, "one task allows no test over tasks"
    if not np.ptp(ranks, axis=1).any():
        return 1.0, "all models score alike on every task"
    least = math.exp((1 - tasks) * math.lgamma(models + 1))
    if models == 2:
        return None, "Friedman's test needs three models; two are compared by Wilcoxon's"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        statistic = float(stats.friedmanchisquare(*ranks.T).statistic)
    rest = tasks * (models - 1) - statistic
    if rest <= 1e-9 * statistic:
        return least, ""
    f = (tasks - 1) * statistic / rest
    return max(least, float(stats.f.sf(f, models - 1, (models - 1) * (tasks - 1)))), ""


def critical_difference(models: int, tasks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks: q sqrt(k (k + 1) / (6 N)), q the studentized range over sqrt(2).

    >>> round(critical_difference(5, 10), 2)
    1.93
    """
    q = float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / math.sqrt(2)
    return q * math.sqrt(models * (models + 1) / (6 * tasks))


def cliques(means: np.ndarray, difference: float) -> tuple[tuple[int, int], ...]:
    """Longest ranges [first, last] of sorted mean ranks whose ends differ by no more than ``difference``; of two at least.

    >>> cliques(np.array([1.0, 1.4, 2.2, 4.0]), 1.0)
    ((0, 1), (1, 2))
    """
    found: list[tuple[int, int]] = []
    for first in range(len(means)):
        last = max(n for n in range(first, len(means)) if means[n] - means[first] <= difference + 1e-12)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)


def complete(known: np.ndarray, always: int | None = None) -> tuple[list[int], list[int]]:
    """(tasks, models) to rank of a (tasks, models) table of what is known: every model has a score on every task.

    Of all sets of tasks that one model or two have in common, the one that makes the largest table is taken, with all models that
    are known on it: (models - 1) times tasks, then more tasks. Model ``always`` is among them.
    """
    start = np.ones(len(known), dtype=bool) if always is None else known[:, always]
    columns = [start & known[:, model] for model in range(known.shape[1])]
    best: tuple[list[int], list[int]] = ([], [])
    for first, second in combinations_with_replacement(columns, 2):
        rows = first & second
        models = np.flatnonzero(known[rows].all(axis=0)).tolist()
        tasks = np.flatnonzero(rows).tolist()
        if tasks and _size(tasks, models) > _size(*best):
            best = (tasks, models)
    return best if len(best[1]) > 1 else ([], [])


def _size(tasks: Sequence[int], models: Sequence[int]) -> tuple[int, int]:
    return max(0, len(models) - 1) * len(tasks), len(tasks)
