"""Sums, means and maxima of rows by their owner."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_sum(values: Tensor, owner: Tensor, n: int) -> Tensor:
    """(n, d) sums of the rows of ``values`` (m, d) with each ``owner`` (m,) int64; zeros where there is none."""
    values = values if values.dtype == torch.float64 else values.float()  # half precision would lose a sum of many
    return values.new_zeros(n, *values.shape[1:]).index_add(0, owner, values)


def segment_mean(values: Tensor, owner: Tensor, n: int) -> Tensor:
    """(n, d) means of the rows of ``values`` (m, d) with each ``owner`` (m,) int64; zeros where there is none."""
    counts = torch.bincount(owner, minlength=n).clamp(min=1)
    return segment_sum(values, owner, n) / counts.view(-1, *[1] * (values.ndim - 1))


def segment_max(values: Tensor, owner: Tensor, n: int) -> Tensor:
    """(n, d) maxima of the rows of ``values`` (m, d) with each ``owner`` (m,) int64; zeros where there is none."""
    index = owner.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    return values.new_zeros(n, *values.shape[1:]).scatter_reduce(0, index, values, "amax", include_self=False)
