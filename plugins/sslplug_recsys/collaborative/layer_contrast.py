"""XSimGCL's term (Yu et al. 2023, arXiv:2209.02544): one layer of the ranking pass against its final embedding.

The noise is that of the ranking pass itself, ``method.noise``: no further propagation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, Wants, compared
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.propagation import Reading


class LayerOptions(ContrastOptions):
    """One layer against the final embedding (XSimGCL)."""

    name: Literal["layer"] = Field("layer", description="a layer of the ranking pass against its final embedding")
    layer: int = Field(1, ge=0, description="l*: the layer, from 1; 0 is the ego embedding")


class LayerContrast(Contrast):
    """InfoNCE of distinct users, and of distinct items: final rows against rows of one layer."""

    def __init__(self, options: LayerOptions, objective: nn.Module) -> None:
        super().__init__()
        self.options, self.objective = options, objective

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """Final rows and rows of the layer, of the ranking pass."""
        layer = encoder.layer(self.options.layer)
        return Wants(tuple(Reading(c, rows) for rows in (sides.users, sides.items) for c in (encoder.final, layer)))

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side."""
        users, layer_users, items, layer_items = read
        user = compared(self.objective, users, layer_users, sides.users, sides.users, self.options)
        item = compared(self.objective, items, layer_items, sides.items, sides.items, self.options)
        return user + self.options.item_weight * item
