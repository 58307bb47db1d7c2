"""Propagation of a whole embedding table through the layers of a graph: linear, so nothing is kept for backward.

    E^0 = table,   E^{l+1} = A_l E^l + noise,   reading r = sum_l c_rl E^l[rows_r]

A step of LightGCN and of its contrastive descendants needs several such readings: the final rows of the batch, its ego rows,
one layer by itself, noisy copies. All are taken in one pass, and one backward serves them all, because noise is a constant to
the gradient and every A_l is symmetric:

    H_L = sum_r c_rL G_r,   H_l = A_l H_{l+1} + sum_r c_rl G_r,   gradient of the table = H_0.

So SimGCL's three forward passes share their first product and the whole way back. The last layer is computed at the rows that
somebody reads. A product is a weighted bag of rows (``embedding_bag``, 32-bit indices): on one core, for Gowalla's 810,128 edges
in both directions at d = 64, it took 10 ms where torch's CSR product took 24 ms, scipy's 28 ms and torch's COO product, which
most recommenders use, 66 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sslplug.randomness import Rng
from sslplug_recsys.feature_table import spans
from sslplug_recsys.graph import Graph


@dataclass(frozen=True, eq=False)
class Reading:
    """A weighted sum of layers 0..L, at some rows (int64, repeats allowed) or at all. Some coefficient must not be 0."""

    coefficients: tuple[float, ...]
    rows: Tensor | None = None


@dataclass(frozen=True)
class Noise:
    """Noise of SimGCL (Yu et al. 2022, arXiv:2112.08679, eq. 7) on every layer from 1: ``size`` is its norm a row."""

    size: float
    rng: Rng


@dataclass(frozen=True, eq=False)
class Branch:
    """One forward pass: its noise, and what is read of it."""

    readings: tuple[Reading, ...]
    noise: Noise | None = None


def product(graph: Graph, table: Tensor) -> Tensor:
    """(N, d) = A^ table."""
    return bags(graph.offsets, graph.neighbours, graph.values, table)


def product_rows(graph: Graph, table: Tensor, rows: Tensor) -> Tensor:
    """(k, d): the ``rows`` (k,) int64 of A^ table."""
    offsets, places = spans(graph.offsets, rows)
    return bags(offsets.to(graph.offsets.dtype), graph.neighbours[places], graph.values[places], table)


def bags(offsets: Tensor, indices: Tensor, values: Tensor, table: Tensor) -> Tensor:
    """(n, d): row i = sum over e in offsets[i]..offsets[i + 1] of values[e] * table[indices[e]]. No gradient."""
    return F.embedding_bag(
        indices, table, offsets, mode="sum", per_sample_weights=values.to(table.dtype), include_last_offset=True
    )


def perturbed(rows: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """``rows + size * sign(rows) * u``, u uniform in (0, 1)^d scaled to unit length: it stays in the row's orthant.

    Uniform numbers come on a grid of 2^16: four of them cost one draw of the generator.
    """
    n, d = rows.shape
    drawn = torch.empty((n * d + 3) // 4, dtype=torch.int64, device=rows.device)
    drawn.random_(-(2**63), None, generator=generator)
    uniform = drawn.view(torch.int16)[: n * d].view(n, d).to(rows.dtype).add_(32768.5)
    length = torch.linalg.vector_norm(uniform, dim=1, keepdim=True)
    return torch.addcmul(rows, rows.sign(), uniform.mul_(size / length))


class _Propagation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, graphs: Sequence[Graph], branches: Sequence[Branch]) -> tuple[Tensor, ...]:
        ctx.graphs, ctx.branches, ctx.shape = graphs, branches, table.shape
        table = table.contiguous()
        shared: list[Tensor] = []  # the first layer before noise, the same in all branches

        def first() -> Tensor:
            if not shared:
                shared.append(product(graphs[0], table))
            return shared[0]

        outputs: list[Tensor] = []
        for branch in branches:
            outputs += _read(branch, table, graphs, first)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        readings = [reading for branch in ctx.branches for reading in branch.readings]
        given = [(reading, g) for reading, g in zip(readings, gradients, strict=True) if g is not None]
        if not given:
            return None, None, None
        flow = given[0][1].new_zeros(ctx.shape)
        for layer in range(depth([reading for reading, _ in given]), -1, -1):
            for reading, gradient in given:
                if reading.coefficients[layer] == 0.0:
                    continue
                if reading.rows is None:
                    flow.add_(gradient, alpha=reading.coefficients[layer])
                else:
                    flow.index_add_(0, reading.rows, gradient, alpha=reading.coefficients[layer])
            if layer:
                flow = product(ctx.graphs[layer - 1], flow)
        return flow, None, None


def depth(readings: Sequence[Reading]) -> int:
    """The last layer that anybody reads."""
    return max(layer for reading in readings for layer, c in enumerate(reading.coefficients) if c != 0.0)


def _read(branch: Branch, table: Tensor, graphs: Sequence[Graph], first: Callable[[], Tensor]) -> list[Tensor]:
    """The readings of one branch."""
    readings, noise = branch.readings, branch.noise
    last = depth(readings)
    generator = None if noise is None else noise.rng.torch(table.device)
    found: list[Tensor | None] = [None] * len(readings)
    state = table
    for layer in range(last + 1):
        readers = [number for number, reading in enumerate(readings) if reading.coefficients[layer] != 0.0]
        wanted = [readings[number].rows for number in readers]
        places: Sequence[Tensor | None] = wanted
        if layer == last and layer and (rows := [one for one in wanted if one is not None]) and len(rows) == len(wanted):
            unique, inverse = torch.unique(torch.cat(rows), return_inverse=True)
            state = product_rows(graphs[layer - 1], state, unique)
            places = inverse.split([len(one) for one in rows])
        elif layer:
            state = first() if layer == 1 else product(graphs[layer - 1], state)
        if layer and noise is not None and generator is not None:
            state = perturbed(state, noise.size, generator)
        for number, place in zip(readers, places, strict=True):
            part = state if place is None else state.index_select(0, place)
            total = found[number]
            scaled = part * readings[number].coefficients[layer]
            found[number] = scaled if total is None else total.add_(scaled)
    return [one for one in found if one is not None]


def propagate(table: Tensor, graphs: Sequence[Graph], branches: Sequence[Branch]) -> list[Tensor]:
    """All readings of all branches, in order: (k, d) each, or (N, d) where all rows were asked for.

    table   (N, d) embeddings of the nodes, layer 0
    graphs  one a layer

    Differentiable in ``table``. Time O(E d) a layer; memory O(N d), whatever the number of layers.
    """
    return list(_Propagation.apply(table, graphs, branches))  # type: ignore[no-untyped-call]
