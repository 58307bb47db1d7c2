"""Flow refined for one pair of clouds at run time: the moved points shall meet the target, and neighbours move alike.

    F* = F + R,   R (n, 3) free, from 0
    L = mean_x p(x) min_y |x + F*(x) - y|^2 [+ backward * mean_y min_x |x + F*(x) - y|^2]
        + smooth * mean_x mean_{x' near x} |F*(x) - F*(x')|_1

Lang et al. 2023 (SCOOP), section 3.4: Adam, 150 steps for whole clouds. Ours: nearest points are looked up every few steps and
held in between, and the step falls along a cosine, so that the last one is small.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslplug_lidar.registration.icp import nearest_in


@dataclass(frozen=True)
class Refinement:
    """How flow is refined.

    steps      Adam steps;  lr  their length in metres
    smooth     weight of smoothness;  neighbours  how many points around each shall move alike
    backward   weight of the distance from the target to the moved points
    look_up    steps between two searches for nearest points
    """

    steps: int = 150
    lr: float = 0.05
    smooth: float = 1.0
    neighbours: int = 16
    backward: float = 0.0
    look_up: int = 10


def roughness(flow: Tensor, near: Tensor) -> Tensor:
    """Mean over points of the mean over their neighbours of the L1 difference of flow; ``near`` (n, k) without the point."""
    return (flow[:, None] - flow[near]).abs().sum(2).mean()


def around(xyz: Tensor, k: int) -> Tensor:
    """(n, k) the nearest other points of each point of one cloud; its nearest one repeated where there are fewer.

    The first neighbour found is the point itself, and is left out.
    """
    return nearest_in(xyz, xyz, k + 1)[0][:, 1:]


def refine(source: Tensor, target: Tensor, flow: Tensor, sure: Tensor, how: Refinement) -> Tensor:
    """(n, 3) refined flow of one pair, without gradient. ``sure`` (n,) weighs the points of the source, not negative."""
    near = around(source, how.neighbours)
    with torch.enable_grad():
        change = torch.zeros_like(flow).requires_grad_()
        adam = torch.optim.Adam([change], lr=how.lr)
        steady = torch.optim.lr_scheduler.CosineAnnealingLR(adam, how.steps)
        for step in range(how.steps):
            ahead = source + flow + change
            if step % how.look_up == 0:
                there = nearest_in(ahead.detach(), target, 1)[0][:, 0]
                back = nearest_in(target, ahead.detach(), 1)[0][:, 0] if how.backward else None
            loss = (sure * (ahead - target[there]).square().sum(1)).mean() + how.smooth * roughness(flow + change, near)
            if back is not None:
                loss = loss + how.backward * (ahead[back] - target).square().sum(1).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            steady.step()
    return (flow + change).detach()
