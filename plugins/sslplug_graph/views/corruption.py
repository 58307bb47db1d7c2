"""Corruption (DGI): the same edges, the feature rows shuffled over the nodes. A view with role "negative"."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch


def shuffle_features(batch: GraphBatch, generator: torch.Generator) -> GraphBatch:
    """A new permutation of the feature rows over all nodes of the batch, across its graphs."""
    order = torch.randperm(batch.num_nodes, generator=generator, device=batch.device)
    return replace(batch, x=batch.x.rows(order))


class Corruption(Options):
    """Shuffle the feature rows and mark the view as a negative."""

    changes: ClassVar[str] = ""
    moves_rows: ClassVar[bool] = False
    brings: ClassVar[Tags] = frozenset({"negatives"})

    name: Literal["corruption"] = "corruption"

    @property
    def share(self) -> float:
        """Everything."""
        return 1.0

    def __call__(self, view: View, rng: Rng) -> View:
        """The corrupted view."""
        return replace(view, data=shuffle_features(view.data, rng.torch(view.data.device)), role="negative")
