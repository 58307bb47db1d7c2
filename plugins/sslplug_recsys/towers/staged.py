"""Methods one after another on one encoder: pretraining on the catalogue or the attributes, then tuning on the log.

The mode that Yao et al. 2021 compare with joint training (which is the engine's ``weighted_sum``), and S3-Rec's two stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sslplug.contracts import Assembly, Choice, Component, Options, Progress, Role
from sslplug.randomness import Rng


class StageChoice(Options):
    """One stage. Views default to the recipe's own."""

    share: float = Field(gt=0, description="this stage's share of the epochs, relative to the other stages'")
    views: Annotated[Choice | None, Role("views")] = Field(None, description="this stage's views; default: the recipe's")
    method: Annotated[Choice, Role("method")] = Field(description="this stage's method")
    objective: Annotated[Choice | None, Role("objective")] = Field(None, description="this stage's objective")


class StagedOptions(Options):
    """Options of the stages."""

    stages: dict[str, StageChoice] = Field(description="the stages by name, in their order; terms are <stage>/<term>")

    @model_validator(mode="after")
    def _two(self) -> StagedOptions:
        if len(self.stages) < 2:
            raise ValueError("name two stages or more")
        return self


class Staged(nn.Module):
    """Stage s trains from the epoch nearest to its share of all epochs on; the parts share the encoder alone.

    The optimiser goes on from stage to stage, and so does the learning rate's schedule.
    """

    stage: Tensor

    def __init__(self, encoder: nn.Module, parts: Mapping[str, nn.Module], shares: Mapping[str, float]) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = tuple(parts)
        self.parts = nn.ModuleList(parts.values())
        total = sum(shares.values())
        self.begins = [sum(list(shares.values())[:number]) / total for number in range(len(shares))]
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    def _now(self) -> tuple[str, nn.Module]:
        number = int(self.stage)
        return self.names[number], self.parts[number]

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch in the present stage."""
        name, part = self._now()
        return {f"{name}/{term}": value for term, value in part(batch, rng.fork(name)).items()}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Moves on where the epoch says so; then the present stage's own hook."""
        begun = [number for number, share in enumerate(self.begins) if progress.epoch >= round(share * progress.epochs)]
        self.stage.fill_(max(begun))
        self._now()[1].on_epoch_start(progress, embed)  # type: ignore[operator]

    def after_step(self, progress: Progress) -> None:
        """The present stage's hook."""
        self._now()[1].after_step(progress)  # type: ignore[operator]

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """What the present stage observes."""
        name, part = self._now()
        seen: dict[str, Tensor] = part.observe(batch, rng.fork(name))  # type: ignore[operator]
        return seen


def build(options: StagedOptions, assembly: Assembly) -> Staged:
    """The stages from their choices."""
    parts = {name: assembly.nested(stage.views, stage.method, stage.objective) for name, stage in options.stages.items()}
    return Staged(assembly.encoder, parts, {name: stage.share for name, stage in options.stages.items()})


STAGED = Component(StagedOptions, build, "Methods one after another on one encoder: pretrain, then tune")
