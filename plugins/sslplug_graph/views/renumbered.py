"""The same graphs with their nodes numbered the other way round: what encoders that claim "orderless" are held to."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from sslplug.contracts import Target, View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Transform


def backwards(batch: GraphBatch) -> Tensor:
    """(N,) int64: the nodes from last to first within each graph; those that were asked for stay before the others."""
    flipped = torch.arange(batch.num_nodes - 1, -1, -1, device=batch.device)
    if batch.seeds is not None:
        flipped = flipped[torch.argsort((flipped >= batch.seeds).long(), stable=True)]
    return flipped[torch.argsort(batch.graph[flipped], stable=True)]


class Renumbered(Transform):
    """Number the nodes backwards; ids, edges and known labels follow."""

    moves_rows = True

    name: Literal["renumbered"] = "renumbered"

    def __call__(self, view: View, rng: Rng) -> View:
        """The renumbered view; nothing is random."""
        batch: GraphBatch = view.data
        order = backwards(batch)
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        targets = {name: _follow(target, place) for name, target in view.targets.items()}
        data = replace(
            batch,
            x=batch.x.rows(order),
            edge_index=place[batch.edge_index],
            graph=batch.graph[order],
            node_ids=batch.node_ids[order],
            labels=None if batch.labels is None else _follow(batch.labels, place),
        )
        return replace(view, data=data, ids={**view.ids, "node": data.node_ids[: batch.seeds]}, targets=targets)


def _follow(target: Target, place: Tensor) -> Target:
    """The target with its rows where they now are."""
    if target.level != "node":
        return target
    rows = torch.arange(len(target.values), device=place.device) if target.rows is None else target.rows
    return replace(target, rows=place[rows])
