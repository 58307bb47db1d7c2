"""Chamfer distance: mean squared distance to the nearest point of the other cloud, both ways (Fan et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug_lidar.geometry.neighbours import nearest
from sslplug_lidar.geometry.packing import owner_of
from sslplug_lidar.geometry.segments import segment_mean


def chamfer(a: Tensor, a_offsets: Tensor, b: Tensor, b_offsets: Tensor) -> Tensor:
    """(n,) mean_a min_b |a - b|^2 + mean_b min_a |b - a|^2 of n pairs of packed clouds, (p, 3) and (q, 3); squared units.

    Nearest points are found without gradients and the distance to them is differentiated, which is the gradient of the dense
    form. Two empty clouds are 0 apart; one empty cloud against points is refused (DataError).
    """
    n = len(a_offsets) - 1
    there = nearest(a, a_offsets, b, b_offsets, 1)[1][:, 0]
    back = nearest(b, b_offsets, a, a_offsets, 1)[1][:, 0]
    return segment_mean(there, owner_of(a_offsets), n) + segment_mean(back, owner_of(b_offsets), n)


def chamfer_each(a: Tensor, b: Tensor) -> Tensor:
    """(g,) Chamfer distances of g small pairs of equal size, (g, p, 3) and (g, q, 3): patches.

    All p x q distances of a pair are compared, without gradients; memory g x p x q.
    """
    with torch.no_grad():
        away = (a[:, :, None] - b[:, None]).square().sum(3)
        to_b, to_a = away.argmin(2), away.argmin(1)
    there = (a - b.gather(1, to_b[:, :, None].expand(-1, -1, 3))).square().sum(2)
    back = (b - a.gather(1, to_a[:, :, None].expand(-1, -1, 3))).square().sum(2)
    return there.mean(1) + back.mean(1)
