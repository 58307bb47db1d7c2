"""What an engineer would tell a boosted tree of a (history, item) pair: all of a (user, item) pair, and what came last.

Everything is counted on training sequences. A test history also holds its validation item, as it does for every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from sslplug.contracts import RawFeatures
from sslplug_recsys.raw_features import CHUNK, PairTable
from sslplug_recsys.sequential.cuts import Sequences

REACH = 3
"""A step counts as followed by the items up to so many places later, the k-th with weight 1/k."""
FADE = 0.8
"""What an item of a history weighs less for each later one."""
SHRINK = 5.0


@dataclass(frozen=True, eq=False)
class HistoryTable:
    """Features of pairs.

    pairs      features of (user, item), of training pairs
    train      training sequences
    histories  those that ask, one an embedding row, with the number of their sequence in ``user``
    """

    pairs: PairTable
    train: Sequences
    histories: Sequences
    user: np.ndarray
    items: int

    def features(self, rows: np.ndarray, items: np.ndarray) -> RawFeatures:
        """(p, f) features of the pairs (histories[rows[i]], items[i]).

        Columns: length of the history; how often the item is in it; share of the times that the item came soon after the
        last item; the same summed over the history, recent items weighing more; similarity to the last item and, likewise
        weighed, to the history; whether the last item came soon after it; then those of :class:`PairTable`.
        """
        of_pairs = self.pairs.features(self.user[rows], items)
        parts = [self._chunk(rows[a : a + CHUNK], items[a : a + CHUNK]) for a in range(0, max(len(rows), 1), CHUNK)]
        own = np.concatenate(parts).astype(np.float32)
        values = np.column_stack([own, np.asarray(of_pairs.values)])
        return RawFeatures(values, tuple(own.shape[1] + column for column in of_pairs.categorical))

    def _chunk(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        queries, place = np.unique(rows, return_inverse=True)
        recent, last, had = (_weights(self.histories, queries, self.items, fade) for fade in (FADE, 0.0, 1.0))
        follow, back, near = self._follow, self._follow.T.tocsr(), self.pairs.similar

        def of(weights: sparse.csr_matrix, relation: sparse.csr_matrix) -> np.ndarray:
            return np.asarray((weights @ relation).tocsr()[place, items]).ravel()

        return np.column_stack(
            [
                self.histories.lengths[rows],
                np.asarray(had[place, items]).ravel(),
                of(last, follow),
                of(recent, follow),
                of(last, near.T.tocsr()),
                of(recent, near.T.tocsr()),
                of(last, back),
            ]
        )

    @cached_property
    def _follow(self) -> sparse.csr_matrix:
        """(items, items) CSR: weighted count of j soon after i, over the shrunk sum of all that came soon after i."""
        owner, rows, columns, weights = self.train.owner, [], [], []
        for reach in range(1, REACH + 1):
            same = owner[reach:] == owner[:-reach]
            rows.append(self.train.items[:-reach][same])
            columns.append(self.train.items[reach:][same])
            weights.append(np.full(int(same.sum()), 1.0 / reach))
        entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
        counted = sparse.csr_matrix(entries, (self.items, self.items))
        total = np.asarray(counted.sum(1)).ravel()
        shares: sparse.csr_matrix = (sparse.diags(1.0 / (total + SHRINK)) @ counted).tocsr()
        return shares


def _weights(histories: Sequences, chosen: np.ndarray, items: int, fade: float) -> sparse.csr_matrix:
    """(chosen, items) CSR: sum over an item's places of fade^(items after it); fade 0 keeps the last alone, 1 counts."""
    part = histories.between(np.zeros(len(chosen), np.int64), histories.lengths[chosen], chosen)
    after = part.offsets[1:][part.owner] - 1 - np.arange(len(part.items))
    weight = np.power(fade, after.astype(np.float64)) if fade else (after == 0).astype(np.float64)
    kept = weight > 0
    return sparse.csr_matrix((weight[kept], (part.owner[kept], part.items[kept])), (len(chosen), items))
