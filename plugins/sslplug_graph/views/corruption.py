"""Corruption (DGI): the same edges, the feature rows shuffled over the nodes. A view with role "negative"."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from sslplug.contracts import View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Transform


def shuffle_features(batch: GraphBatch, generator: torch.Generator) -> GraphBatch:
    """A new permutation of the feature rows over all nodes of the batch, across its graphs."""
    order = torch.randperm(batch.num_nodes, generator=generator, device=batch.device)
    return replace(batch, x=batch.x.rows(order))


class Corruption(Transform):
    """Shuffle the feature rows and mark the view as a negative."""

    brings = frozenset({"negatives"})

    name: Literal["corruption"] = "corruption"

    def __call__(self, view: View, rng: Rng) -> View:
        """The corrupted view."""
        return replace(view, data=shuffle_features(view.data, rng.torch(view.data.device)), role="negative")
