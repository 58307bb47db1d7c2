"""log-sum-exp over the rows and columns of a similarity matrix that is never held: tiles, recomputed in backward.

For unit rows q_i, k_j and logits s_ij = <q_i, k_j> / tau the dense path keeps the (n, m) matrix several times over. Here one
tile at a time lives in a buffer that stays in cache; only the log-sum-exps are kept for backward, which recomputes each
tile. With upstream gradients g (rows) and h (columns), and e_ij = exp(s_ij):

    row_i = log sum_j e_ij          dq_i = 1/tau sum_j (a_i + b_j) e_ij k_j,      a_i = g_i exp(-row_i)
    col_j = log sum_i e_ij          dk_j = 1/tau sum_i (a_i + b_j) e_ij q_i,      b_j = h_j exp(-col_j)

When q is k the matrix is symmetric, row = col, and tiles on and above the diagonal serve both.

Unit rows bound the logits by 1/tau. While exp can neither overflow nor underflow there is nothing to subtract; beyond that
(tau below about 1/60 in float32) the same tiles are first searched for each row's maximum. exp2 with log2(e) folded into
the product's scale is used because it is about three times as fast as exp on a CPU.

Tiles with recomputation: Rabe and Staats 2021, arXiv:2112.05682; for contrast: Cheng et al. 2024, arXiv:2410.17243.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2E = 1.0 / math.log(2.0)
# The largest |logit| for which sums of exp over millions of rows and their reciprocals stay normal numbers.
_SAFE = {torch.float32: 60.0, torch.float64: 600.0}


def bounded(scale: float, shift: float, dtype: torch.dtype) -> bool:
    """Whether exp of every logit of unit rows times ``scale``, with ``shift`` added to some, is a safe normal number."""
    return scale + (0.0 if math.isinf(shift) else abs(shift)) <= _SAFE[dtype]


@dataclass(frozen=True)
class Side:
    """What the rows on one side of the matrix are, sorted by group.

    group     (n,) int64, non-decreasing: rows of one group are the same instance
    position  (n,) int64: which row this is; equal positions on both sides are the row itself, left out of the sums
    spans     per tile: (first row, end, smallest group, largest group), so that only tiles whose groups meet are masked
    """

    group: Tensor
    position: Tensor
    spans: list[tuple[int, int, int, int]]


def side(group: Tensor, position: Tensor, tile: int, device: torch.device) -> Side:
    """A :class:`Side` from sorted groups; groups on the CPU cost a GPU no synchronisation."""
    known = group.cpu()
    starts = list(range(0, len(known), tile))
    ends = [min(start + tile, len(known)) for start in starts]
    low = known[starts].tolist()
    high = known[[end - 1 for end in ends]].tolist()
    return Side(group.to(device), position.to(device), list(zip(starts, ends, low, high, strict=True)))


def plain_side(n: int, tile: int, device: torch.device) -> Side:
    """A :class:`Side` of ``n`` rows that match nothing on the other side (a queue of negatives)."""
    nothing = torch.empty(0, dtype=torch.int64, device=device)
    return Side(nothing, nothing, [(start, min(start + tile, n), -1, -1) for start in range(0, n, tile)])


@dataclass(frozen=True)
class Plan:
    """How the sums are taken.

    scale      1 / tau
    shift      added to the logits of rows of one group (minus margin / tau; -inf leaves them out)
    rows, cols the two sides
    symmetric  q is k: only tiles on and above the diagonal are computed
    columns    whether the columns' log-sum-exps are wanted too
    """

    scale: float
    shift: float
    rows: Side
    cols: Side
    symmetric: bool = False
    columns: bool = False

    def bounded(self, dtype: torch.dtype) -> bool:
        """Whether exp of every logit of unit rows is a safe normal number."""
        return bounded(self.scale, self.shift, dtype)

    def tiles(self, q: Tensor, k: Tensor) -> Iterator[tuple[slice, slice, bool, Tensor]]:
        """Each tile's rows, columns, whether it is its own mirror image, and its masked logits times log2(e)."""
        height = max(end - start for start, end, _, _ in self.rows.spans)
        width = max(end - start for start, end, _, _ in self.cols.spans)
        buffer = torch.empty(height * width, dtype=k.dtype, device=k.device)
        for number, (top, bottom, low, high) in enumerate(self.rows.spans):
            for left, right, least, most in self.cols.spans[number if self.symmetric else 0 :]:
                logits = buffer[: (bottom - top) * (right - left)].view(bottom - top, right - left)
                torch.addmm(logits, q[top:bottom], k[left:right].t(), beta=0, alpha=self.scale * LOG2E, out=logits)
                mirror = self.symmetric and top == left
                if low <= most and least <= high and low >= 0:
                    self._mask(logits, slice(top, bottom), slice(left, right), mirror)
                yield slice(top, bottom), slice(left, right), mirror, logits

    def _mask(self, logits: Tensor, i: slice, j: slice, mirror: bool) -> None:
        if self.shift:
            same = self.rows.group[i, None] == self.cols.group[None, j]
            if math.isinf(self.shift):
                logits.masked_fill_(same, -math.inf)
            else:
                logits.add_(same, alpha=self.shift * LOG2E)
        if mirror:
            logits.fill_diagonal_(-math.inf)
        elif not self.symmetric and len(self.rows.position) and len(self.cols.position):
            logits.masked_fill_(self.rows.position[i, None] == self.cols.position[None, j], -math.inf)


def _bounded_sums(plan: Plan, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    row, col = q.new_zeros(len(q)), q.new_zeros(len(k))
    for i, j, mirror, tile in plan.tiles(q, k):
        tile.exp2_()
        row[i] += tile.sum(1)
        if plan.columns or (plan.symmetric and not mirror):
            col[j] += tile.sum(0)
    return (row + col, col) if plan.symmetric else (row, col)


def _finite(largest: Tensor) -> Tensor:
    """A maximum to subtract: rows without any logit have -inf, from which -inf must not be subtracted."""
    return torch.where(largest.isinf(), 0.0, largest)


def _searched_sums(plan: Plan, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Two passes: every row's (and column's) largest logit, then sums relative to it. Returns natural log-sum-exps."""
    row_max, col_max = q.new_full((len(q),), -math.inf), q.new_full((len(k),), -math.inf)
    for i, j, mirror, tile in plan.tiles(q, k):
        torch.maximum(row_max[i], tile.amax(1), out=row_max[i])
        if plan.columns or (plan.symmetric and not mirror):
            torch.maximum(col_max[j], tile.amax(0), out=col_max[j])
    if plan.symmetric:
        row_max = col_max = torch.maximum(row_max, col_max)
    row_max, col_max = _finite(row_max), _finite(col_max)
    row, col = torch.zeros_like(row_max), torch.zeros_like(col_max)
    for i, j, mirror, tile in plan.tiles(q, k):
        row[i] += (tile - row_max[i, None]).exp2_().sum(1)
        if plan.columns or (plan.symmetric and not mirror):
            col[j] += (tile - col_max[None, j]).exp2_().sum(0)
    if plan.symmetric:
        row = row + col
    return row.log() + row_max / LOG2E, col.log() + col_max / LOG2E


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        if plan.bounded(q.dtype):
            row, col = (total.log_() for total in _bounded_sums(plan, q, k))
        else:
            row, col = _searched_sums(plan, q, k)
        ctx.plan = plan
        ctx.save_for_backward(q, k, row, col)
        if not plan.columns:
            ctx.mark_non_differentiable(col)
        return row, col

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_row: Tensor, grad_col: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        plan: Plan = ctx.plan
        q, k, row, col = ctx.saved_tensors
        if plan.symmetric:
            col = row
        # The weights of the two sums; rows without any logit contribute nothing (their log-sum-exp is -inf).
        g = torch.where(row.isinf(), 0.0, grad_row)
        h = g if plan.symmetric else torch.where(col.isinf(), 0.0, grad_col) if plan.columns else None
        dq = torch.zeros_like(q)
        dk = dq if plan.symmetric else torch.zeros_like(k) if ctx.needs_input_grad[1] else None
        both = h is not None
        bounded = plan.bounded(q.dtype)
        if bounded:
            a = g * _finite(-row).exp()
            b = a if plan.symmetric else h * _finite(-col).exp() if h is not None else None
        row2, col2 = _finite(row * LOG2E), _finite(col * LOG2E)
        spare: Tensor | None = None
        for i, j, mirror, tile in plan.tiles(q, k):
            if bounded:
                tile.exp2_()
                if both:
                    if spare is None:
                        spare = torch.empty_like(tile)
                    weight = spare.view(-1)[: tile.numel()].view(tile.shape)
                    tile.mul_(torch.add(a[i, None], b[None, j], out=weight))  # type: ignore[index]
                else:
                    tile.mul_(a[i, None])
            else:
                weight = (tile - row2[i, None]).exp2_().mul_(g[i, None])
                if both:
                    weight += (tile - col2[None, j]).exp2_().mul_(h[None, j])  # type: ignore[index]
                tile = weight
            dq[i].addmm_(tile, k[j])
            if dk is not None and not mirror:
                dk[j].addmm_(tile.t(), q[i])
        dq *= plan.scale
        if dk is not None and not plan.symmetric:
            dk *= plan.scale
        return dq, None if plan.symmetric else dk, None


def row_logsumexp(q: Tensor, k: Tensor, plan: Plan) -> Tensor:
    """(n,) log sum_j exp(<q_i, k_j> scale), without the row itself; -inf for a row that is compared with nothing.

    q (n, d) and k (m, d) hold unit rows, sorted as the plan's sides say. Differentiable once, in both.
    """
    row: Tensor = _LogSumExp.apply(q, k, plan)[0]  # type: ignore[no-untyped-call]
    return row


def both_logsumexp(q: Tensor, k: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """(n,) and (m,): the log-sum-exps of rows and of columns from one pass over the tiles; ``plan.columns`` must be set."""
    row, col = _LogSumExp.apply(q, k, plan)  # type: ignore[no-untyped-call]
    return row, col
