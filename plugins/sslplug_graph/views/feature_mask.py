"""Feature mask: zero whole feature columns, the same ones for every node (GRACE; not entry by entry)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Rated


def mask_columns(batch: GraphBatch, rate: float | Tensor, generator: torch.Generator) -> GraphBatch:
    """Zero each feature column with probability ``rate`` (a number, or (F,) one a column): one draw for all nodes."""
    keep = torch.rand(batch.x.shape[1], generator=generator, device=batch.device) >= rate
    return replace(batch, x=batch.x.scaled(keep.float()))


class FeatureMask(Rated):
    """Zero a share of the feature columns."""

    changes = "columns"

    name: Literal["feature_mask"] = "feature_mask"
    rate: float = Field(0.3, ge=0, le=1, description="share of feature columns set to zero")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with columns blanked."""
        return replace(view, data=mask_columns(view.data, self.rate, generator))
