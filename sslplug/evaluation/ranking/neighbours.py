"""Popularity and item neighbours: what ranks candidates without a model, from training interactions alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sslplug.evaluation.ranking.top import Scorer, inner_products

_WORK = 5_000_000


@dataclass(frozen=True)
class Popularity:
    """Every query gets the same order: ``counts`` (candidates,), how often a candidate was taken."""

    counts: np.ndarray

    @classmethod
    def of(cls, interactions: sparse.csr_matrix) -> Popularity:
        """Count the stored entries of (histories, candidates) interactions."""
        return cls(np.bincount(interactions.indices, minlength=interactions.shape[1]).astype(np.float32))

    def scorer(self, queries: int) -> Scorer:
        """The same scores for each of ``queries``."""
        return inner_products(np.ones((queries, 1)), self.counts[:, None])


@dataclass(frozen=True)
class ItemNeighbours:
    """Item-kNN: a candidate's score is the sum of its similarities to those of its neighbours that the query had.

    similar  (candidates, candidates) CSR: column j holds the neighbours of candidate j
    """

    similar: sparse.csr_matrix

    @classmethod
    def of(cls, interactions: sparse.csr_matrix, neighbours: int, shrink: float) -> ItemNeighbours:
        """The ``neighbours`` most similar candidates of each, by c_ij / (sqrt(c_i c_j) + shrink), c the counts of histories.

        Cosine of co-occurrence with a shrinkage that takes pairs with little support down (Sarwar et al. 2001; Deshpande and
        Karypis 2004). Costs the sum of squared lengths of the histories, in blocks of bounded memory.
        """
        histories = _binary(interactions)
        holders = histories.T.tocsr()
        counts = np.diff(holders.indptr).astype(np.float64)
        work = np.cumsum(holders @ np.diff(histories.indptr).astype(np.float64))
        n = histories.shape[1]
        parts = []
        start = 0
        while start < n:
            before = work[start - 1] if start else 0.0
            stop = max(start + 1, int(np.searchsorted(work, before + _WORK, side="right")))
            parts.append(_most_similar(holders[start:stop] @ histories, start, counts, neighbours, shrink))
            start = stop
        return cls(sparse.vstack(parts, format="csr").T.tocsr())

    def scores(self, profiles: sparse.csr_matrix) -> sparse.csr_matrix:
        """(q, candidates) CSR scores of (q, candidates) profiles: what each query had."""
        return sparse.csr_matrix(_binary(profiles) @ self.similar)

    def scorer(self, profiles: sparse.csr_matrix) -> Scorer:
        """Dense scores, block by block."""

        def score(places: np.ndarray) -> Tensor:
            return torch.from_numpy(self.scores(profiles[places]).toarray())

        return score


def _most_similar(
    together: sparse.csr_matrix, start: int, counts: np.ndarray, neighbours: int, shrink: float
) -> sparse.csr_matrix:
    """The largest similarities of each row of a block of co-occurrence counts; row r is candidate ``start + r``."""
    found = together.tocoo()
    other = found.row + start != found.col
    row, column, count = found.row[other].astype(np.int64), found.col[other], found.data[other].astype(np.float64)
    similarity = count / (np.sqrt(counts[row + start] * counts[column]) + shrink)
    order = np.argsort(row + 0.5 * (1.0 - similarity), kind="stable")  # similarity is at most 1: rows stay apart
    row = row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = order[rank < neighbours]
    values = (similarity[kept].astype(np.float32), (row[rank < neighbours], column[kept]))
    return sparse.csr_matrix(values, shape=together.shape)


def _binary(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Ones for the stored entries."""
    ones = np.ones(matrix.nnz, dtype=np.float32)
    return sparse.csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
