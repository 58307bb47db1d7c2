"""Segments of a scan: points that hang together by short steps (DBSCAN, Ester et al. 1996)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import DBSCAN
from torch import Tensor

from sslplug_lidar.geometry.voxels import voxelise


def clusters(
    xyz: Tensor,
    offsets: Tensor,
    reach: float = 0.25,
    fewest: int = 10,
    keep: Tensor | None = None,
    most: int = 50,
    cell: float = 0.0,
) -> Tensor:
    """(m,) int64: the segment of each point within its cloud, 0 the largest, -1 for none.

    ``reach`` metres and ``fewest`` points are DBSCAN's radius and density; ``keep`` (m,) bool: points that take part (not the
    ground); ``most``: the segments kept of a cloud, largest first. With ``cell`` > 0, points are joined in cells of that many
    metres first, each counting its points, which bounds the time on dense scans.
    """
    labels = np.full(len(xyz), -1, np.int64)
    taking = np.ones(len(xyz), bool) if keep is None else keep.cpu().numpy()
    points = xyz.detach().cpu()
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist()):
        rows = start + np.flatnonzero(taking[start:stop])
        if not len(rows):
            continue
        found = _one(points[rows], reach, fewest, cell)
        names, counts = np.unique(found[found >= 0], return_counts=True)
        rank = np.full(int(names.max()) + 2 if len(names) else 1, -1, np.int64)
        largest = names[np.argsort(-counts, kind="stable")[:most]]
        rank[largest] = np.arange(len(largest))
        labels[rows] = rank[found]  # -1, no segment, reads the last entry, which is -1
    return torch.from_numpy(labels).to(xyz.device)


def _one(points: Tensor, reach: float, fewest: int, cell: float) -> np.ndarray:
    """(p,) DBSCAN's labels of one cloud."""
    scan = DBSCAN(eps=reach, min_samples=fewest, algorithm="kd_tree")
    if cell <= 0:
        return np.asarray(scan.fit_predict(points.numpy()), np.int64)
    voxels = voxelise(points, torch.tensor([0, len(points)]), cell)
    weight = torch.bincount(voxels.of_point, minlength=len(voxels)).numpy()
    found = scan.fit_predict(voxels.mean(points).numpy(), sample_weight=weight)
    return np.asarray(found[voxels.of_point.numpy()], np.int64)
