"""NCL's structural term (Lin et al. 2022, arXiv:2202.06200, eq. 6): the layer 2 k of a node against its own ego embedding.

Even layers hold neighbours of the node's own kind. All nodes of that kind are negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, Wants
from sslplug_recsys.collaborative.graph_contrast import both_sides
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.propagation import Reading


class StructureOptions(ContrastOptions):
    """An even layer against the ego layer (NCL)."""

    name: Literal["structure"] = Field("structure", description="an even layer against the ego layer")
    layer: int = Field(2, ge=1, description="2 k: the layer of neighbours")


class StructureContrast(Contrast):
    """InfoNCE of the batch's rows of a layer against the whole ego table of their side."""

    def __init__(self, options: StructureOptions, objective: nn.Module) -> None:
        super().__init__()
        self.options, self.objective = options, objective

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """The layer at the batch's users and items."""
        return Wants((Reading(encoder.layer(self.options.layer), torch.cat([sides.user, sides.item])),))

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side."""
        return both_sides(self.objective, sides, read[0], encoder.table, encoder, self.options)
