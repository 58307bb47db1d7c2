"""Rows of all ranks, for objectives that compare rows with each other; without a process group everything is local.

Each rank's value and gradient average over ranks to those of the joined batch: every rank computes the joined batch's value, and
the backward of the gathering sums what all ranks ask of a row.
"""

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


def counts_of(rows: Tensor) -> list[int]:
    """How many rows each rank has."""
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(ranks())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    return [int(count) for count in counts]


def rows_of_ranks(rows: Tensor) -> Tensor:
    """(n_r, ...) on each rank -> all ranks' rows on every rank, in rank order; row counts may differ."""
    if ranks() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows, counts_of(rows))  # type: ignore[no-untyped-call]
    return gathered


def weight_of_rank(rows: Tensor) -> float:
    """The weight w that makes the average over ranks of w * (mean of the local rows) the mean of all rows."""
    return 1.0 if ranks() == 1 else len(rows) * ranks() / max(sum(counts_of(rows)), 1)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.start = sum(counts[: dist.get_rank()])
        ctx.count = len(rows)
        padded = torch.cat([rows, rows.new_zeros(max(counts) - len(rows), *rows.shape[1:])])
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded.contiguous())
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.count], None
