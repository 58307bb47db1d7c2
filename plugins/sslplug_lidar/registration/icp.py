"""Iterative closest points: rigid motion between two clouds without features, from a first guess.

Point to point: Besl and McKay 1992. Point to plane: Chen and Medioni 1992, linearised as by Low 2004. Trimmed: each round
keeps the share of matches that lie nearest (Chetverikov et al. 2002), so that parts without a partner do not pull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sslplug_lidar.geometry import apply, compose, kabsch, nearest


@dataclass(frozen=True)
class Icp:
    """How closest points are matched.

    error      what is made small: the distance to the matched point, or to its tangent plane
    kept       share of the matches that are kept each round
    rounds     most rounds
    tolerance  metres: stop when no point moves further in a round
    around     neighbours that span a tangent plane
    """

    error: Literal["point", "plane"] = "plane"
    kept: float = 0.8
    rounds: int = 40
    tolerance: float = 1e-4
    around: int = 10


def icp(source: Tensor, target: Tensor, first: Tensor | None = None, how: Icp | None = None) -> Tensor:
    """(4, 4) float64 motion from source (m, 3) to target (k, 3) coordinates, starting at ``first`` (default: no motion)."""
    how = how or Icp()
    source, target = source.double(), target.double()
    motion = torch.eye(4, dtype=torch.float64, device=source.device) if first is None else first.double()
    normals = tangent_normals(target, how.around) if how.error == "plane" else None
    count = max(3, round(how.kept * len(source)))
    for _ in range(how.rounds):
        ahead = apply(motion, source)
        place, away = nearest_in(ahead, target, 1)
        best = away[:, 0].topk(min(count, len(source)), largest=False).indices
        matched = place[best, 0]
        if normals is None:
            step = kabsch(ahead[best], target[matched])
        else:
            step = plane_step(ahead[best], target[matched], normals[matched])
        motion = step @ motion
        if float((apply(step, ahead) - ahead).norm(dim=1).max()) < how.tolerance:
            break
    return motion


def one(rows: Tensor) -> Tensor:
    """(2,) offsets of rows that are all one cloud."""
    return torch.tensor([0, len(rows)], device=rows.device)


def nearest_in(query: Tensor, xyz: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(q, k) nearest points of one cloud and squared distances; see :func:`sslplug_lidar.geometry.nearest`."""
    return nearest(query, one(query), xyz, one(xyz), k)


def tangent_normals(xyz: Tensor, k: int) -> Tensor:
    """(m, 3) unit normals of one cloud: the direction in which each point's k neighbours and itself spread least."""
    near = xyz[nearest_in(xyz, xyz, k + 1)[0]]
    spread = near - near.mean(1, keepdim=True)
    axes: Tensor = torch.linalg.eigh(spread.transpose(1, 2) @ spread).eigenvectors
    return axes[:, :, 0]


def plane_step(source: Tensor, target: Tensor, normals: Tensor) -> Tensor:
    """(4, 4) the small motion of least sum ((T s - t) . n)^2, its rotation made exact.

    A direction that no plane fixes (a lone wall, level ground) is left alone, by a little damping.
    """
    rows = torch.cat([torch.linalg.cross(source, normals), normals], 1)
    right = ((target - source) * normals).sum(1)
    square = rows.T @ rows
    damp = 1e-9 * square.diagonal().mean().clamp(min=1e-12) * torch.eye(6, dtype=square.dtype, device=square.device)
    turn, shift = torch.linalg.solve(square + damp, rows.T @ right).split(3)
    return compose(rotation(turn), shift)


def rotation(turn: Tensor) -> Tensor:
    """(3, 3) rotation about the axis ``turn`` by its length in radians."""
    x, y, z = turn
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    turned: Tensor = torch.linalg.matrix_exp(cross)
    return turned
