"""The interaction graph: users, items and whatever else is linked, as one symmetric operator.

Nodes are users, then items, then the further nodes of relations (attributes). With A the 0/1 adjacency of all edges and D its
degrees, the operator is A^ = D^-1/2 A D^-1/2, without self-loops (LightGCN, He et al. 2020, arXiv:2002.02126, eq. 8). It is its
own transpose, so one CSR serves forward and backward. Friends and attributes are more edges of the same graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A^ as CSR. N nodes, E edges, each stored from both ends.

    users, items  how many; node number of user u is u, of item i is users + i
    offsets       (N + 1,) int32, int64 where 2 E needs it: row n holds the entries offsets[n]..offsets[n + 1]
    neighbours    (2 E,) of the same type: node numbers, increasing in a row
    edge          (2 E,) of the same type: the number of the edge that an entry belongs to
    values        (2 E,) float32: 1 / sqrt(degree of the row * degree of the neighbour)
    edges         E of the graph that edges are numbered in
    """

    users: int
    items: int
    offsets: Tensor
    neighbours: Tensor
    edge: Tensor
    values: Tensor
    edges: int

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @property
    def owner(self) -> Tensor:
        """(2 E,) int64: the row of each entry."""
        rows = torch.arange(self.nodes, device=self.offsets.device)
        return rows.repeat_interleave(self.offsets.diff(), output_size=len(self.neighbours))

    def to(self, device: torch.device | str) -> Graph:
        """The same graph on ``device``."""
        return replace(
            self,
            offsets=self.offsets.to(device),
            neighbours=self.neighbours.to(device),
            edge=self.edge.to(device),
            values=self.values.to(device),
        )


def from_edges(users: int, items: int, nodes: int, one: Tensor, other: Tensor) -> Graph:
    """The graph of distinct undirected edges (one, other), both (E,) int64 node numbers."""
    whole = torch.int32 if 2 * len(one) < 2**31 and nodes < 2**31 else torch.int64
    row, neighbour = torch.cat([one, other]), torch.cat([other, one])
    order = torch.argsort(row * nodes + neighbour)
    degree = torch.bincount(row, minlength=nodes)
    edge = torch.arange(len(one)).repeat(2)[order]
    bare = Graph(
        users,
        items,
        torch.cat([degree.new_zeros(1), degree.cumsum(0)]).to(whole),
        neighbour[order].to(whole),
        edge.to(whole),
        torch.empty(0),
        len(one),
    )
    return normalised(bare)


def normalised(graph: Graph) -> Graph:
    """The graph with the values of its own degrees; a node without neighbours has none to scale."""
    scale = graph.offsets.diff().clamp(min=1).float().rsqrt()
    return replace(graph, values=scale[graph.owner] * scale[graph.neighbours.long()])


def kept_edges(graph: Graph, keep: Tensor) -> Graph:
    """The graph of the edges with True in ``keep`` ((E,) bool), normalised by the degrees that are left."""
    return _kept(graph, keep[graph.edge.long()])


def kept_nodes(graph: Graph, keep: Tensor) -> Graph:
    """The graph of the edges between nodes with True in ``keep`` ((N,) bool), normalised anew; nodes keep their numbers."""
    return _kept(graph, keep[graph.owner] & keep[graph.neighbours.long()])


def _kept(graph: Graph, entries: Tensor) -> Graph:
    before = torch.cat([entries.new_zeros(1, dtype=graph.offsets.dtype), entries.cumsum(0, dtype=graph.offsets.dtype)])
    bare = replace(
        graph,
        offsets=before[graph.offsets.long()],
        neighbours=graph.neighbours[entries],
        edge=graph.edge[entries],
    )
    return normalised(bare)
