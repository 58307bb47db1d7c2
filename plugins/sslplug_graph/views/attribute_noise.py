"""Attribute noise (GraphCL's attribute masking): the features of some nodes become N(.5, .5) noise."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_graph.batch import Features, GraphBatch
from sslplug_graph.views.nodes import keep_first, kept_counts


def noisy_nodes(batch: GraphBatch, rate: float, generator: torch.Generator) -> GraphBatch:
    """Replace the features of a share ``rate`` of each graph's nodes by normal noise of mean and standard deviation .5."""
    counts = kept_counts(batch, rate, generator)
    order = torch.rand(batch.num_nodes, generator=generator, device=batch.device)
    struck = (~keep_first(order, batch.graph, counts)).nonzero()[:, 0]
    noise = torch.randn(len(struck), batch.x.shape[1], generator=generator, device=batch.device) * 0.5 + 0.5
    return replace(batch, x=Features(batch.x.dense().index_copy(0, struck, noise)))


class AttributeNoise(Options):
    """Replace the features of a share of the nodes by noise."""

    changes: ClassVar[str] = "noisy_nodes"
    moves_rows: ClassVar[bool] = False
    brings: ClassVar[Tags] = frozenset()

    name: Literal["attribute_noise"] = "attribute_noise"
    rate: float = Field(0.1, ge=0, lt=1, description="share of nodes whose features are replaced")

    @property
    def share(self) -> float:
        """The rate."""
        return self.rate

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with noisy nodes."""
        if not self.rate:
            return view
        return replace(view, data=noisy_nodes(view.data, self.rate, rng.torch(view.data.device)))
