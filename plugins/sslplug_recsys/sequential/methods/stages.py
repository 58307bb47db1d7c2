"""One method after another on one encoder: pretrain for some epochs, then fine-tune (S3-Rec)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Choice, Component, Options, Progress, Role
from sslplug.randomness import Rng


class StageChoice(Options):
    """One stage. Views default to the recipe's own."""

    epochs: int = Field(1, ge=1, description="epochs of this stage; the last stage lasts to the end whatever stands here")
    views: Annotated[Choice | None, Role("views")] = Field(None, description="this stage's views; default: the recipe's")
    method: Annotated[Choice, Role("method")] = Field(description="this stage's method")
    objective: Annotated[Choice | None, Role("objective")] = Field(None, description="this stage's objective")


class StagesOptions(Options):
    """The stages."""

    stages: dict[str, StageChoice] = Field(min_length=2, description="the stages by name, in order")


class Stages(nn.Module):
    """Terms are those of the running stage, ``<stage>/<term>``. The optimiser keeps its averages from stage to stage."""

    stage: Tensor

    def __init__(self, encoder: nn.Module, stages: Mapping[str, nn.Module], epochs: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        # No ModuleDict, which refuses names with dots and names of its own attributes, such as "items".
        self.names, self.stages = tuple(stages), nn.ModuleList(stages.values())
        self.ends = [sum(epochs[: number + 1]) for number in range(len(epochs) - 1)]
        # A buffer, so that a run resumed within an epoch knows its stage.
        self.register_buffer("stage", torch.tensor(0))

    def _running(self) -> tuple[str, nn.Module]:
        return self.names[int(self.stage)], self.stages[int(self.stage)]

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch."""
        name, method = self._running()
        return {f"{name}/{term}": value for term, value in method(batch, rng.fork(name)).items()}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """The stage of this epoch begins or goes on."""
        self.stage.fill_(sum(progress.epoch >= end for end in self.ends))
        self._running()[1].on_epoch_start(progress, embed)  # type: ignore[operator]

    def after_step(self, progress: Progress) -> None:
        """The running stage's hook."""
        self._running()[1].after_step(progress)  # type: ignore[operator]

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """What the running stage observes."""
        name, method = self._running()
        seen: dict[str, Tensor] = method.observe(batch, rng.fork(name))  # type: ignore[operator]
        return seen


def build(options: StagesOptions, assembly: Assembly) -> Stages:
    """The stages from their choices."""
    made = {name: assembly.nested(one.views, one.method, one.objective) for name, one in options.stages.items()}
    return Stages(assembly.encoder, made, [one.epochs for one in options.stages.values()])


STAGES = Component(StagesOptions, build, "One method after another on one encoder: pretrain, then fine-tune (S3-Rec)")
