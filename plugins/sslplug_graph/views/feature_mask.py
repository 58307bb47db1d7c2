"""Feature mask: zero whole feature columns, the same ones for every node (GRACE; not entry by entry)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch


def mask_columns(batch: GraphBatch, rate: float | Tensor, generator: torch.Generator) -> GraphBatch:
    """Zero each feature column with probability ``rate`` (a number, or (F,) one a column): one draw for all nodes."""
    keep = torch.rand(batch.x.shape[1], generator=generator, device=batch.device) >= rate
    return replace(batch, x=batch.x.scaled(keep.float()))


class FeatureMask(Options):
    """Zero a share of the feature columns."""

    changes: ClassVar[str] = "columns"
    moves_rows: ClassVar[bool] = False
    brings: ClassVar[Tags] = frozenset()

    name: Literal["feature_mask"] = "feature_mask"
    rate: float = Field(0.3, ge=0, le=1, description="share of feature columns set to zero")

    @property
    def share(self) -> float:
        """The rate."""
        return self.rate

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with columns blanked."""
        if not self.rate:
            return view
        return replace(view, data=mask_columns(view.data, self.rate, rng.torch(view.data.device)))
