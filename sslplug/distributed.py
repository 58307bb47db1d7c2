"""Rows and sums over all ranks, with gradients; without a process group every function is the one-process case.

The convention of all objectives: each rank returns a value such that the average over ranks of value and parameter gradient
is the value and gradient of the joined batch in one process. Hence the backward of both collectives sums the gradients of
all ranks: a rank's rows then carry what every rank's value asks of them, and averaging the parameters' gradients divides by
the number of ranks once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world() -> int:
    """How many ranks train together; 1 without a process group."""
    return dist.get_world_size() if _grouped() else 1


def rank() -> int:
    """This process's number among the ranks; 0 without a process group."""
    return dist.get_rank() if _grouped() else 0


def _counts(n: int) -> list[int]:
    """The row counts of all ranks, in rank order. NCCL moves CUDA tensors only, hence the device."""
    if not _grouped():
        return [n]
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    counts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(world())]
    dist.all_gather(counts, torch.tensor([n], dtype=torch.int64, device=device))
    return [int(count) for count in counts]


def row_offset(n: int) -> int:
    """Where this rank's ``n`` rows start among the gathered rows of all ranks."""
    return sum(_counts(n)[: rank()])


def rank_weight(n: int) -> float:
    """The weight w that makes the plain average over ranks of w * (mean of ``n`` local rows) the mean of all rows.

    n may differ from rank to rank and may be 0; 0 rows on all ranks give weight 0.
    """
    if not _grouped():
        return 1.0
    return n * world() / max(sum(_counts(n)), 1)


def _all_gather(x: Tensor, counts: list[int]) -> Tensor:
    """All ranks' rows joined. Ragged shares travel padded to the longest one, as collectives want equal shapes."""
    longest = max(counts)
    local = x.detach()
    if len(local) < longest:
        local = torch.cat([local, local.new_zeros(longest - len(local), *local.shape[1:])])
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in counts]
    dist.all_gather(parts, local.contiguous())
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: list[int]) -> Tensor:
        ctx.start = sum(counts[: rank()])
        ctx.stop = ctx.start + len(x)
        return _all_gather(x, counts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.start : ctx.stop], None


def gather_rows(x: Tensor) -> Tensor:
    """(n, ...) on each rank -> (sum of n, ...) on every rank, in rank order; row counts may differ.

    With gradient: the local rows receive the sum of all ranks' gradients, so every rank must run the backward.
    """
    if not _grouped():
        return x
    counts = _counts(len(x))
    if not x.requires_grad:
        return _all_gather(x, counts)
    gathered: Tensor = _GatherRows.apply(x, counts)  # type: ignore[no-untyped-call]
    return gathered


class _SumRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.detach().contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


def sum_ranks(x: Tensor) -> Tensor:
    """The sum of ``x`` over all ranks, on every rank; any one shape. With gradient (its backward sums over ranks too)."""
    if not _grouped():
        return x
    total: Tensor = _SumRanks.apply(x)  # type: ignore[no-untyped-call]
    return total


def max_ranks(x: Tensor) -> Tensor:
    """The elementwise maximum of ``x`` over all ranks, on every rank, without gradient."""
    largest = x.detach()
    if _grouped():
        largest = largest.contiguous().clone()
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


def total_rows(n: int) -> int:
    """How many rows all ranks have together."""
    return sum(_counts(n))


def any_rank(flag: bool) -> bool:
    """Whether ``flag`` is true on any rank; every rank gets the same answer."""
    return sum(_counts(int(flag))) > 0


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces every gradient by its average over ranks: one flat all-reduce a dtype and device.

    A gradient missing on this rank counts as zeros; one missing on all ranks stays missing, so that an optimiser treats the
    parameter as one process would. All ranks must pass the same parameters in the same order.
    """
    if not _grouped():
        return
    learned = [p for p in parameters if p.requires_grad]
    if not learned:
        return
    device = learned[0].device
    present = torch.tensor([p.grad is not None for p in learned], dtype=torch.float32, device=device)
    dist.all_reduce(present)
    used = [p for p, count in zip(learned, present.tolist(), strict=True) if count > 0]
    groups: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
    for parameter in used:
        groups.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    for group in groups.values():
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in group])
        dist.all_reduce(flat)
        flat /= world()
        for parameter, part in zip(group, torch.split(flat, [p.numel() for p in group]), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(part.view_as(parameter))
