"""The same search by faiss (Johnson et al. 2019), where it is installed: for those who have it on a card."""

from __future__ import annotations

import importlib

import numpy as np
from scipy import sparse

from sslplug.errors import UsageError
from sslplug.evaluation.ranking.top import Lists


def best_by_faiss(queries: np.ndarray, candidates: np.ndarray, k: int, seen: sparse.csr_matrix) -> Lists:
    """The ``k`` largest inner products of each query by ``faiss.IndexFlatIP``, what was seen left out; as :func:`best`.

    The index knows no mask, so it is asked for as many more as the query with most has seen. UsageError where faiss is missing.
    """
    try:
        faiss = importlib.import_module("faiss")
    except ImportError as error:
        raise UsageError(
            "faiss is not installed; install faiss-cpu, or search by --index exact, which needs nothing."
        ) from error
    had = np.diff(seen.indptr)
    wide = min(len(candidates), k + int(had.max(initial=0)))
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(np.ascontiguousarray(candidates, dtype=np.float32))
    score, found = index.search(np.ascontiguousarray(queries, dtype=np.float32), wide)
    rows = np.arange(len(queries))[:, None]
    keys = np.repeat(np.arange(len(queries)), had) * len(candidates) + seen.indices
    free = ~np.isin(rows * len(candidates) + found, keys)
    order = np.argsort(~free, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(free, order, axis=1)
    return Lists(
        np.where(kept, np.take_along_axis(found, order, axis=1), -1).astype(np.int64),
        np.where(kept, np.take_along_axis(score, order, axis=1), -np.inf).astype(np.float32),
    )
