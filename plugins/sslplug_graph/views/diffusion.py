"""Graph diffusion (Gasteiger et al. 2019, as in MVGRL): replace the edges by each node's strongest diffusion neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch, Structure
from sslplug_graph.propagation import bag_sum
from sslplug_graph.views.transform import Transform

_KNOWN: WeakKeyDictionary[Structure, dict[tuple[str, float, int], tuple[Tensor, Tensor]]] = WeakKeyDictionary()
_ENTRIES_AT_ONCE = 1 << 24


def diffused(structure: Structure, kind: Literal["ppr", "heat"], strength: float, top: int) -> tuple[Tensor, Tensor]:
    """Edges (2, E') and weights (E',) of the ``top`` strongest off-diagonal entries of each row of S.

    ppr   S = strength sum_k (1 - strength)^k T^k;  heat  S = exp(-strength) sum_k strength^k / k! T^k;  T = D^-1/2 A D^-1/2.
    The series is cut once what is left is below 1e-4. Weights are S_ij / S_ii, since encoders add self-loops of weight 1.
    Takes O(N^2) time in all, memory for a block of rows at a time; cached by edge set.
    """
    key = (kind, strength, top)
    known = _KNOWN.setdefault(structure, {})
    if key in known:
        return known[key]
    n, device = structure.num_nodes, structure.edge_index.device
    scale = structure.in_degree.clamp(min=1).to(torch.float32).rsqrt()
    turned = structure.by_source
    source = torch.repeat_interleave(torch.arange(n, device=device), turned.indptr.diff())
    values = scale[turned.indices] * scale[source]
    edges, weights = [], []
    for start in range(0, n, max(1, _ENTRIES_AT_ONCE // max(n, 1))):
        rows = torch.arange(start, min(n, start + max(1, _ENTRIES_AT_ONCE // max(n, 1))), device=device)
        column = torch.arange(len(rows), device=device)
        power = torch.zeros(n, len(rows), device=device)
        power[rows, column] = 1.0
        factor = strength if kind == "ppr" else float(torch.tensor(-strength).exp())
        left, step = 1.0 - factor, 0
        out = power * factor
        while left > 1e-4:
            step += 1
            power = bag_sum(turned.indptr, turned.indices, values, power)
            factor = factor * (1 - strength) if kind == "ppr" else factor * strength / step
            left -= factor
            out += power * factor
        own = out[rows, column].clone()
        out[rows, column] = -1.0
        best, where = out.topk(min(top, n - 1), dim=0)
        real = best > 0
        edges.append(torch.stack([where[real], rows.expand_as(where)[real]]))
        weights.append((best / own)[real])
    known[key] = (torch.cat(edges, 1), torch.cat(weights))
    return known[key]


class Diffusion(Transform):
    """The diffused graph instead of the graph."""

    name: Literal["diffusion"] = "diffusion"
    kind: Literal["ppr", "heat"] = Field("ppr", description="personalised PageRank or heat kernel")
    strength: float = Field(0.2, gt=0, description="ppr: restart probability, below 1; heat: diffusion time")
    top: int = Field(32, ge=1, description="strongest neighbours kept for each node")

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with other edges; nothing is random."""
        batch: GraphBatch = view.data
        edges, weights = diffused(batch.structure, self.kind, self.strength, self.top)
        return replace(view, data=replace(batch, edge_index=edges, edge_weight=weights))
