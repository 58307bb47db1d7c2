"""Features of points from those of a few centres: inverse-distance means of the three nearest (PointNet++, Qi et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from sslplug_lidar.geometry.neighbours import nearest


def near_weights(query: Tensor, query_offsets: Tensor, xyz: Tensor, offsets: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    """(q, k) rows of the nearest centres and their (q, k) weights, 1 / squared distance brought to sum 1; no gradient."""
    rows, away = nearest(query.detach(), query_offsets, xyz.detach(), offsets, k)
    weights = 1 / away.clamp(min=1e-8)
    return rows, weights / weights.sum(1, keepdim=True)


def interpolate(values: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """(q, d) weighted means of the rows (q, k) of values (c, d)."""
    out = values[rows[:, 0]] * weights[:, :1]
    for column in range(1, rows.shape[1]):  # one at a time: k times less memory than all gathered
        out = out + values[rows[:, column]] * weights[:, column : column + 1]
    return out
