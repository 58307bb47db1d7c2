"""Mutual information of categorical fields over a catalogue, for correlated feature masking (Yao et al. 2021, section 3.3).

    MI(V_i, V_j) = sum_{a,b} P(a, b) log( P(a, b) / (P(a) P(b)) )      in nats

An entity with several values of a field draws one of them uniformly, each field by itself, so that every entity counts once:
P(a, b) = mean over entities of w_i(a) w_j(b) with w_i(a) = 1 / (number of its values of V_i). A missing value is a value.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sslplug_recsys.feature_table import FeatureTable


def mutual_information(table: FeatureTable) -> np.ndarray:
    """(fields, fields) float64, symmetric; the diagonal holds the entropies MI(V, V)."""
    n = max(len(table), 1)
    shares = [_shares(table, field) for field in range(len(table.fields))]
    alone = [np.asarray(one.sum(0)).ravel() / n for one in shares]
    found = np.zeros((len(shares), len(shares)))
    for i, (left, p) in enumerate(zip(shares, alone, strict=True)):
        some = p[p > 0]
        found[i, i] = -(some * np.log(some)).sum()
        for j in range(i):
            joint = (left.T @ shares[j]).tocoo()
            share = joint.data / n
            found[i, j] = found[j, i] = (share * np.log(share / (p[joint.row] * alone[j][joint.col]))).sum()
    return found


def _shares(table: FeatureTable, field: int) -> sparse.csr_matrix:
    """(entities, values) CSR whose rows sum to 1."""
    start, code = table.offsets[field].numpy(), table.codes[field].numpy()
    weight = 1.0 / np.repeat(np.maximum(np.diff(start), 1), np.diff(start))
    return sparse.csr_matrix((weight, code, start), (len(table), table.sizes[field]))


def correlated(information: np.ndarray) -> np.ndarray:
    """(fields, fields) bool: row s are the fields masked with seed s: itself and the floor(k / 2) others that tell most of it.

    One field is always left, so that its complement masks something. Ties go to the field that comes first.
    """
    k = len(information)
    others = min(k // 2, k - 2)
    masked = np.eye(k, dtype=bool)
    for seed in range(k):
        rest = np.delete(np.arange(k), seed)
        masked[seed, rest[np.argsort(-information[seed, rest], kind="stable")[:others]]] = True
    return masked
