"""The similarity of a ranking task as an inner product."""

from __future__ import annotations

import numpy as np

from sslplug.contracts import RankingTask


def scaled(task: RankingTask, query: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings whose inner product is the task's similarity: as they are, or rows of length one (a zero row stays zero)."""
    if task.similarity == "dot":
        return query, candidate
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (query, candidate)]
    return unit[0], unit[1]
