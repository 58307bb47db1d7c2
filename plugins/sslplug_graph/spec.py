"""What the data tells views and encoders about itself. Nothing here comes from a label."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GraphSpec:
    """Sizes of a graph data set.

    num_features  F, columns of the node features;  num_nodes, num_edges (stored, both directions), num_graphs  whole data
    level         what the instances of training are: "node" or "graph"
    sparse        node features are stored sparse (bags of words); encoders reach them through ``Features.matmul``
    sampled       training batches are sampled neighbourhoods; ``rows()`` still yields the whole graph
    """

    num_features: int
    num_nodes: int
    num_edges: int
    num_graphs: int
    level: str
    sparse: bool
    sampled: bool = False
