"""Every two models over tasks: Wilcoxon's signed-rank test with Holm's correction, and effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from sslplug.evaluation.across import DIGITS
from sslplug.evaluation.paired import ALPHA
from sslplug.evaluation.statistics import holm

FEWEST = 6
"""Tasks without a tie that a two-sided p below 0.05 needs: 2 / 2^5 is above it."""

_ENUMERATED = 13  # up to so many tasks every assignment of signs is counted, ties and zeros or not


@dataclass(frozen=True)
class Pairwise:
    """Two models, as column numbers, over the tasks that both have a score on.

    wins, ties, losses  of the first, at reporting precision
    effect              matched-pairs rank-biserial correlation (Kerby 2014): share of ranks that favour the first minus the rest
    p, p_holm           two-sided, and corrected over all pairs; None where no test is possible and ``note`` says why
    """

    first: int
    second: int
    n: int
    wins: int
    ties: int
    losses: int
    effect: float | None
    p: float | None
    p_holm: float | None = None
    note: str = ""


def compare_pairs(table: np.ndarray, higher: Sequence[bool], gaps: np.ndarray) -> list[Pairwise]:
    """Every two columns of (tasks, models) scores; NaN where there is none.

    gaps  (tasks,) the distance between the untrained encoder and the best known: differences are taken in shares of it, so that
          metrics of different kinds can be ranked together. Tasks where it is nil (or NaN) count as wins and losses alone.

    Zeros are ranked and dropped (Pratt 1959). With fewer than :data:`FEWEST` tasks no test can reach 0.05, which is said.
    """
    sign = np.where(np.asarray(higher, dtype=bool), 1.0, -1.0)
    rounded = sign[:, None] * np.round(table, DIGITS)
    found = [
        _pair(first, second, rounded[:, first] - rounded[:, second], gaps)
        for first, second in combinations(range(table.shape[1]), 2)
    ]
    tested = [number for number, one in enumerate(found) if one.p is not None]
    corrected = holm([found[number].p or 0.0 for number in tested])
    for number, p in zip(tested, corrected, strict=True):
        one = found[number]
        note = one.note
        if len(tested) * 2.0 ** (1 - one.n) >= ALPHA:
            note = f"{one.n} tasks cannot reach .05 after the correction for {len(tested)} pairs"
        found[number] = replace(one, p_holm=p, note=note)
    return found


def _pair(first: int, second: int, differences: np.ndarray, gaps: np.ndarray) -> Pairwise:
    known = differences[~np.isnan(differences)]
    scaled = differences / np.where(gaps > 0, gaps, np.nan)
    scaled = scaled[~np.isnan(scaled)]
    counts = (len(known), int((known > 0).sum()), int((known == 0).sum()), int((known < 0).sum()))
    if not len(known):
        return Pairwise(first, second, *counts, None, None, note="no task in common")
    if not known.any():
        return Pairwise(first, second, *counts, 0.0, 1.0, note="both score alike on every task")
    ranks = stats.rankdata(np.abs(scaled))
    favour, against = float(ranks[scaled > 0].sum()), float(ranks[scaled < 0].sum())
    effect = (favour - against) / (favour + against) if favour + against else None
    untied = int(np.count_nonzero(scaled))
    if untied < FEWEST:
        return Pairwise(
            first, second, *counts, effect, None, note=f"cannot reach .05: {untied} tasks without a tie, {FEWEST} are needed"
        )
    if len(scaled) <= _ENUMERATED:
        p = float(stats.wilcoxon(scaled, zero_method="pratt", method=stats.PermutationMethod()).pvalue)
    else:
        p = float(stats.wilcoxon(scaled, zero_method="pratt").pvalue)
    return Pairwise(first, second, *counts, effect, min(1.0, p))
