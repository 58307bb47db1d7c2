"""Layers on packed rows: norms that take any number of rows, and perceptrons made with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch", "layer"]


class RowBatchNorm(nn.BatchNorm1d):
    """Batch norm over all rows of all clouds of a batch; a batch of a single row, which has no variance, is normalised by the
    running statistics while training too."""

    def forward(self, rows: Tensor) -> Tensor:
        """(m, d), m from 0."""
        if self.training and len(rows) < 2:
            return F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(rows)


def row_norm(norm: Norm, width: int) -> nn.Module:
    """The norm of rows of this width: over the batch, a column at a time, or over each row's columns."""
    return RowBatchNorm(width) if norm == "batch" else nn.LayerNorm(width)


def perceptron(inputs: int, widths: Sequence[int], norm: Norm) -> nn.Sequential:
    """Linear, norm, ReLU for each width: (m, inputs) -> (m, widths[-1])."""
    layers: list[nn.Module] = []
    for before, width in pairwise([inputs, *widths]):
        layers += [nn.Linear(before, width, bias=False), row_norm(norm, width), nn.ReLU()]
    return nn.Sequential(*layers)
