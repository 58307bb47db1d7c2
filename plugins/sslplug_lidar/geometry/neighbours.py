"""Nearest neighbours and ball queries between packed clouds: cloud i of the queries looks in cloud i of the points."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sslplug.errors import DataError, UsageError

TREE_WIDTH = 3
"""Trees serve points of at most this many coordinates; more of them (features) are compared one with all, in pieces."""
PIECE = 1 << 22
"""At most this many distances are held at once."""


def nearest(query: Tensor, query_offsets: Tensor, xyz: Tensor, offsets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(q, k) int64 rows of ``xyz``, nearest first, and their (q, k) squared distances.

    Rows carry no gradient, squared distances do. Where a cloud has fewer than k points, its nearest one is repeated. Points may
    have any number of coordinates: (q, d) and (m, d). On a CPU a k-d tree answers in three dimensions.

    Raises:
        DataError: queries in a cloud without points.
    """
    rows = neighbour_rows(query, query_offsets, xyz, offsets, k)
    return rows, (query[:, None] - xyz[rows]).square().sum(2)


def ball(query: Tensor, query_offsets: Tensor, xyz: Tensor, offsets: Tensor, radius: float, k: int) -> tuple[Tensor, Tensor]:
    """As :func:`nearest`, but neighbours farther than ``radius`` are replaced by the nearest one.

    The nearest one itself may be farther than the radius, where nothing is within; its squared distance says so.
    """
    rows = neighbour_rows(query, query_offsets, xyz, offsets, k, radius)
    return rows, (query[:, None] - xyz[rows]).square().sum(2)


@torch.no_grad()
def neighbour_rows(
    query: Tensor, query_offsets: Tensor, xyz: Tensor, offsets: Tensor, k: int, radius: float = torch.inf
) -> Tensor:
    """(q, k) int64: the rows of :func:`nearest`, or of :func:`ball` with a ``radius``, without the distances."""
    if k < 1 or not radius > 0:
        raise UsageError(f"Neighbours: k = {k}, radius {radius}; expected at least one neighbour and a positive length.")
    if torch.compiler.is_exporting():
        raise UsageError("the k-d tree that finds nearest neighbours (scipy.spatial.cKDTree) is no operator of torch")
    alone = ((offsets.diff() == 0) & (query_offsets.diff() > 0)).nonzero()[:, 0]
    if len(alone):
        raise DataError(
            f"Cloud {int(alone[0])} of the batch has {int(query_offsets.diff()[alone[0]])} queries and no point to find; "
            "leave empty clouds out."
        )
    if query.dtype not in (torch.float32, torch.float64):
        query, xyz = query.float(), xyz.float()
    query, xyz = query.detach(), xyz.detach()
    with_tree = query.device.type == "cpu" and query.shape[1] <= TREE_WIDTH
    search = _by_tree if with_tree else _by_distance
    found = [
        start + search(query[a:b], xyz[start:stop], min(k, stop - start), radius)
        for a, b, start, stop in _spans(query_offsets, offsets)
        if b > a
    ]
    rows = [torch.nn.functional.pad(part, (0, k - part.shape[1]), value=-1) for part in found]
    joined = torch.cat(rows) if rows else torch.empty(0, k, dtype=torch.int64, device=query.device)
    return torch.where(joined < 0, joined[:, :1], joined)


def _spans(query_offsets: Tensor, offsets: Tensor) -> list[tuple[int, int, int, int]]:
    a, b = query_offsets.tolist(), offsets.tolist()
    return list(zip(a[:-1], a[1:], b[:-1], b[1:], strict=True))


def _by_tree(query: Tensor, xyz: Tensor, k: int, radius: float) -> Tensor:
    """(q, k) places in one cloud; those beyond the radius are the nearest one's."""
    tree = cKDTree(xyz.numpy(), balanced_tree=False)  # halving boxes, not points: no slower, and faster to build
    asked = query.numpy()
    threads = torch.get_num_threads()
    found = np.asarray(tree.query(asked, k=np.arange(1, k + 1), distance_upper_bound=radius, workers=threads)[1])
    missing = found == tree.n
    if missing.any():
        lost = missing[:, 0]
        if lost.any():
            found[lost, 0] = tree.query(asked[lost], k=1, workers=threads)[1]
        found = np.where(missing, found[:, :1], found)
    return torch.from_numpy(found)


def _by_distance(query: Tensor, xyz: Tensor, k: int, radius: float) -> Tensor:
    """As :func:`_by_tree`, comparing each query with all points, a piece of the queries at a time."""
    found = []
    # A matrix product is ten times as fast; its rounding may swap nearly equal neighbours: for features, not for positions.
    product = "use" if query.shape[1] > TREE_WIDTH else "donot_use"
    for part in torch.split(query, max(1, PIECE // len(xyz))):
        away = torch.cdist(part, xyz, compute_mode=f"{product}_mm_for_euclid_dist")
        distance, places = away.topk(k, dim=1, largest=False)
        found.append(torch.where(distance <= radius, places, places[:, :1]))
    return torch.cat(found)
