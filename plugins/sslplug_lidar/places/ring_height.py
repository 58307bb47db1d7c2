"""A hand-made descriptor of a place: the tallest point in each ring and sector around the sensor (Kim and Kim 2018, Scan Context).

Two sweeps of a place seen at different headings have the same table up to a turn of its sectors, so they are compared at every
turn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def ring_heights(xyz: Tensor, reach: float, rings: int = 20, sectors: int = 60, floor: float = 3.0) -> Tensor:
    """(rings, sectors) height in metres of the tallest point of one sweep (m, 3) in each cell; 0 where there is none.

    reach  metres: the outer ring ends here;  floor  added to heights, so that points below the sensor count too
    """
    away = xyz[:, :2].norm(dim=1)
    kept = away < reach
    ring = (away[kept] / reach * rings).long().clamp(max=rings - 1)
    turn = torch.atan2(xyz[kept, 1], xyz[kept, 0]) / (2 * math.pi) + 0.5
    cell = ring * sectors + (turn * sectors).long().clamp(max=sectors - 1)
    height = (xyz[kept, 2] + floor).clamp(min=0)
    return xyz.new_zeros(rings * sectors).scatter_reduce(0, cell, height, "amax").view(rings, sectors)


def alike(tables: Tensor) -> Tensor:
    """(n, n) similarity of n places (n, rings, sectors), the best over all turns.

    Of one turn: the mean cosine of the sectors that hold something in both.
    """
    n, _, sectors = tables.shape
    length = tables.norm(dim=1)
    unit = tables / length.clamp(min=1e-9)[:, None]
    seen = (length > 0).to(tables.dtype)
    best = tables.new_full((n, n), -1.0)
    for turn in range(sectors):
        product = unit.flatten(1) @ unit.roll(turn, 2).flatten(1).T
        both = seen @ seen.roll(turn, 1).T
        best = torch.maximum(best, product / both.clamp(min=1))
    return best
