"""How central nodes are: degree, eigenvector, PageRank. Computed once for each edge set."""

from __future__ import annotations

from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sslplug_graph.batch import Structure
from sslplug_graph.propagation import bag_sum

Centrality = Literal["degree", "eigenvector", "pagerank"]

_KNOWN: WeakKeyDictionary[Structure, dict[tuple[str, int], Tensor]] = WeakKeyDictionary()


def _into(structure: Structure, rows: Tensor) -> Tensor:
    return bag_sum(structure.by_target.indptr, structure.by_target.indices, None, rows[:, None])[:, 0]


def pagerank(structure: Structure, steps: int, damping: float = 0.85) -> Tensor:
    """(N,) PageRank of mean 1, without the mass of nodes that have no edge out, as GCA computes it."""
    share = structure.out_degree.clamp(min=1).to(torch.float32).reciprocal()
    rank = torch.ones_like(share)
    for _ in range(steps):
        rank = (1.0 - damping) + damping * _into(structure, rank * share)
    return rank


def eigenvector(structure: Structure, steps: int = 200) -> Tensor:
    """(N,) leading eigenvector of the adjacency, plus 1e-8. Power iteration on A + I, which also converges on two-part graphs."""
    vector = torch.full((structure.num_nodes,), structure.num_nodes**-0.5, device=structure.edge_index.device)
    for _ in range(steps):
        vector = _into(structure, vector) + vector
        vector = vector / vector.norm()
    return vector + 1e-8


def centrality(structure: Structure, kind: Centrality, steps: int) -> Tensor:
    """(N,) centrality; ``steps`` are PageRank's. Cached."""
    known = _KNOWN.setdefault(structure, {})
    key = (kind, steps if kind == "pagerank" else 0)
    if key not in known:
        if kind == "degree":
            known[key] = structure.in_degree.to(torch.float32)
        else:
            known[key] = pagerank(structure, steps) if kind == "pagerank" else eigenvector(structure)
    return known[key]
