"""Weighted sum: several methods on one encoder, each with its own views and objective.

Joint supervised and self-supervised training, two towers with an item-side contrastive term, and every paper whose loss is
L1 + lambda L2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Choice, Component, Options, Progress, Role
from sslplug.randomness import Rng


class PartChoice(Options):
    """One part of the sum. Views default to the recipe's own."""

    weight: float = Field(1.0, description="Factor of all this part's terms.")
    views: Annotated[Choice | None, Role("views")] = Field(None, description="This part's views; default: the recipe's.")
    method: Annotated[Choice, Role("method")] = Field(description="This part's method.")
    objective: Annotated[Choice | None, Role("objective")] = Field(None, description="This part's objective.")


class WeightedSumOptions(Options):
    """Options of the weighted sum."""

    parts: dict[str, PartChoice] = Field(min_length=1, description="The parts by name; terms are logged as <part>/<term>.")


class WeightedSum(nn.Module):
    """Terms of all parts, each times its part's weight. Parts share the encoder and draw from streams of their own."""

    def __init__(self, encoder: nn.Module, parts: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.encoder = encoder
        # No ModuleDict, which refuses names with dots and names of its own attributes, such as "items".
        self.names, self.parts = tuple(parts), nn.ModuleList(parts.values())
        self.weights = dict(weights)

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        return {
            f"{name}/{term}": self.weights[name] * value
            for name, part in zip(self.names, self.parts, strict=True)
            for term, value in part(batch, rng.fork(name)).items()
        }

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Every part's hook, in order."""
        for part in self.parts:
            part.on_epoch_start(progress, embed)  # type: ignore[operator]

    def after_step(self, progress: Progress) -> None:
        """Every part's hook, in order."""
        for part in self.parts:
            part.after_step(progress)  # type: ignore[operator]

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """What the first part observes."""
        seen: dict[str, Tensor] = self.parts[0].observe(batch, rng.fork(self.names[0]))  # type: ignore[operator]
        return seen


def build(options: WeightedSumOptions, assembly: Assembly) -> WeightedSum:
    """The sum from its parts' choices."""
    parts = {name: assembly.nested(part.views, part.method, part.objective) for name, part in options.parts.items()}
    return WeightedSum(assembly.encoder, parts, {name: part.weight for name, part in options.parts.items()})


WEIGHTED_SUM = Component(
    WeightedSumOptions,
    build,
    "Several methods on one encoder, each with views, objective and weight of its own (joint supervised + SSL).",
)
