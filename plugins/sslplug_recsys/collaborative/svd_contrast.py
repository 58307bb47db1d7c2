"""LightGCL's term (Cai et al. 2023, arXiv:2302.08191): the graph's own layers against those of its truncated SVD.

With the user-item block of A^ written U S V^T to rank q, and E^l the layers of the ranking pass,

    G_u = E^0_u + U S V^T sum_{l<L} E^l_i,   G_i = E^0_i + V S U^T sum_{l<L} E^l_u
    L = sum over both sides of  - mean clamp(<G_n, E_n> / tau, -5, 5) + mean log sum_all exp(<G_n, E_m> / tau)

Rows are not normalised. Users are the batch's, items its positives and negatives. E sums the layers: encoder.combine must be sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, Wants
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.collaborative.table_logsumexp import table_logsumexp
from sslplug_recsys.graph import Graph
from sslplug_recsys.propagation import Reading


class SvdOptions(ContrastOptions):
    """Truncated SVD of the training graph (LightGCL)."""

    name: Literal["svd"] = Field("svd", description="layers of the graph's truncated SVD against those of the graph")
    rank: int = Field(5, ge=1, description="q: singular vectors kept")
    temperature: float = Field(0.2, gt=0, description="tau, of dot products")


class SvdContrast(Contrast):
    """See the module's equation."""

    users_scaled: Tensor
    items_scaled: Tensor
    users_basis: Tensor
    items_basis: Tensor

    def __init__(self, options: SvdOptions, encoder: LightGcn) -> None:
        super().__init__()
        o = encoder.options
        if o.combine != "sum" or not o.ego or not o.layers:
            raise UsageError(
                "Contrast 'svd' compares sums of layers with the ego layer among them; set encoder: {combine: sum, ego: true} "
                "and at least one layer."
            )
        self.options = options
        u, s, v = interaction_svd(encoder.graph, options.rank)
        for name, value in (("users_basis", u), ("items_basis", v), ("users_scaled", u * s), ("items_scaled", v * s)):
            self.register_buffer(name, value)

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """The sum of all layers but the last, and the final table."""
        return Wants((Reading((*[1.0] * encoder.options.layers, 0.0)), Reading(encoder.final)))

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side."""
        users, nodes = encoder.users, encoder.users + encoder.items
        layers, final = read
        items = sides.item if sides.negative is None else torch.cat([sides.item, sides.negative])
        # A node that comes several times has one value: each is computed once and counted as often.
        (user, of_user), (item, of_item) = (torch.unique(rows, return_inverse=True) for rows in (sides.user, items))
        low_users = self.users_scaled[user] @ (self.items_basis.t() @ layers[users:nodes])
        low_items = self.items_scaled[item - users] @ (self.users_basis.t() @ layers[:users])
        by_user = self._side(encoder.table[user] + low_users, final[user], final[:users])[of_user]
        by_item = self._side(encoder.table[item] + low_items, final[item], final[users:nodes])[of_item]
        if self.options.reduction == "sum":
            return by_user.sum() + self.options.item_weight * by_item.sum()
        return by_user.mean() + self.options.item_weight * by_item.mean()

    def _side(self, low: Tensor, own: Tensor, table: Tensor) -> Tensor:
        positive = ((low * own).sum(1) / self.options.temperature).clamp(-5.0, 5.0)
        return table_logsumexp(low, table, self.options.temperature) - positive


def interaction_svd(graph: Graph, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """(users, q), (q,), (items, q): the largest singular triplets of the user-item block of A^. Deterministic."""
    owner, neighbour, values = (t.cpu().numpy() for t in (graph.owner, graph.neighbours, graph.values))
    inside = (owner < graph.users) & (neighbour >= graph.users) & (neighbour < graph.users + graph.items)
    shape = (graph.users, graph.items)
    block = sparse.csr_matrix((values[inside].astype(np.float64), (owner[inside], neighbour[inside] - graph.users)), shape)
    if rank < min(shape):
        start = np.random.default_rng(0).standard_normal(min(shape))
        u, s, vt = svds(block, k=rank, v0=start)
        order = np.argsort(-s)
        u, s, vt = u[:, order], s[order], vt[order]
    else:
        u, s, vt = np.linalg.svd(block.toarray(), full_matrices=False)
    return tuple(torch.from_numpy(np.ascontiguousarray(part)).float() for part in (u, s, vt.T))  # type: ignore[return-value]
