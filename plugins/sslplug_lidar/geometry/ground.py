"""The ground of a scan: the nearly level plane that most points lie on, by random sample consensus (Fischler, Bolles 1981)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.geometry.packing import owner_of

PIECE = 1 << 23
"""At most this many distances to candidate planes are held at once."""


def ground(
    xyz: Tensor, offsets: Tensor, rng: Rng, within: float = 0.25, tilt: float = 15.0, trials: int = 200, judges: int = 4096
) -> Tensor:
    """(m,) bool: points within ``within`` metres of their cloud's ground plane.

    Each of ``trials`` planes through three drawn points counts if its normal is within ``tilt`` degrees of z; the plane with
    most inliers wins, counted on an even subset of about ``judges`` points of the cloud. A cloud without such a plane (fewer
    than three points, or all walls) has no ground.
    """
    n, device = len(offsets) - 1, xyz.device
    lengths = offsets.diff()
    points = xyz.detach().float()
    plane = torch.zeros(n, 4, device=device)
    found = torch.zeros(n, dtype=torch.bool, device=device)
    clouds = (lengths >= 3).nonzero()[:, 0]
    if not len(clouds):
        return torch.zeros(len(xyz), dtype=torch.bool, device=device)
    draw = rng.uniform(clouds, 3 * trials).view(-1, trials, 3)
    rows = (draw * lengths[clouds][:, None, None]).long().clamp(max=(lengths[clouds] - 1)[:, None, None])
    corners = points[offsets[:-1][clouds][:, None, None] + rows]
    normal = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    length = normal.norm(dim=2)
    usable = (normal[:, :, 2].abs() > math.cos(math.radians(tilt)) * length) & (length > 0)
    normal = normal / length.clamp(min=1e-12)[:, :, None]
    height = (normal * corners[:, :, 0]).sum(2)
    for number, cloud in enumerate(clouds.tolist()):
        candidates = usable[number].nonzero()[:, 0]
        if not len(candidates):
            continue
        start, stop = int(offsets[cloud]), int(offsets[cloud + 1])
        judged = points[start : stop : max(1, (stop - start) // judges)]
        inliers = torch.cat(
            [
                ((judged @ normal[number, part].T - height[number, part]).abs() < within).sum(0)
                for part in candidates.split(max(1, PIECE // len(judged)))
            ]
        )
        best = candidates[inliers.argmax()]
        plane[cloud] = torch.cat([normal[number, best], height[number, best][None]])
        found[cloud] = True
    owner = owner_of(offsets)
    away = (points * plane[owner, :3]).sum(1) - plane[owner, 3]
    return (away.abs() < within) & found[owner]
