"""Node drop and random-walk subgraph (GraphCL, You et al. 2020): keep a part of each graph's nodes and the edges among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Target, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Rated


def keep_nodes(view: View, keep: Tensor) -> View:
    """The view of the nodes in ``keep`` (N,) bool and the edges among them; ids, masks and targets follow."""
    batch: GraphBatch = view.data
    kept = keep.nonzero()[:, 0]
    place = keep.cumsum(0) - 1
    edges = keep[batch.edge_index].all(0)
    data = replace(
        batch,
        x=batch.x.rows(kept),
        edge_index=place[batch.edge_index[:, edges]],
        num_nodes=len(kept),
        graph=batch.graph[kept],
        node_ids=batch.node_ids[kept],
        edge_weight=None if batch.edge_weight is None else batch.edge_weight[edges],
        seeds=None if batch.seeds is None else int(keep[: batch.seeds].sum()),
        labels=None if batch.labels is None else _follow(batch.labels, keep, place),
    )
    ids = {level: rows[keep[: len(rows)]] if level == "node" else rows for level, rows in view.ids.items()}
    mask = {level: rows[keep] if level == "node" else rows for level, rows in view.mask.items()}
    targets = {name: _follow(target, keep, place) for name, target in view.targets.items()}
    return replace(view, data=data, ids=ids, mask=mask, targets=targets)


def _follow(target: Target, keep: Tensor, place: Tensor) -> Target:
    if target.level != "node":
        return target
    rows = torch.arange(len(target.values), device=keep.device) if target.rows is None else target.rows
    alive = keep[rows] if rows.ndim == 1 else keep[rows].all(1)
    return Target("node", target.values[alive], place[rows[alive]])


def keep_first(order: Tensor, graph: Tensor, counts: Tensor) -> Tensor:
    """(N,) bool: the ``counts[g]`` nodes of graph g with the smallest ``order`` (N,); ``graph`` is ascending."""
    ranked = torch.argsort(order, stable=True)
    ranked = ranked[torch.argsort(graph[ranked], stable=True)]
    sizes = torch.bincount(graph, minlength=len(counts))
    first = sizes.cumsum(0) - sizes
    kept = torch.arange(len(graph), device=graph.device) - first[graph] < counts[graph]
    return torch.zeros_like(kept).index_put((ranked,), kept)


def kept_counts(batch: GraphBatch, rate: float, generator: torch.Generator) -> Tensor:
    """(G,) nodes to keep of each graph: n - rate n, rounded at random so that the mean is exact, but at least one node."""
    sizes = torch.bincount(batch.graph, minlength=batch.num_graphs)
    noise = torch.rand(batch.num_graphs, generator=generator, device=batch.device, dtype=torch.float64)
    dropped = (rate * sizes + noise).floor().long()
    return torch.maximum(sizes - dropped, sizes.clamp(max=1))


def walk_order(batch: GraphBatch, counts: Tensor, generator: torch.Generator) -> Tensor:
    """(N,) float: the step at which a random walk along stored edges first reached each node; later for those it never met.

    Every graph has its own walkers, one for each 64 nodes to be found. They start at random nodes and stop once each graph has
    its ``counts`` or after 20 times as many steps as that takes at best (a graph in pieces may not have so many in reach);
    nodes never met follow in random order.
    """
    device = batch.device
    sizes = torch.bincount(batch.graph, minlength=batch.num_graphs)
    first = sizes.cumsum(0) - sizes
    per_graph = torch.where(sizes > 0, (counts + 63) // 64, 0)
    owner = torch.arange(batch.num_graphs, device=device).repeat_interleave(per_graph)
    noise = torch.rand(len(owner), generator=generator, device=device, dtype=torch.float64)
    here = first[owner] + (noise * sizes[owner]).long()
    order = torch.full((batch.num_nodes,), torch.inf, dtype=torch.float64, device=device)
    order[here] = 0.0
    leaving = batch.structure.by_source
    degree = leaving.indptr.diff()
    limit = 20 * int((counts / per_graph.clamp(min=1)).max().ceil()) if len(counts) else 0
    for step in range(1, limit + 1):
        noise = torch.rand(len(owner), generator=generator, device=device, dtype=torch.float64)
        moved = leaving.indptr[here] + (noise * degree[here]).long()
        # A node without an edge out holds its walker; the clamp only keeps its unused place in range.
        there = leaving.indices[moved.clamp(max=max(len(leaving.indices) - 1, 0))] if len(leaving.indices) else here
        here = torch.where(degree[here] > 0, there, here)
        order[here] = torch.minimum(order[here], torch.full_like(order[here], float(step)))
        if step % 8 == 0:
            met = torch.bincount(batch.graph[order.isfinite()], minlength=batch.num_graphs)
            if bool((met >= counts).all()):
                break
    ties = torch.rand(batch.num_nodes, generator=generator, device=device, dtype=torch.float64)
    return order.clamp(max=limit + 1.0) + ties * 0.5


class NodeDrop(Rated):
    """Drop a share of each graph's nodes."""

    changes = "drop:node"
    moves_rows = True

    name: Literal["node_drop"] = "node_drop"
    rate: float = Field(0.1, ge=0, lt=1, description="share of nodes dropped")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with fewer nodes."""
        batch: GraphBatch = view.data
        counts = kept_counts(batch, self.rate, generator)
        noise = torch.rand(batch.num_nodes, generator=generator, device=batch.device)
        return keep_nodes(view, keep_first(noise, batch.graph, counts))


class Subgraph(Rated):
    """Keep the nodes that random walks meet."""

    changes = "drop:node"
    moves_rows = True

    name: Literal["subgraph"] = "subgraph"
    rate: float = Field(0.8, ge=0, lt=1, description="share of nodes left out (GraphCL keeps 20 %)")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view of the part that was walked over."""
        batch: GraphBatch = view.data
        counts = kept_counts(batch, self.rate, generator)
        return keep_nodes(view, keep_first(walk_order(batch, counts, generator), batch.graph, counts))
