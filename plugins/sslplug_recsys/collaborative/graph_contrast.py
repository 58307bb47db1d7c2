"""SGL's term (Wu et al. 2021, arXiv:2010.10783): passes over two thinned graphs, drawn anew every epoch.

L_u = -log exp(cos(z'_u, z''_u) / tau) / sum over ALL users v of exp(cos(z'_u, z''_v) / tau),   the same for items
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Progress
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, compared
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.graph import Graph, kept_edges, kept_nodes
from sslplug_recsys.propagation import Branch, Reading, propagate


class GraphOptions(ContrastOptions):
    """Two thinned graphs (SGL)."""

    name: Literal["graph"] = Field("graph", description="passes over two thinned graphs, drawn every epoch")
    drop: Literal["edge", "node", "walk"] = Field(
        "edge", description="edges (ED); users and items with their edges (ND); other edges in every layer (RW)"
    )
    ratio: float = Field(0.1, ge=0, lt=1, description="rho: share of edges, or of users and of items, that is dropped")


class GraphContrast(Contrast):
    """InfoNCE of the batch's rows against the whole table of their side, between passes over the two graphs."""

    epoch: Tensor
    key: Tensor

    def __init__(self, options: GraphOptions, objective: nn.Module) -> None:
        super().__init__()
        self.options, self.objective = options, objective
        # Buffers: a run resumed within an epoch draws the same graphs again.
        self.register_buffer("key", torch.randint(2**62, ()))
        self.register_buffer("epoch", torch.tensor(0))
        self._drawn: tuple[tuple[int, int, torch.device], list[list[Graph]]] | None = None

    def on_epoch_start(self, progress: Progress, encoder: LightGcn) -> None:
        """Another epoch, other graphs."""
        self.epoch.fill_(progress.epoch)

    def graphs(self, encoder: LightGcn) -> list[list[Graph]]:
        """Two lists of graphs, one a layer."""
        clean = encoder.graph
        state = (int(self.key), int(self.epoch), clean.offsets.device)
        if self._drawn is None or self._drawn[0] != state:
            rng, layers = Rng.root(state[0]).fork(state[1]), encoder.options.layers
            made = []
            for view in (0, 1):
                if self.options.drop == "walk":
                    made.append([thinned(clean, self.options, rng.fork(view, layer)) for layer in range(layers)])
                else:
                    made.append([thinned(clean, self.options, rng.fork(view))] * layers)
            self._drawn = state, made
        return self._drawn[1]

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side."""
        first, second = self.graphs(encoder)
        rows = torch.cat([sides.user, sides.item])
        anchors = propagate(encoder.table, first, [Branch((Reading(encoder.final, rows),))])[0]
        keys = propagate(encoder.table, second, [Branch((Reading(encoder.final),))])[0]
        return both_sides(self.objective, sides, anchors, keys, encoder, self.options)


def both_sides(
    objective: nn.Module, sides: Sides, anchors: Tensor, keys: Tensor, encoder: LightGcn, options: ContrastOptions
) -> Tensor:
    """The batch's users against all users, its items against all items.

    anchors  (2 b, d): rows of ``sides.user``, then of ``sides.item``;  keys: (N, d) rows of all nodes
    """
    of_user, of_item = anchors.chunk(2)
    users = slice(0, encoder.users)
    items = slice(encoder.users, encoder.users + encoder.items)
    node = torch.arange(len(keys), device=keys.device)
    user = compared(objective, of_user, keys[users], sides.user, node[users], options)
    item = compared(objective, of_item, keys[items], sides.item, node[items], options)
    return user + options.item_weight * item


def thinned(graph: Graph, options: GraphOptions, rng: Rng) -> Graph:
    """The graph without exactly the asked share of its edges, or of its users and of its items."""
    if options.ratio == 0:
        return graph
    if options.drop == "node":
        parts = (graph.users, graph.items, graph.nodes - graph.users - graph.items)
        kept = [_kept(size, options.ratio, rng.fork(side), graph.offsets.device) for side, size in enumerate(parts)]
        return kept_nodes(graph, torch.cat(kept))
    return kept_edges(graph, _kept(graph.edges, options.ratio, rng, graph.offsets.device))


def _kept(n: int, ratio: float, rng: Rng, device: torch.device) -> Tensor:
    """(n,) bool with exactly the share ``1 - ratio`` True, rounded down as in SGL's code."""
    order = torch.randperm(n, generator=rng.torch(device), device=device)
    keep = torch.zeros(n, dtype=torch.bool, device=device)
    keep[order[: int(n * (1.0 - ratio))]] = True
    return keep
