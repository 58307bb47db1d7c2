"""What one rank's share of a batch weighs, and the rows of all ranks; without a process group everything is local."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def ranks() -> int:
    """How many ranks train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if ranks() > 1 else 0


def weight_of_rank(count: int, device: torch.device) -> float:
    """The factor w that makes the ranks' average of w * (mean of the local ``count`` rows) the mean of all rows."""
    if ranks() == 1:
        return 1.0
    total = torch.tensor([count], dtype=torch.int64, device=device)
    dist.all_reduce(total)
    return count * ranks() / max(int(total), 1)


def rows_of_ranks(rows: Tensor) -> Tensor:
    """(n_r, ...) on each rank -> all ranks' rows, in rank order, on every rank. Gradients come back summed over ranks."""
    if ranks() == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(ranks())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    gathered: Tensor = _Gathered.apply(rows, [int(count) for count in counts])  # type: ignore[no-untyped-call]
    return gathered


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        own = dist.get_rank()
        ctx.where = slice(sum(counts[:own]), sum(counts[: own + 1]))
        most = max(counts)
        block = rows.new_zeros(most, *rows.shape[1:])
        block[: len(rows)] = rows
        blocks = [torch.empty_like(block) for _ in counts]
        dist.all_gather(blocks, block)
        return torch.cat([one[:count] for one, count in zip(blocks, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed[ctx.where], None
