"""The best candidates of every query, exactly: blocks of scores, what was seen masked, no loop over queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

Scorer = Callable[[np.ndarray], Tensor]
"""(b,) int64 places of queries -> (b, candidates) float32 scores that may be written into."""

_GROUP = 64
_BLOCK = 2_000_000
_FEWEST = 32


@dataclass(frozen=True)
class Lists:
    """The best ``k`` candidates of each query, best first.

    candidates  (q, k) int64; -1 where a query has fewer that it has not seen
    scores      (q, k) float32; -inf there
    """

    candidates: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.candidates)


def inner_products(queries: np.ndarray, candidates: np.ndarray) -> Scorer:
    """Scores of (q, d) queries and (c, d) candidates in float32."""
    a, b = (torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)) for rows in (queries, candidates))
    transposed = b.T
    return lambda places: a[torch.from_numpy(places)] @ transposed


def best(
    scorer: Scorer, queries: int, candidates: int, k: int, seen: sparse.csr_matrix, relevant: sparse.csr_matrix | None = None
) -> Lists:
    """The ``k`` best of ``candidates`` for each of ``queries``, in float32, in blocks of 8 MB of scores (32 queries at least).

    seen      (queries, candidates) CSR; its entries are never answered
    relevant  (queries, candidates) CSR for judging: ties are broken against it. A candidate that is relevant stands behind all
              others of its score, so a model that scores everything alike gets nothing for it. Without it equal scores stand in
              the order of the candidates' numbers, and which of several equal ones end the list is not said.

    Exact because the k groups of 64 candidates with the largest maxima hold k best candidates.
    """
    k = min(k, candidates)
    found, values = np.empty((queries, k), dtype=np.int64), np.empty((queries, k), dtype=np.float32)
    for places in blocks(queries, candidates):
        scores = scorer(places)
        if relevant is not None:
            at = _entries(relevant, places)
            scores[at] = torch.nextafter(scores[at], scores.new_tensor(-torch.inf))
        scores[_entries(seen, places)] = -torch.inf
        score, index = largest(scores, k)
        values[places], found[places] = score.numpy(), index.masked_fill(score == -torch.inf, -1).numpy()
    return Lists(found, values)


def largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(values, columns) of the ``k`` largest of each row, largest first, equal ones by column.

    A maximum over each group of columns leaves k groups to look into, which is much faster than ``torch.topk`` over wide rows.
    """
    rows, columns = scores.shape
    whole = columns // _GROUP
    if whole <= 2 * k:
        value, index = scores.topk(k, dim=1)
    else:
        grouped = scores[:, : whole * _GROUP].reshape(rows, whole, _GROUP)
        chosen = grouped.amax(dim=2).topk(k, dim=1).indices
        inside = (chosen[:, :, None] * _GROUP + torch.arange(_GROUP)).flatten(1)
        rest = torch.arange(whole * _GROUP, columns).expand(rows, -1)
        inside = torch.cat([inside, rest], dim=1)
        value, place = scores.gather(1, inside).topk(k, dim=1)
        index = inside.gather(1, place)
    by_column = index.argsort(dim=1)
    value, index = value.gather(1, by_column), index.gather(1, by_column)
    order = value.argsort(dim=1, descending=True, stable=True)
    return value.gather(1, order), index.gather(1, order)


def blocks(queries: int, candidates: int) -> Iterator[np.ndarray]:
    """Places of queries, as many at once as fit in a block with their scores."""
    step = max(_FEWEST, _BLOCK // max(candidates, 1))
    for start in range(0, queries, step):
        yield np.arange(start, min(start + step, queries))


def _entries(matrix: sparse.csr_matrix, places: np.ndarray) -> tuple[Tensor, Tensor]:
    """(rows within ``places``, columns) of the stored entries of consecutive rows."""
    starts = matrix.indptr[places[0] : places[-1] + 2].astype(np.int64)
    rows = np.repeat(np.arange(len(places)), np.diff(starts))
    return torch.from_numpy(rows), torch.from_numpy(matrix.indices[starts[0] : starts[-1]].astype(np.int64))
