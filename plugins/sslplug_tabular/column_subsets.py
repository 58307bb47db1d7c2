"""Overlapping subsets of the columns (SubTab, Ucar et al. 2021, arXiv:2110.04361): the views' and the encoder's, once.

    w = D // K,  o = int(overlap w),  subset 0 = [0, w + o),  subset i = [i w - o, (i + 1) w)

of the columns in an order shuffled by a seed. The published code drops the last D mod K columns; here the last subset has them.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options
from sslplug.errors import UsageError
from sslplug.randomness import Rng


class SubsetLayout(Options):
    """Which columns are in which subset."""

    count: int = Field(4, ge=2, description="number of column subsets, K")
    overlap: float = Field(0.75, ge=0, le=1, description="share of its width by which a subset reaches into its neighbour")
    order: int = Field(0, ge=-1, description="seed of the columns' order; -1: the data's own order")


def hidden_in(layout: SubsetLayout, columns: int) -> Tensor:
    """(K, D) bool: the columns that are not in each subset. UsageError where there are fewer columns than subsets."""
    if columns < layout.count:
        raise UsageError(f"{columns} columns cannot be split into {layout.count} subsets; set count to {columns} or less.")
    width = columns // layout.count
    reach = int(layout.overlap * width)
    order = torch.arange(columns)
    if layout.order >= 0:
        order = torch.randperm(columns, generator=Rng.root(layout.order).fork("columns").torch())
    hidden = torch.ones(layout.count, columns, dtype=torch.bool)
    for number in range(layout.count):
        start = max(number * width - reach, 0)
        stop = width + reach if number == 0 else (number + 1) * width
        hidden[number, order[start : columns if number + 1 == layout.count else stop]] = False
    return hidden
