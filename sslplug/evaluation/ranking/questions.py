"""What a ranking task asks, made ready: the queries with something relevant, what each had before, what controls learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sslplug.contracts import RankingPart, RankingTask
from sslplug.contracts.ranking import entries


@dataclass(frozen=True)
class Questions:
    """The queries of one part that have something relevant.

    queries   (q,) int64 rows of the query level
    relevant, seen  (q, candidates) CSR
    profile   (q, candidates) CSR: what the query had when it was embedded: as the part says, else ``seen`` without what the other
              part asks of the same row. That the embedding did not know, so controls shall not either
    """

    queries: np.ndarray
    relevant: sparse.csr_matrix
    seen: sparse.csr_matrix
    profile: sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, places: np.ndarray) -> Questions:
        """Some of them."""
        return Questions(self.queries[places], self.relevant[places], self.seen[places], self.profile[places])


def questions(task: RankingTask, part: str) -> Questions:
    """The questions of ``part``, "val" or "test"."""
    own, other = task.parts[part], task.parts["test" if part == "val" else "val"]
    asked = np.flatnonzero(np.diff(own.relevant.indptr))
    queries, seen = own.queries[asked], own.seen[asked]
    profile = _without(seen, queries, other) if own.profile is None else own.profile[asked]
    return Questions(queries, own.relevant[asked], seen, profile)


def interactions(task: RankingTask) -> sparse.csr_matrix:
    """(histories, candidates) CSR: what popularity and item-kNN learn from."""
    if task.interactions is not None:
        return task.interactions
    return task.parts["val" if len(task.parts["val"].queries) else "test"].seen


def _without(seen: sparse.csr_matrix, queries: np.ndarray, other: RankingPart) -> sparse.csr_matrix:
    """``seen`` less what the other part asks of the same query rows."""
    row, column = np.divmod(entries(other.relevant), seen.shape[1])
    asked = other.queries[row] * seen.shape[1] + column
    row, column = np.divmod(entries(seen), seen.shape[1])
    kept = ~np.isin(queries[row] * seen.shape[1] + column, asked)
    values = (np.ones(int(kept.sum()), np.float32), (row[kept], column[kept]))
    return sparse.csr_matrix(values, shape=seen.shape)
