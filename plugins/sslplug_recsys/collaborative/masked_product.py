"""Adaptive masks of DCCF: an edge counts by how alike its ends are, and the mask learns. Nothing of size E d is kept.

    a_rc = (cos(x_r, x_c) + 1) / 2 on edges,   s_r = sum_c a_rc,   H_r = sum_c a_rc e_c / s_r

With unit rows x and gradient G of H, b_rc = (<G_r, e_c> - <G_r, H_r>) / s_r is the gradient of a_rc, and since a is symmetric

    gradient of e = A_a (G / s),   gradient of x_r = sum_c (b_rc + b_cr) / 2 x_c.

Inner products of edges' ends are taken a block of edges at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sslplug_recsys.graph import Graph
from sslplug_recsys.propagation import bags

_ENTRIES = 1 << 19
"""Numbers of edge rows held at once."""


def edge_dots(one: Tensor, first: Tensor, other: Tensor, second: Tensor) -> Tensor:
    """(e,): <one[first], other[second]> for (e,) pairs of row numbers."""
    step = max(1, _ENTRIES // max(one.shape[1], 1))
    found = one.new_empty(len(first))
    for start in range(0, len(first), step):
        block = slice(start, start + step)
        found[block] = (one[first[block]] * other[second[block]]).sum(1)
    return found


def mask(graph: Graph, unit: Tensor) -> Tensor:
    """(2 E,) a_rc of every stored entry, from (N, d) unit rows."""
    return (edge_dots(unit, graph.owner, unit, graph.neighbours.long()) + 1.0) / 2.0


def _row_sums(graph: Graph, entries: Tensor) -> Tensor:
    """(N,) sums of each row's entries; 1 for a row without any, whose sums are all 0."""
    total = entries.new_zeros(graph.nodes).index_add_(0, graph.owner, entries)
    return torch.where(graph.offsets.diff() > 0, total, torch.ones_like(total))


class _MaskedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unit: Tensor, table: Tensor, graph: Graph) -> Tensor:
        a = mask(graph, unit)
        # Rows whose ends are all opposite have a vanishing sum; they count as empty.
        total = _row_sums(graph, a).clamp(min=1e-12)
        found = bags(graph.offsets, graph.neighbours, a, table) / total[:, None]
        ctx.graph = graph
        ctx.save_for_backward(unit, table, a, total, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        graph: Graph = ctx.graph
        unit, table, a, total, found = ctx.saved_tensors
        scaled = gradient / total[:, None]
        for_table = bags(graph.offsets, graph.neighbours, a, scaled)
        owner = graph.owner
        of_mask = edge_dots(scaled, owner, table, graph.neighbours.long()) - (scaled * found).sum(1)[owner]
        edge = graph.edge.long()
        joined = of_mask.new_zeros(graph.edges).index_add_(0, edge, of_mask)
        return bags(graph.offsets, graph.neighbours, joined[edge] / 2.0, unit), for_table, None


def masked_product(graph: Graph, signal: Tensor, table: Tensor) -> Tensor:
    """(N, d): H of ``table`` with the mask of ``signal``, both (N, d). Differentiable once, in both."""
    found: Tensor = _MaskedProduct.apply(F.normalize(signal, dim=1), table, graph)  # type: ignore[no-untyped-call]
    return found
