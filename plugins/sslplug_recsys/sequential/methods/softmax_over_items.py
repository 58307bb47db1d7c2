"""Cross-entropy over all items without the matrix of all scores: rows in blocks, gradients made on the way.

    L = 1/k sum_r ( log sum_j exp(s_r . e_j) - s_r . e_{t_r} )

A block of scores is exponentiated once and turned into its own gradient while it is in the cache; memory is O(block * items)
and not O(k * items). Computed in float32 whatever autocast does around it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 64
"""Rows of scores held at a time on a CPU; a GPU takes more, for it is idle with so few."""
BLOCK_ELSEWHERE = 4096


def softmax_over_items(states: Tensor, table: Tensor, target: Tensor) -> Tensor:
    """L of (k, d) states, (items, d) item vectors and (k,) int64 targets; k at least 1."""
    loss: Tensor = _Softmax.apply(states, table, target)  # type: ignore[no-untyped-call]
    return loss


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            wide, items = states.float(), table.float()
            wants = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
            of_states, of_items = torch.empty_like(wide), torch.zeros_like(items)
            total = wide.new_zeros(())
            size = BLOCK if states.device.type == "cpu" else BLOCK_ELSEWHERE
            for start in range(0, len(wide), size):
                rows, wanted = wide[start : start + size], target[start : start + size]
                scores = rows @ items.t()
                highest = scores.amax(1, keepdim=True)
                own = scores.gather(1, wanted[:, None])
                weight = scores.sub_(highest).exp_()
                summed = weight.sum(1, keepdim=True)
                total = total + (summed.log() + highest - own).sum()
                if wants:
                    # The probabilities are weight / summed; dividing the narrow factors spares a pass over the wide one.
                    of_states[start : start + size] = (weight @ items) / summed - items[wanted]
                    of_items.addmm_(weight.t(), rows / summed)
            if wants:
                of_items.index_add_(0, target, wide, alpha=-1)
        ctx.save_for_backward(of_states, of_items)
        ctx.kinds = states.dtype, table.dtype, len(wide)
        return total / len(wide)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        of_states, of_items = ctx.saved_tensors
        states_kind, items_kind, count = ctx.kinds
        scale = gradient / count
        return (of_states * scale).to(states_kind), (of_items * scale).to(items_kind), None
