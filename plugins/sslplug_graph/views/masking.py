"""Node masking (GraphMAE, Hou et al. 2022): hide the features of some nodes; predict them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field

from sslplug.contracts import Target, View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Transform


def mask_nodes(view: View, rate: float, swapped: float, generator: torch.Generator) -> View:
    """Mask round(rate n) of the n embedded nodes; the target "features" holds their features as they were.

    A share ``swapped`` of the masked nodes is not hidden but shows the features of another random node. In a sampled batch
    only seeds are masked, since only they are embedded.
    """
    batch: GraphBatch = view.data
    n = batch.num_nodes if batch.seeds is None else batch.seeds
    masked = torch.randperm(n, generator=generator, device=batch.device)[: round(rate * n)]
    # With a single node there is no other one to show.
    count = int(swapped * len(masked)) if batch.num_nodes > 1 else 0
    hidden = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    hidden[masked[count:]] = True
    target = Target("node", batch.x.rows(masked).dense(), masked)
    if count:
        other = torch.randint(batch.num_nodes - 1, (count,), generator=generator, device=batch.device)
        shown = torch.arange(batch.num_nodes, device=batch.device)
        shown[masked[:count]] = other + (other >= masked[:count]).long()
        batch = replace(batch, x=batch.x.rows(shown))
    return replace(view, data=batch, mask={**view.mask, "node": hidden}, targets={**view.targets, "features": target})


class NodeMask(Transform):
    """Hide the features of a share of the nodes and ask for them."""

    changes = "mask:node"
    brings = frozenset({"masks", "target:features"})

    name: Literal["node_mask"] = "node_mask"
    rate: float = Field(0.5, ge=0, le=1, description="share of nodes whose features must be predicted")
    replace: float = Field(0.05, ge=0, le=1, description="share of those that show another node's features, not the token")

    @property
    def share(self) -> float:
        """Share of nodes that are really hidden."""
        return self.rate * (1 - self.replace)

    def __call__(self, view: View, rng: Rng) -> View:
        """The masked view with its target."""
        return mask_nodes(view, self.rate, self.replace, rng.torch(view.data.device))
