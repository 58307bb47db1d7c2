"""Shape of neighbourhoods from the eigenvalues of their covariance, in numpy.

Weinmann et al. 2015, "Semantic point cloud interpretation based on optimal neighborhoods, relevant features and efficient
classifiers": linearity, planarity, scattering, omnivariance, anisotropy, eigenentropy, change of curvature; verticality.
"""

from __future__ import annotations

import numpy as np
import torch

from sslplug_lidar.geometry import neighbour_rows

SHAPE = (
    "linearity",
    "planarity",
    "scattering",
    "omnivariance",
    "anisotropy",
    "eigenentropy",
    "curvature",
    "size",
    "verticality",
    "slope",
)
"""Columns of :func:`shape`: verticality is that of the normal, slope that of the longest axis."""
PIECE = 200_000
"""Neighbourhoods that are worked on at once."""


def shape(covariance: np.ndarray) -> np.ndarray:
    """(p, len(SHAPE)) from covariances (p, 3, 3), units of metres squared; zeros where all points coincide."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    low, middle, high = values.T
    top = np.where(high > 1e-12, high, 1.0)
    total = np.where(high > 1e-12, values.sum(1), 1.0)
    share = np.maximum(values / total[:, None], 1e-12)
    columns = [
        (high - middle) / top,
        (middle - low) / top,
        low / top,
        np.cbrt(values.prod(1)),
        (high - low) / top,
        np.where(high > 1e-12, -(share * np.log(share)).sum(1), 0.0),
        low / total,
        np.sqrt(values.sum(1)),
        1 - np.abs(vectors[:, 2, 0]),
        np.abs(vectors[:, 2, 2]),
    ]
    return np.where(high[:, None] > 1e-12, np.stack(columns, 1), 0.0).astype(np.float32)


def neighbourhoods(
    query: np.ndarray, query_offsets: np.ndarray, xyz: np.ndarray, offsets: np.ndarray, k: int, radius: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """(q, k) rows of the nearest points within ``radius`` and (q, k) bool which of them are real, not repeats of the first."""
    rows = neighbour_rows(
        torch.from_numpy(query), torch.from_numpy(query_offsets), torch.from_numpy(xyz), torch.from_numpy(offsets), k, radius
    ).numpy()
    real = rows != rows[:, :1]
    real[:, 0] = True
    return rows, real


def covariances(xyz: np.ndarray, rows: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (q, 3) and covariances (q, 3, 3) of the points ``rows`` (q, k) that are ``real``."""
    near, weight = xyz[rows].astype(np.float64), real[..., None] / real.sum(1)[:, None, None]
    mean = (near * weight).sum(1)
    off = near - mean[:, None]
    return mean, np.einsum("qki,qkj->qij", off * weight, off)


def local_shape(query: np.ndarray, query_offsets: np.ndarray, xyz: np.ndarray, offsets: np.ndarray, k: int) -> np.ndarray:
    """(q, len(SHAPE)) of the k points of packed clouds that are nearest to each query."""
    rows, real = neighbourhoods(query, query_offsets, xyz, offsets, k)
    pieces = [
        shape(covariances(xyz, rows[a : a + PIECE], real[a : a + PIECE])[1]) for a in range(0, max(len(rows), 1), PIECE)
    ]
    return np.concatenate(pieces)
