"""Where the rows of packed clouds lie: owners, places, and groups of clouds of like size for padded computation."""

from __future__ import annotations

import torch
from torch import Tensor

TIGHT = 0.5
"""Clouds are padded together while each has at least this share of the largest one's points."""


def offsets_of(lengths: Tensor) -> Tensor:
    """(n + 1,) int64 offsets of clouds with these numbers of points."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def owner_of(offsets: Tensor) -> Tensor:
    """(m,) int64: the cloud of each point."""
    rows = torch.arange(len(offsets) - 1, device=offsets.device)
    return rows.repeat_interleave(offsets.diff(), output_size=int(offsets[-1]))


def place_of(offsets: Tensor) -> Tensor:
    """(m,) int64: the place of each point in its cloud, from 0."""
    return torch.arange(int(offsets[-1]), device=offsets.device) - offsets[:-1][owner_of(offsets)]


def like_sized(lengths: Tensor) -> list[Tensor]:
    """Clouds that hold points, in groups whose smallest has at least TIGHT of the points of the largest."""
    order = torch.argsort(lengths, descending=True, stable=True)
    sizes = lengths[order].tolist()
    groups, start = [], 0
    for place, size in enumerate(sizes):
        if size < TIGHT * sizes[start] or size == 0:
            if place > start:
                groups.append(order[start:place])
            start = place
        if size == 0:
            return groups
    return [*groups, order[start:]] if len(sizes) > start else groups


def padded_rows(offsets: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the clouds ``group`` side by side: (g, longest) int64 row numbers and (g, longest) bool, which are real.

    Padding names the cloud's first row.
    """
    lengths = offsets.diff()[group]
    column = torch.arange(int(lengths.max()), device=offsets.device)
    real = column < lengths[:, None]
    return offsets[:-1][group][:, None] + torch.where(real, column, 0), real
