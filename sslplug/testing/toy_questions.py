"""The toy domain's questions without labels: a ranking of rows for rows, and a measure of neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from sslplug.contracts import MeasuredTask, RankingPart, RankingTask


def same_cluster(classes: np.ndarray, generator: np.random.Generator) -> RankingTask:
    """Which rows are of my cluster? Half of the rows ask in validation, half in the test; each has seen itself and three others."""
    n = len(classes)
    same = classes[:, None] == classes[None, :]
    shown = np.argsort(np.where(same, generator.random((n, n)), 2.0), axis=1)[:, :3]
    seen = np.eye(n, dtype=bool)
    seen[np.arange(n)[:, None], shown] = True
    parts = {}
    for name, rows in zip(("val", "test"), np.array_split(generator.permutation(n).astype(np.int64), 2), strict=True):
        parts[name] = RankingPart(rows, sparse.csr_matrix(same[rows] & ~seen[rows]), sparse.csr_matrix(seen[rows]))
    names = [f"row-{number}" for number in range(n)]
    rare = np.bincount(np.concatenate([shown.ravel(), np.arange(n)]), minlength=n) < 4
    return RankingTask(
        "same-cluster", "row", "row", parts, "half of the rows ask", {"rare": rare}, "cosine", (5, 10),
        interactions=sparse.csr_matrix(seen), query_names=names, candidate_names=names,
    )  # fmt: skip


def nearest(classes: np.ndarray, cells: np.ndarray) -> MeasuredTask:
    """Is my nearest row of my cluster? By embeddings, or by the cells themselves."""

    def agree(rows: np.ndarray) -> dict[str, np.ndarray]:
        unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        similarity = unit @ unit.T
        np.fill_diagonal(similarity, -np.inf)
        return {"agreement": (classes[similarity.argmax(axis=1)] == classes).astype(np.float64)}

    def measure(levels: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return agree(levels["row"])

    baselines = {"cells": lambda: agree(cells.reshape(len(cells), -1))}
    return MeasuredTask("nearest", "row", "every row", {"agreement": True}, measure, baselines)
