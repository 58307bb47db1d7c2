"""SimGCL's term (Yu et al. 2022, arXiv:2112.08679): two noisy passes over the clean graph, told apart among the batch's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, Wants, compared
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.propagation import Branch, Noise, Reading


class NoiseOptions(ContrastOptions):
    """Two noisy copies (SimGCL)."""

    name: Literal["noise"] = Field("noise", description="two noisy passes")
    size: float = Field(0.1, ge=0, description="eps: norm of the noise on each row of each layer")


class NoiseContrast(Contrast):
    """InfoNCE of distinct users, and of distinct items, between two passes with noise of their own."""

    def __init__(self, options: NoiseOptions, objective: nn.Module) -> None:
        super().__init__()
        self.options, self.objective = options, objective

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """Final rows of two noisy passes."""
        readings = (Reading(encoder.final, sides.users), Reading(encoder.final, sides.items))
        size = self.options.size
        return Wants(branches=tuple(Branch(readings, Noise(size, rng.fork(view)) if size else None) for view in (0, 1)))

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side."""
        users, items, other_users, other_items = read
        user = compared(self.objective, users, other_users, sides.users, sides.users, self.options)
        item = compared(self.objective, items, other_items, sides.items, sides.items, self.options)
        return user + self.options.item_weight * item
