"""The data of one run: a big graph, whole or sampled, or many small graphs. Batches are pure functions of (order, step)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sslplug.contracts import LabelledRows, Order, RawFeatures, Target, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_graph.batch import CsrMatrix, Features, GraphBatch
from sslplug_graph.data.graph_set import FloatMatrix
from sslplug_graph.raw_features import graph_table, node_table
from sslplug_graph.sampler import NeighbourSampler
from sslplug_graph.spec import GraphSpec

ROWS_PER_BATCH = 256
"""Graphs per batch of ``rows()``."""


def shares(order: Order, rows: int) -> list[np.ndarray]:
    """The row numbers of each batch of this rank, shuffled by (seed, epoch).

    A global batch of b rows gives each of W ranks b // W rows, contiguous in the shuffled order; at most W - 1 rows of a
    batch are left out that epoch. The ragged last batch is kept, unless a rank would get fewer than two rows of it (one row
    has nothing to be compared with, and no batch statistic), when it is left out.
    """
    shuffled = torch.randperm(rows, generator=Rng.root(order.seed).fork("batches", order.epoch).torch()).numpy()
    size = order.batch_size or rows
    found = []
    for start in range(0, rows, size):
        batch = shuffled[start : start + size]
        share = len(batch) // order.world
        if share >= 2 or (share == 1 and len(batch) == size):
            found.append(batch[order.rank * share : (order.rank + 1) * share])
    if not found:
        raise UsageError(f"{rows} rows cannot be shared by {order.world} ranks; use fewer ranks.")
    return found


def with_labels(batch: GraphBatch, labelled: LabelledRows | None) -> GraphBatch:
    """``batch`` with the labels of the allowed rows that are in it, and of no others."""
    if labelled is None:
        return batch
    task, rows = labelled.task, np.asarray(labelled.rows, np.int64)
    ids = batch.node_ids[: batch.seeds] if task.level == "node" else batch.graph_ids
    order = torch.argsort(ids)
    wanted = torch.from_numpy(rows if task.members is None else task.members[rows])
    place = torch.searchsorted(ids[order], wanted).clamp_(max=max(len(ids) - 1, 0))
    local = order[place]
    here = ids[local] == wanted
    here = here if here.ndim == 1 else here.all(1)
    values = torch.from_numpy(task.labels[rows])[here]
    values = values.float() if values.is_floating_point() else values
    return replace(batch, labels=Target(task.level, values, local[here]))


@dataclass(frozen=True)
class _Batches(Sequence[GraphBatch]):
    """Batches made when asked for: ``make(step)``."""

    make: Any
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: Any) -> Any:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        return self.make(step)


class BigGraph:
    """One graph. A full batch is the graph; sampled batches are the neighbourhoods of shuffled seed nodes.

    With several ranks a full batch stays exact: every rank holds the whole graph, with its own share of the nodes first
    (``seeds``).
    """

    level = "node"

    def __init__(
        self,
        features: FloatMatrix,
        edges: np.ndarray,
        tasks: Mapping[str, Task],
        description: Mapping[str, Any],
        fanouts: Sequence[int] | None = None,
        fitted: Mapping[str, Any] = MappingProxyType({}),
        piece: int | None = None,
        names: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        nodes = features.shape[0]
        self.tasks, self.description, self.fitted, self.names = tasks, description, fitted, names
        self.spec = GraphSpec(
            features.shape[1], nodes, edges.shape[1], 1, "node", sparse.issparse(features), fanouts is not None
        )
        self._raw, self._piece = (features, edges), piece
        self._whole = GraphBatch(
            x=stored(features),
            edge_index=torch.from_numpy(edges),
            num_nodes=nodes,
            graph=torch.zeros(nodes, dtype=torch.int64),
            num_graphs=1,
            node_ids=torch.arange(nodes),
            graph_ids=torch.zeros(1, dtype=torch.int64),
        )
        self._sampler: NeighbourSampler | None = None
        if fanouts is not None:
            by_target = self._whole.structure.by_target
            self._sampler = NeighbourSampler(by_target.indptr, by_target.indices, list(fanouts))

    def batches(self, order: Order) -> Sequence[GraphBatch]:
        """One batch, whatever ``order.batch_size``; where neighbours are sampled, shuffled seeds, batch_size at a time."""
        if self._sampler is None:
            return _Batches(lambda step: self._full(order), 1)
        seeds = shares(order, self.spec.num_nodes)
        return _Batches(lambda step: self._sampled(order, step, torch.from_numpy(seeds[step])), len(seeds))

    def rows(self) -> Iterator[View]:
        """The whole clean graph, to be embedded in pieces where the data says so."""
        whole = replace(self._whole, piece=self._piece)
        yield View(whole, ids={"node": self._whole.node_ids, "graph": self._whole.graph_ids})

    def raw_features(self, task: Task) -> RawFeatures:
        """See :func:`sslplug_graph.raw_features.node_table`."""
        if task.level != "node":
            raise DataError(f"Task {task.name!r} judges {task.level!r} rows; one big graph has raw features of nodes alone.")
        return RawFeatures(node_table(*self._raw))

    def _full(self, order: Order) -> GraphBatch:
        if order.world == 1:
            return with_labels(self._whole, order.labels)
        own = torch.from_numpy(shares(replace(order, batch_size=0), self.spec.num_nodes)[0])
        others = torch.ones(self.spec.num_nodes, dtype=torch.bool)
        others[own] = False
        nodes = torch.cat([own, others.nonzero()[:, 0]])
        place = torch.empty_like(nodes)
        place[nodes] = torch.arange(len(nodes))
        moved = replace(
            self._whole,
            x=self._whole.x.rows(nodes),
            edge_index=place[self._whole.edge_index],
            node_ids=nodes,
            seeds=len(own),
        )
        return with_labels(moved, order.labels)

    def _sampled(self, order: Order, step: int, seeds: Tensor) -> GraphBatch:
        assert self._sampler is not None
        rng = Rng.root(order.seed).fork("neighbours", order.epoch, step)
        nodes, edge_index = self._sampler(seeds, rng.fork(order.rank))
        part = GraphBatch(
            x=self._whole.x.rows(nodes),
            edge_index=edge_index,
            num_nodes=len(nodes),
            graph=torch.zeros(len(nodes), dtype=torch.int64),
            num_graphs=1,
            node_ids=nodes,
            graph_ids=torch.zeros(1, dtype=torch.int64),
            seeds=len(seeds),
        )
        return with_labels(part, order.labels)


class SmallGraphs:
    """Many graphs as concatenated arrays. A batch of graphs is gathered by index arithmetic, without a loop over graphs."""

    level = "graph"

    def __init__(
        self,
        features: FloatMatrix,
        edges: np.ndarray,
        graph: np.ndarray,
        graphs: int,
        tasks: Mapping[str, Task],
        description: Mapping[str, Any],
        fitted: Mapping[str, Any] = MappingProxyType({}),
        names: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.tasks, self.description, self.fitted, self.names = tasks, description, fitted, names
        self.spec = GraphSpec(
            features.shape[1], features.shape[0], edges.shape[1], graphs, "graph", sparse.issparse(features)
        )
        self._raw = (features, edges, graph, graphs)
        self._x = stored(features)
        owner = graph[edges[0]]
        by_graph = np.argsort(owner, kind="stable")
        self._edges = torch.from_numpy(np.ascontiguousarray(edges[:, by_graph]))
        self._node_start = _starts(graph, graphs)
        self._edge_start = _starts(owner[by_graph], graphs)

    def batches(self, order: Order) -> Sequence[GraphBatch]:
        """Shuffled graphs, ``order.batch_size`` at a time over all ranks; see :func:`shares`."""
        chosen = shares(order, self.spec.num_graphs)
        return _Batches(lambda step: with_labels(self.gather(torch.from_numpy(chosen[step])), order.labels), len(chosen))

    def rows(self) -> Iterator[View]:
        """All graphs in order, 256 a view."""
        for start in range(0, self.spec.num_graphs, ROWS_PER_BATCH):
            batch = self.gather(torch.arange(start, min(start + ROWS_PER_BATCH, self.spec.num_graphs)))
            yield View(batch, ids={"node": batch.node_ids, "graph": batch.graph_ids})

    def raw_features(self, task: Task) -> RawFeatures:
        """See :func:`sslplug_graph.raw_features.graph_table` and ``node_table``."""
        return RawFeatures(node_table(self._raw[0], self._raw[1]) if task.level == "node" else graph_table(*self._raw))

    def gather(self, graphs: Tensor) -> GraphBatch:
        """The batch of ``graphs`` (m,) int64, in that order."""
        nodes, sizes = _ranges(self._node_start, graphs)
        edges, counts = _ranges(self._edge_start, graphs)
        shift = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)[:-1]]) - self._node_start[graphs]
        return GraphBatch(
            x=self._x.rows(nodes),
            edge_index=self._edges[:, edges] + shift.repeat_interleave(counts),
            num_nodes=len(nodes),
            graph=torch.arange(len(graphs)).repeat_interleave(sizes),
            num_graphs=len(graphs),
            node_ids=nodes,
            graph_ids=graphs,
        )


def stored(features: FloatMatrix) -> Features:
    """Features as the batch type keeps them: sparse stays sparse."""
    if not sparse.issparse(features):
        return Features(torch.from_numpy(np.ascontiguousarray(features, np.float32)))
    index = (torch.from_numpy(features.indptr.astype(np.int64)), torch.from_numpy(features.indices.astype(np.int64)))
    return Features(CsrMatrix(*index, torch.from_numpy(features.data.astype(np.float32)), features.shape))


def _starts(sorted_owner: np.ndarray, count: int) -> Tensor:
    return torch.from_numpy(np.concatenate([[0], np.cumsum(np.bincount(sorted_owner, minlength=count))]).astype(np.int64))


def _ranges(starts: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The concatenated ranges ``starts[c]:starts[c + 1]`` for c in ``chosen``, and their lengths."""
    lengths = starts[chosen + 1] - starts[chosen]
    total = int(lengths.sum())
    before = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)[:-1]])
    place = torch.arange(total) + (starts[chosen] - before).repeat_interleave(lengths, output_size=total)
    return place, lengths
