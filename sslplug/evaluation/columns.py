"""The rows a probe is fitted on: embeddings and raw features of a task's instances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from sslplug.contracts import RawFeatures, Task
from sslplug.errors import DataError
from sslplug.evaluation.probe import Features


def level_of(task: str, level: str, name: str, levels: Mapping[str, np.ndarray]) -> np.ndarray:
    """The embeddings of ``level``, which ``task`` judges. DataError where the encoder ``name`` made none of it."""
    if level not in levels:
        raise DataError(
            f"Task {task!r} judges level {level!r}, but the {name} encoder made {', '.join(sorted(levels))}. "
            "Choose an encoder with that level, or another task."
        )
    return levels[level]


def instances(task: Task, x: Features) -> Features:
    """(instances, f): the rows themselves, or for members the element-wise product and, for pairs, absolute difference.

    Embeddings of a link are compared as node2vec does (Grover and Leskovec 2016, Hadamard product); raw features get both
    operators, so do embeddings, so that no side has more to work with.
    """
    rows = x.tocsr() if _is_sparse(x) else np.asarray(x)
    if task.members is None:
        if rows.shape[0] != len(task.labels):
            raise DataError(f"Task {task.name!r}: {rows.shape[0]} rows of features for {len(task.labels)} labels.")
        return rows
    if len(task.members) and int(task.members.max()) >= rows.shape[0]:
        raise DataError(
            f"Task {task.name!r}: members name row {int(task.members.max())}, but features have {rows.shape[0]} rows."
        )
    product = rows[task.members[:, 0]]
    for column in range(1, task.members.shape[1]):
        other = rows[task.members[:, column]]
        product = product.multiply(other).tocsr() if _is_sparse(product) else product * other
    if task.members.shape[1] != 2:
        return product
    return _joined(product, abs(rows[task.members[:, 0]] - rows[task.members[:, 1]]))


def raw_instances(task: Task, raw: RawFeatures) -> RawFeatures:
    """Raw features of the instances. Of several members' categories what counts is whether all are the same (NaN if missing)."""
    if task.members is None or not raw.categorical:
        return RawFeatures(instances(task, raw.values), raw.categorical)
    values = np.asarray(raw.values)
    numbers = instances(task, np.delete(values, raw.categorical, axis=1))
    codes = values[:, raw.categorical][task.members].astype(np.float64)  # (n, k, categorical)
    same = (codes == codes[:, :1]).all(axis=1).astype(np.float64)
    return RawFeatures(_joined(numbers, np.where((codes >= 0).all(axis=1), same, np.nan)))


def beside(raw: RawFeatures, embeddings: np.ndarray) -> RawFeatures:
    """Raw columns first, so that the numbers of the categorical ones stay; float32, sparse where raw features are."""
    return RawFeatures(_joined(raw.values, embeddings), raw.categorical)


def _is_sparse(x: Features) -> bool:
    return bool(sparse.issparse(x))


def _joined(a: Features, b: Features) -> Features:
    if _is_sparse(a) or _is_sparse(b):
        return sparse.hstack([sparse.csr_matrix(a), sparse.csr_matrix(b)], format="csr", dtype=np.float32)
    return np.concatenate([np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)], axis=1)
