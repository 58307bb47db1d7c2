"""From rows to clouds, and the embedding both levels make."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslplug_lidar.geometry.segments import segment_max, segment_mean

Pool = Literal["max", "mean", "max_mean"]


def pool(how: Pool, rows: Tensor, owner: Tensor, n: int) -> Tensor:
    """(n, pooled_width) of rows (m, d); a cloud without rows is zeros."""
    if how == "max":
        return segment_max(rows, owner, n)
    if how == "mean":
        return segment_mean(rows, owner, n)
    return torch.cat([segment_max(rows, owner, n), segment_mean(rows, owner, n)], 1)


def pooled_width(how: Pool, width: int) -> int:
    """Columns of :func:`pool`."""
    return 2 * width if how == "max_mean" else width
