"""Metrics of lists: recall, NDCG, MRR, MAP, hit rate and coverage at each cutoff, all queries at once.

Relevance is 0 or 1, p_i is 1 where place i of the list is relevant, n the number of relevant candidates of the query:

    recall@k  sum_{i<=k} p_i / n
    ndcg@k    sum_{i<=k} p_i / log2(i + 1), divided by its largest value: the first min(k, n) places relevant
    mrr@k     1 / (the first relevant place), 0 without one among k
    map@k     sum_{i<=k} p_i (sum_{j<=i} p_j) / i, divided by min(k, n)
    hit@k     1 where any of k is relevant
    coverage@k  share of all candidates that stand in at least one list of k

Each but the last is a mean over the queries that have something relevant; the others are not asked. In a slice of the
candidates ("recall@20/tail") p and n count relevant candidates of the slice alone; the lists stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from sslplug.contracts.ranking import entries
from sslplug.evaluation.ranking.top import Lists

IN_SLICES = ("ndcg", "recall")
"""What is also measured on slices of the candidates."""


def measure_lists(
    lists: Lists, relevant: sparse.csr_matrix, cutoffs: Sequence[int], slices: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """{metric: (queries,) values}, NaN where a query has nothing relevant; primary (ndcg at the first cutoff) first.

    relevant  (queries, candidates) CSR;  slices  {name: (candidates,) bool}

    Coverage is one number, (1,). Lists shorter than a cutoff are judged as they are.
    """
    values = _values(lists, relevant, cutoffs)
    asked = np.diff(relevant.indptr) > 0
    for k in cutoffs:
        answered = lists.candidates[asked, :k]
        different = len(np.unique(answered[answered >= 0]))
        values[f"coverage@{k}"] = np.array([different / relevant.shape[1]])
    for name, mask in slices.items():
        inside = _values(lists, _within(relevant, mask), cutoffs)
        values |= {f"{metric}/{name}": array for metric, array in inside.items() if metric.split("@")[0] in IN_SLICES}
    return values


def headline(metrics: Sequence[str]) -> list[str]:
    """The metrics of a ranking that tables print: ndcg and recall at the first cutoff, whole and in slices."""
    cutoff = metrics[0].partition("@")[2]
    return [metric for metric in metrics if metric.split("/")[0] in {f"{name}@{cutoff}" for name in IN_SLICES}]


def _values(lists: Lists, relevant: sparse.csr_matrix, cutoffs: Sequence[int]) -> dict[str, np.ndarray]:
    n = np.diff(relevant.indptr)
    hit = _hits(lists.candidates[:, : max(cutoffs)], relevant)
    place = np.arange(1, hit.shape[1] + 1)
    gain = hit / np.log2(place + 1.0)
    precision = hit * np.cumsum(hit, axis=1) / place
    first = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {}
        for k in cutoffs:
            ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])[np.minimum(n, k)]
            found[f"ndcg@{k}"] = gain[:, :k].sum(axis=1) / ideal
            found[f"recall@{k}"] = hit[:, :k].sum(axis=1) / n
            found[f"mrr@{k}"] = np.where(first <= k, 1.0 / first, 0.0)
            found[f"map@{k}"] = precision[:, :k].sum(axis=1) / np.minimum(n, k)
            found[f"hit@{k}"] = (first <= k).astype(np.float64)
    return {metric: np.where(n > 0, values, np.nan) for metric, values in found.items()}


def _hits(candidates: np.ndarray, relevant: sparse.csr_matrix) -> np.ndarray:
    """(q, k) float: 1 where the candidate on the list is relevant."""
    keys = np.arange(len(candidates))[:, None] * relevant.shape[1] + candidates
    hits: np.ndarray = (np.isin(keys, entries(relevant)) & (candidates >= 0)).astype(np.float64)
    return hits


def _within(relevant: sparse.csr_matrix, mask: np.ndarray) -> sparse.csr_matrix:
    """The entries whose column is in the mask."""
    kept = mask[relevant.indices]
    indptr = np.concatenate([[0], np.cumsum(kept)])[relevant.indptr]
    return sparse.csr_matrix((np.ones(int(kept.sum()), np.float32), relevant.indices[kept], indptr), shape=relevant.shape)
