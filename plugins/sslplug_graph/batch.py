"""The plugin's one batch type: a big graph, many small graphs or a sampled neighbourhood.

Letters: N nodes, E stored edges (an undirected edge is stored in both directions), G graphs, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from sslplug.contracts import Target
from sslplug.errors import DataError
from sslplug_graph.features import CsrMatrix, Features

__all__ = ["CsrMatrix", "Features", "GraphBatch", "Structure"]


@dataclass(frozen=True)
class Adjacency:
    """Edges by row, as compressed sparse rows.

    indptr   (N + 1,) int64: row i's entries are ``indptr[i]:indptr[i + 1]``
    indices  (E,) int64: the column of each entry, in stored order within a row
    edge     (E,) int64: the column of ``edge_index`` each entry came from; ``edge_weight[edge]`` are its values
    """

    indptr: Tensor
    indices: Tensor
    edge: Tensor


class Structure:
    """What is computed once for one edge set and shared by every view of it. Never edited."""

    def __init__(self, edge_index: Tensor, num_nodes: int) -> None:
        self.edge_index = edge_index
        self.num_nodes = num_nodes
        self._moved: dict[torch.device, Structure] = {}

    def _by(self, row: Tensor, column: Tensor) -> Adjacency:
        edge = torch.argsort(row, stable=True)
        counts = torch.bincount(row, minlength=self.num_nodes)
        return Adjacency(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), column[edge], edge)

    @cached_property
    def by_target(self) -> Adjacency:
        """Row i lists the sources of the edges into i: the matrix of message passing, H' = A H."""
        sources, targets = self.edge_index
        return self._by(targets, sources)

    @cached_property
    def by_source(self) -> Adjacency:
        """Row j lists the targets of the edges out of j: the transpose, for the backward pass."""
        sources, targets = self.edge_index
        return self._by(sources, targets)

    @cached_property
    def transpose_order(self) -> Tensor:
        """(E,) int64: entry e of ``by_source`` is entry ``transpose_order[e]`` of ``by_target``."""
        place = torch.empty_like(self.by_target.edge)
        place[self.by_target.edge] = torch.arange(len(place), device=place.device)
        return place[self.by_source.edge]

    @cached_property
    def in_degree(self) -> Tensor:
        """(N,) int64: edges into each node, without weights."""
        return self.by_target.indptr.diff()

    @cached_property
    def out_degree(self) -> Tensor:
        """(N,) int64: edges out of each node, without weights."""
        return self.by_source.indptr.diff()

    def to(self, device: torch.device | str) -> Structure:
        """The same edges on ``device``; copied once per device."""
        target = torch.device(device)
        if target == self.edge_index.device:
            return self
        if target not in self._moved:
            self._moved[target] = Structure(self.edge_index.to(target), self.num_nodes)
        return self._moved[target]


_UNBUILT = Structure(torch.empty((2, 0), dtype=torch.int64), 0)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """One graph, several, or a part of one. Immutable; make variants with :func:`dataclasses.replace`.

    x            node features, N rows
    edge_index   (2, E) int64: row 0 sources, row 1 targets
    num_nodes    N
    graph        (N,) int64: the graph of each node, 0..G-1, ascending
    num_graphs   G
    node_ids     (N,) int64: number of each node in the whole data
    graph_ids    (G,) int64: number of each graph in the whole data
    edge_weight  (E,) float32, or None: all ones
    seeds        the first ``seeds`` nodes are those that were asked for (neighbour sampling), or None: all are
    structure    caches of this edge set; made anew when ``edge_index`` or ``num_nodes`` is another, so ``replace`` is safe
    piece        rows of a layer that inference computes at once (see ``pieces``), or None: all
    labels       the labels of the allowed rows of this batch (rows are local), only where ``Order.labels`` asked for them

    Raises DataError for wrong dtypes, ranks and lengths, and, on the CPU, for indices out of range (a range check on a GPU
    would stall it; batches are made on the CPU).
    """

    x: Features
    edge_index: Tensor
    num_nodes: int
    graph: Tensor
    num_graphs: int
    node_ids: Tensor
    graph_ids: Tensor
    edge_weight: Tensor | None = None
    seeds: int | None = None
    structure: Structure = field(default=_UNBUILT, repr=False)
    labels: Target | None = None
    piece: int | None = None

    def __post_init__(self) -> None:
        n, e, g = self.num_nodes, self.edge_index.shape[-1], self.num_graphs
        for name, tensor, shape in (
            ("edge_index", self.edge_index, (2, e)),
            ("graph", self.graph, (n,)),
            ("node_ids", self.node_ids, (n,)),
            ("graph_ids", self.graph_ids, (g,)),
        ):
            if tensor.dtype != torch.int64 or tensor.shape != shape:
                raise DataError(f"GraphBatch.{name} is {tuple(tensor.shape)} {tensor.dtype}; expected {shape} int64.")
        if self.x.shape[0] != n:
            raise DataError(f"GraphBatch.x has {self.x.shape[0]} rows for {n} nodes; expected one row a node.")
        weight = self.edge_weight
        if weight is not None and (weight.shape != (e,) or weight.dtype != torch.float32):
            raise DataError(f"GraphBatch.edge_weight is {tuple(weight.shape)} {weight.dtype}; expected ({e},) float32.")
        if self.seeds is not None and not 0 <= self.seeds <= n:
            raise DataError(f"GraphBatch.seeds is {self.seeds}; expected 0..{n}, the number of nodes.")
        if self.structure.edge_index is not self.edge_index or self.structure.num_nodes != n:
            if self.edge_index.device.type == "cpu":
                _check_range("edge_index", self.edge_index, n)
            object.__setattr__(self, "structure", Structure(self.edge_index, n))
        if self.graph.device.type == "cpu":
            _check_range("graph", self.graph, g)

    @property
    def device(self) -> torch.device:
        """Where the batch lies."""
        return self.edge_index.device

    @property
    def num_edges(self) -> int:
        """E, stored edges."""
        return int(self.edge_index.shape[1])

    def to(self, device: torch.device | str) -> GraphBatch:
        """The same batch on ``device``. What stays the same over a run (edges, features) is copied once."""
        structure = self.structure.to(device)
        return replace(
            self,
            x=self.x.to(device),
            edge_index=structure.edge_index,
            graph=self.graph.to(device),
            node_ids=self.node_ids.to(device),
            graph_ids=self.graph_ids.to(device),
            edge_weight=None if self.edge_weight is None else self.edge_weight.to(device),
            structure=structure,
            labels=None if self.labels is None else self.labels.to(device),
        )


def _check_range(name: str, index: Tensor, count: int) -> None:
    if index.numel():
        low, high = (int(v) for v in index.aminmax())
        if low < 0 or high >= count:
            raise DataError(f"GraphBatch.{name} holds {low if low < 0 else high}; expected 0..{count - 1}.")
