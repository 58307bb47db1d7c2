"""NT-Xent of row-matched views in one process: normalising, tiles, positives and the gradient as one function.

The general path (``tiled_logsumexp``) leaves normalising and positives to autograd, which keeps a copy of the rows for each.
This is the case graph and tabular recipes run every step, so it is written out. With x the N = V n rows of all views one
after the other, z = x / |x|, e_ij = exp(z_i . z_j / tau) f_ij and r_i = sum_j e_ij:

    L      = 1/N sum_i (log r_i - 1/tau (1/(V-1) sum_{p in P(i)} z_i . z_p - m))
    dz_i   = 1/(N tau) (sum_j (1/r_i + 1/r_j) e_ij z_j - 2/(V-1) sum_{p in P(i)} z_p)
    dx_i   = (dz_i - z_i (z_i . dz_i)) / |x_i|,   without the second term where |x_i| is raised to 1e-12

f is 0 on the diagonal, exp(-m/tau) at positives (0 when decoupled) and 1 elsewhere. Rows i and j are one instance where j - i
is a multiple of n, so f lives on the diagonals of the matrix and is never held. The matrix is symmetric: a tile above the
diagonal serves its rows and its columns. Beside the inputs and their gradient, z and two tiles are held; where one tile
covers the matrix it is kept for backward instead of being computed again.

Logits are not searched for their maximum: 1/tau must be in exp's range, which ``tiled_logsumexp.bounded`` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sslplug.objectives.tiled_logsumexp import LOG2E

_EPS = 1e-12  # torch.nn.functional.normalize's


@dataclass(frozen=True)
class Form:
    """scale: 1 / tau.  positive: f at positives.  margin: m / tau.  tile: the most rows of one tile."""

    scale: float
    positive: float
    margin: float
    tile: int


def spans(rows: int, tile: int) -> list[tuple[int, int]]:
    """Nearly equal spans of at most ``tile`` rows; multiples of 16 keep the rows of a tile aligned."""
    size = -(-rows // -(-rows // tile))
    size = min(-(-size // 16) * 16, tile)
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def _tiles(z: Tensor, n: int, form: Form, buffer: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Row span, column span and e of every tile on and above the diagonal, each written into ``buffer``."""
    parts = [slice(*span) for span in spans(len(z), form.tile)]
    for number, i in enumerate(parts):
        zi = z[i]
        for j in parts[number:]:
            height, width = i.stop - i.start, j.stop - j.start
            e = buffer[: height * width].view(height, width)
            torch.addmm(e, zi, z[j].t(), beta=0, alpha=form.scale * LOG2E, out=e).exp2_()
            if i is j:
                e.fill_diagonal_(0.0)
            if form.positive != 1.0:
                # Diagonals of the matrix at multiples of n that cross this tile; above the diagonal j - i runs from low up.
                low, high = j.start - i.stop + 1, j.stop - i.start - 1
                for k in range(-(-low // n), high // n + 1):
                    if k:
                        e.diagonal(k * n - (j.start - i.start)).mul_(form.positive)
            yield i, j, e


class _NTXent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: Form, *views: Tensor) -> Tensor:
        n, count = len(views[0]), len(views)
        z = torch.cat(views)
        norm = torch.linalg.vector_norm(z, dim=1).clamp_min_(_EPS)
        z.div_(norm[:, None])
        parts = spans(len(z), form.tile)
        size = parts[0][1]
        buffer, ones = z.new_empty(size * size), z.new_ones(size)
        sums = z.new_zeros(len(z))
        for i, j, e in _tiles(z, n, form, buffer):
            sums[i].addmv_(e, ones[: e.shape[1]])
            if i is not j:
                sums[j].addmv_(e.t(), ones[: e.shape[0]])
        near = z.new_zeros(n)
        for start, stop in spans(n, form.tile):
            rows = z.view(count, n, -1)[:, start:stop]
            for a in range(count):
                for b in range(a):
                    near[start:stop] += torch.linalg.vecdot(rows[a], rows[b])
        ctx.form, ctx.n = form, n
        ctx.save_for_backward(z, norm, sums, *([buffer] if len(parts) == 1 else []))
        pulled = near.sum() * (2.0 / (count - 1) / len(z))
        return sums.log().mean() - pulled * form.scale + form.margin

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, norm, sums, *kept = ctx.saved_tensors
        form: Form = ctx.form
        n = ctx.n
        count = len(z) // n
        a = sums.reciprocal()
        dz = torch.empty_like(z)
        by_view, z_of = dz.view(count, n, -1), z.view(count, n, -1)
        for v in range(count):
            by_view[v].copy_(z_of[v - 1])
            for other in range(2, count):
                by_view[v].add_(z_of[v - other])
        dz.mul_(-2.0 / (count - 1))
        parts = spans(len(z), form.tile)
        whole = slice(0, len(z))
        size = parts[0][1]
        weights = z.new_empty(size * size)
        tiles = (
            iter([(whole, whole, kept[0].view(len(z), len(z)))]) if kept else _tiles(z, n, form, z.new_empty(size * size))
        )
        for i, j, e in tiles:
            weight = weights[: e.numel()].view(e.shape)
            torch.add(a[i, None], a[None, j], out=weight).mul_(e)
            dz[i].addmm_(weight, z[j])
            if i != j:
                dz[j].addmm_(weight.t(), z[i])
        factor = norm.reciprocal().mul_(grad * (form.scale / len(z)))
        for start, stop in parts:
            rows, unit = dz[start:stop], z[start:stop]
            radial = torch.linalg.vecdot(rows, unit).masked_fill_(norm[start:stop] <= _EPS, 0.0)
            rows.addcmul_(unit, radial[:, None], value=-1.0).mul_(factor[start:stop, None])
        return None, *torch.split(dz, n)


def nt_xent(views: Sequence[Tensor], form: Form) -> Tensor:
    """The loss of two or more (n, d) views in float32 or float64, rows not normalised. Differentiable once."""
    loss: Tensor = _NTXent.apply(form, *views)  # type: ignore[no-untyped-call]
    return loss
