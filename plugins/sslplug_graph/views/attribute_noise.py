"""Attribute noise (GraphCL's attribute masking): the features of some nodes become N(.5, .5) noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field

from sslplug.contracts import View
from sslplug_graph.batch import Features, GraphBatch
from sslplug_graph.views.nodes import keep_first, kept_counts
from sslplug_graph.views.transform import Rated


def noisy_nodes(batch: GraphBatch, rate: float, generator: torch.Generator) -> GraphBatch:
    """Replace the features of a share ``rate`` of each graph's nodes by normal noise of mean and standard deviation .5."""
    counts = kept_counts(batch, rate, generator)
    order = torch.rand(batch.num_nodes, generator=generator, device=batch.device)
    struck = (~keep_first(order, batch.graph, counts)).nonzero()[:, 0]
    noise = torch.randn(len(struck), batch.x.shape[1], generator=generator, device=batch.device) * 0.5 + 0.5
    return replace(batch, x=Features(batch.x.dense().index_copy(0, struck, noise)))


class AttributeNoise(Rated):
    """Replace the features of a share of the nodes by noise."""

    changes = "noisy_nodes"

    name: Literal["attribute_noise"] = "attribute_noise"
    rate: float = Field(0.1, ge=0, lt=1, description="share of nodes whose features are replaced")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with noisy nodes."""
        return replace(view, data=noisy_nodes(view.data, self.rate, generator))
