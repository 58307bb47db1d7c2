"""Edge drop and edge addition. A dropped edge keeps its place with weight 0, so all views share the cached structure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug_graph.batch import GraphBatch, Structure
from sslplug_graph.views.transform import Rated

_PAIRS: WeakKeyDictionary[Structure, Tensor] = WeakKeyDictionary()


def pair_numbers(structure: Structure) -> Tensor:
    """(E,) int64: the number of each edge's unordered node pair, so that both directions share one. Cached by structure."""
    if structure not in _PAIRS:
        low, high = structure.edge_index.amin(0), structure.edge_index.amax(0)
        _PAIRS[structure] = torch.unique(low * structure.num_nodes + high, return_inverse=True)[1]
    return _PAIRS[structure]


def keep_edges(batch: GraphBatch, keep: Tensor) -> GraphBatch:
    """The batch with the weight of the edges that are not in ``keep`` (E,) bool set to 0."""
    kept = keep.float()
    return replace(batch, edge_weight=kept if batch.edge_weight is None else batch.edge_weight * kept)


def drop_edges(batch: GraphBatch, rate: float | Tensor, generator: torch.Generator, undirected: bool = False) -> GraphBatch:
    """Drop each stored edge with probability ``rate`` (a number, or (E,) one an edge); independent, or by unordered pair."""
    if undirected:
        pairs = pair_numbers(batch.structure)
        noise = torch.rand(batch.num_edges, generator=generator, device=batch.device)[pairs]
    else:
        noise = torch.rand(batch.num_edges, generator=generator, device=batch.device)
    return keep_edges(batch, noise >= rate)


def add_edges(batch: GraphBatch, rate: float, generator: torch.Generator) -> GraphBatch:
    """Add ``rate`` times as many edges as there are, uniform over the ordered pairs inside each graph, with weight 1.

    A graph gets new edges in proportion to the edges it has: each copies the graph of a random stored edge.
    """
    count = round(rate * batch.num_edges)
    if not count:
        return batch
    device = batch.device
    like = torch.randint(batch.num_edges, (count,), generator=generator, device=device)
    graph = batch.graph[batch.edge_index[0, like]]
    sizes = torch.bincount(batch.graph, minlength=batch.num_graphs)
    first = sizes.cumsum(0) - sizes
    place = torch.rand(2, count, generator=generator, device=device, dtype=torch.float64) * sizes[graph]
    added = first[graph] + place.long().clamp_(max=sizes[graph] - 1)
    weight = None if batch.edge_weight is None else torch.cat([batch.edge_weight, torch.ones(count, device=device)])
    return replace(batch, edge_index=torch.cat([batch.edge_index, added], 1), edge_weight=weight)


class EdgeDrop(Rated):
    """Drop a share of the edges at random (GRACE: each direction by itself)."""

    changes = "change:edge_weight"

    name: Literal["edge_drop"] = "edge_drop"
    rate: float = Field(0.2, ge=0, le=1, description="share of stored edges dropped")
    undirected: bool = Field(False, description="drop both directions of an edge together")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with fewer edges."""
        return replace(view, data=drop_edges(view.data, self.rate, generator, self.undirected))


class EdgeAdd(Rated):
    """Add random edges inside each graph."""

    changes = "added_edges"

    name: Literal["edge_add"] = "edge_add"
    rate: float = Field(0.1, ge=0, le=10, description="edges added, as a share of the stored edges")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with more edges."""
        return replace(view, data=add_edges(view.data, self.rate, generator))
