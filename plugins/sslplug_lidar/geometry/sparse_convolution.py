"""Convolution on occupied voxels alone: submanifold 3 x 3 x 3 (Graham et al. 2018), 2 x 2 x 2 of stride 2, and its transpose.

For each weight of the kernel: gather the input rows, one matrix product, add to the output rows. The gradient repeats the gathers
instead of keeping them, so memory is that of the rows, not of the pairs.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sslplug_lidar.geometry.voxels import Rules, Voxels

Kind = Literal["same", "down", "up"]


class _Convolution(torch.autograd.Function):
    """out[t] = sum over pairs (k, s, t) of in[s] W[k]."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, rules: Rules) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.rules = rules
        out = rows.new_zeros(rules.outputs, weight.shape[2])
        with _exactly(rows):
            for k, source, target in rules.pairs:
                out.index_add_(0, target, rows.index_select(0, source) @ weight[k])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        of_rows = torch.zeros_like(rows) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight)
        with _exactly(rows):
            for k, source, target in ctx.rules.pairs:
                asked = grad.index_select(0, target)
                torch.mm(rows.index_select(0, source).t(), asked, out=of_weight[k])
                if of_rows is not None:
                    of_rows.index_add_(0, source, asked @ weight[k].t())
        return of_rows, of_weight, None


def _exactly(rows: Tensor) -> torch.autocast:
    """A scope without autocast: sums over many corners keep their precision."""
    return torch.autocast(rows.device.type, enabled=False)


class SparseConv3d(nn.Module):
    """``same``: (v, i) -> (v, o) on voxels; ``down``: to ``voxels.coarser``; ``up``: from ``voxels.coarser`` to ``voxels``.

    ``weight`` is (27 or 8, inputs, outputs), numbered as :attr:`Voxels.neighbours` and :attr:`Voxels.children` say: the dense
    ``conv3d``'s ``weight.permute(2, 3, 4, 1, 0)``, read where there is something. Drawn uniformly as ``nn.Conv3d`` does.
    """

    def __init__(self, inputs: int, outputs: int, kind: Kind = "same", bias: bool = True) -> None:
        super().__init__()
        self.kind: Kind = kind
        corners = 27 if kind == "same" else 8
        # A transposed convolution feeds each voxel from one corner alone.
        bound = 1.0 / math.sqrt(inputs * (1 if kind == "up" else corners))
        self.weight = nn.Parameter(torch.empty(corners, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, rows: Tensor, voxels: Voxels) -> Tensor:
        """Rows of the output's voxels; ``voxels`` are the finer ones of the two."""
        if self.kind == "same":
            rules = voxels.neighbours
        else:
            rules = voxels.children if self.kind == "down" else voxels.children.turned(len(voxels))
        out: Tensor = _Convolution.apply(rows.to(self.weight.dtype), self.weight, rules)  # type: ignore[no-untyped-call]
        return out if self.bias is None else out + self.bias
