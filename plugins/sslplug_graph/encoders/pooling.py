"""From nodes to graphs: sum, mean or maximum over each graph's nodes; and the embedding both levels make."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslplug.contracts import Embedding
from sslplug_graph.batch import GraphBatch

Pool = Literal["sum", "mean", "max"]


def pool_nodes(rows: Tensor, graph: Tensor, num_graphs: int, pool: Pool) -> Tensor:
    """(G, d) of (N, d). ``graph`` (N,) is ascending; a graph without nodes gives zeros."""
    if num_graphs == 1 and len(rows):
        if pool == "max":
            return rows.amax(0, keepdim=True)
        return rows.sum(0, keepdim=True) if pool == "sum" else rows.mean(0, keepdim=True)
    sizes = torch.bincount(graph, minlength=num_graphs)
    if pool == "max":
        pooled = torch.segment_reduce(rows, "max", lengths=sizes, axis=0)
        return torch.where(sizes[:, None] > 0, pooled, 0.0)
    summed = rows.new_zeros(num_graphs, rows.shape[1]).index_add(0, graph, rows)
    return summed if pool == "sum" else summed / sizes.clamp(min=1)[:, None].to(rows.dtype)


def embedding(rows: Tensor, batch: GraphBatch, pool: Pool) -> Embedding:
    """Node and graph levels of final node rows. In a sampled batch only the seeds, which come first, are embedded."""
    if batch.seeds is not None:
        rows = rows[: batch.seeds]
    graph = batch.graph[: len(rows)]
    return Embedding({"node": rows, "graph": pool_nodes(rows, graph, batch.num_graphs, pool)}, {"node": graph})
