"""The question: which pairs of items will belong together in a later period? Held-out pairs against popularity-matched ones.

Related are pairs that share at least ``least_together`` baskets of the judged period with a lift of ``least_lift`` or more,

    lift(a, b) = c_ab n / (c_a c_b)        c: baskets of the period that hold the items, n: all of its baskets

and whose items both occur in training. Each is matched with an unrelated pair (a, b'): b' is as popular in training as b
(its rank differs by RANKS at most), and shares no basket with a in the period. Without the match, popularity alone would
tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.metrics import average_precision_score

from sslplug.errors import DataError
from sslplug.randomness import Rng

RANKS = 20
"""How far an unrelated item's popularity rank may lie from the related one's."""
DRAWS = 50
DRAWN_BY = 42
"""The seed of the choice of pairs: they are one part of the data, not of a run."""

Scorer = Callable[[np.ndarray], np.ndarray]
"""(q,) items -> (q, items) scores of all items beside each of them, larger = nearer."""


@dataclass(frozen=True, eq=False)
class RelatedPairs:
    """The cases of one period.

    a, b, other  (cases,) int64: (a, b) are related, (a, other) are not
    head         (cases,) bool: b is among the items that make half of the training interactions
    """

    a: np.ndarray
    b: np.ndarray
    other: np.ndarray
    head: np.ndarray

    @property
    def metrics(self) -> dict[str, bool]:
        """What is measured, more being better: slices that hold no case are left out."""
        slices = [name for name, mask in (("head", self.head), ("tail", ~self.head)) if mask.any()]
        return dict.fromkeys(["mrr", "auc_pr", *(f"{m}/{s}" for s in slices for m in ("mrr", "auc_pr"))], True)

    def measure(self, scorer: Scorer) -> dict[str, np.ndarray]:
        """mrr: reciprocal rank of b among all items but a, beside a; ties count against it. auc_pr: average precision of
        related over unrelated pairs, over all cases (one number)."""
        queries, place = np.unique(self.a, return_inverse=True)
        rank = np.empty(len(self.a))
        score = np.empty((len(self.a), 2))
        for start in range(0, len(queries), 512):
            rows = np.flatnonzero((place >= start) & (place < start + 512))
            beside = np.asarray(scorer(queries[start : start + 512]), dtype=np.float64)[place[rows] - start]
            score[rows, 0] = beside[np.arange(len(rows)), self.b[rows]]
            score[rows, 1] = beside[np.arange(len(rows)), self.other[rows]]
            beside[np.arange(len(rows)), self.a[rows]] = -np.inf
            rank[rows] = (beside >= score[rows, :1]).sum(1)
        found = {"mrr": 1.0 / rank, "auc_pr": _precision(score)}
        for name, mask in (("head", self.head), ("tail", ~self.head)):
            if mask.any():
                found |= {f"mrr/{name}": 1.0 / rank[mask], f"auc_pr/{name}": _precision(score[mask])}
        return found


def _precision(score: np.ndarray) -> np.ndarray:
    truth = np.repeat([1, 0], len(score))
    return np.array([average_precision_score(truth, score.T.ravel())])


def related_pairs(
    later: sparse.csr_matrix, popularity: np.ndarray, least_together: int, least_lift: float, most: int, name: str
) -> RelatedPairs:
    """The cases of the period whose baskets are ``later`` (baskets, items); at most ``most``, drawn evenly among all there
    are.

    popularity  (items,) training interactions. Raises DataError where no pair is left.
    """
    together = sparse.triu(later.T @ later, k=1).tocoo()
    count = np.asarray(later.sum(0)).ravel()
    lift = together.data * later.shape[0] / (count[together.row] * count[together.col])
    known = (popularity[together.row] > 0) & (popularity[together.col] > 0)
    good = np.flatnonzero(known & (together.data >= least_together) & (lift >= least_lift))
    rng = Rng.root(DRAWN_BY).fork("related")
    draw = rng.numpy()
    good = np.sort(draw.permutation(good)[:most])
    # Which of the two asks is drawn too, so that neither side is the more popular by rule.
    turned = draw.random(len(good)) < 0.5
    a = np.where(turned, together.col[good], together.row[good]).astype(np.int64)
    b = np.where(turned, together.row[good], together.col[good]).astype(np.int64)
    other = _matched(a, b, (later.T @ later).tocsr(), popularity, rng.fork("others"))
    kept = other >= 0
    if not kept.any():
        raise DataError(
            f"{name}: no pair of items shares {least_together} baskets of the judged period with lift {least_lift} "
            f"({later.shape[0]} baskets) and has an unrelated pair of like popularity; lower data.least_together or "
            "data.least_lift, or widen data.gap."
        )
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    head = np.zeros(len(popularity), bool)
    head[order[2 * before < popularity.sum()]] = True
    return RelatedPairs(a[kept], b[kept], other[kept], head[b[kept]])


def _matched(a: np.ndarray, b: np.ndarray, together: sparse.csr_matrix, popularity: np.ndarray, rng: Rng) -> np.ndarray:
    """(cases,) an item as popular as b that never lies with a, or -1 where DRAWS draws found none."""
    order = np.argsort(-popularity, kind="stable")
    order = order[popularity[order] > 0]
    rank = np.full(len(popularity), -1, np.int64)
    rank[order] = np.arange(len(order))
    draw, found = rng.numpy(), np.full(len(a), -1, np.int64)
    for _ in range(DRAWS):
        left = np.flatnonzero(found < 0)
        if not len(left):
            break
        low = np.maximum(rank[b[left]] - RANKS, 0)
        high = np.minimum(rank[b[left]] + RANKS, len(order) - 1)
        item = order[draw.integers(low, high + 1)]
        apart = np.asarray(together[a[left], item]).ravel() == 0
        fits = apart & (item != a[left])
        found[left[fits]] = item[fits]
    return found
