"""Contrast with intents: prototypes of all training histories by k-means before every epoch (ICLRec).

Chen et al. 2022, arXiv:2202.02519. With two altered copies h1, h2 of each history, c the nearest prototype of the history
itself,

    L = w_sequence contrast(h1, h2) + w_intent 1/2 ( contrast(h1, c) + contrast(h2, c) )

contrast is :class:`DotContrast`; in the second part histories of one intent are no negatives of each other. The paper's
code pools histories by their mean or as one long vector; here a history is its last state, the one that recommends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing, tags
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.sequential.contrast import DotContrast, DotContrastOptions
from sslplug_recsys.sequential.methods.next_item import history_rows
from sslplug_recsys.sequential.views.histories import inputs

TOGETHER = 2048
"""Histories encoded at a time before an epoch."""


class IntentsOptions(Options):
    """Options of the method."""

    intents: int = Field(256, ge=2, description="prototypes")
    rounds: int = Field(20, ge=1, description="rounds of k-means before each epoch")
    temperature: float = Field(1.0, gt=0, description="tau of both contrasts")
    sequence_weight: float = Field(1.0, ge=0, description="weight of the contrast between the two copies")
    intent_weight: float = Field(1.0, ge=0, description="weight of the contrast with the intents")


class Intents(nn.Module):
    """Terms: ``sequence`` and ``intent``. Prototypes come from the training sequences of ``spec`` alone."""

    prototypes: Tensor

    def __init__(self, options: IntentsOptions, views: Views, encoder: nn.Module, training: Histories, dim: int) -> None:
        super().__init__()
        if len(training) < options.intents:
            raise UsageError(f"method.intents: {options.intents} prototypes of {len(training)} histories; ask for fewer.")
        self.options, self.views, self.encoder, self.training_histories = options, views, encoder, training
        self.contrast = DotContrast(DotContrastOptions(temperature=options.temperature))
        self.register_buffer("prototypes", torch.zeros(options.intents, dim))

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch."""
        o = self.options
        first, second = (self.encoder(view)["history"] for view in self.views(batch, rng)[:2])
        with torch.no_grad():
            intent = nearest(self.encoder(View(inputs(batch), role="history"))["history"].float(), self.prototypes)
        centre = self.prototypes[intent]
        pulled = [self.contrast([rows, centre], [intent, intent])["contrast"] for rows in (first, second)]
        return {
            "sequence": o.sequence_weight * self.contrast([first, second])["contrast"],
            "intent": o.intent_weight * (pulled[0] + pulled[1]) / 2,
        }

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """New prototypes, of the training histories as the encoder sees them now."""
        device = self.prototypes.device
        with observing(self.encoder):
            parts = [
                self.encoder(View(self.training_histories.take(rows).to(device), role="history"))["history"].float()
                for rows in torch.split(torch.arange(len(self.training_histories)), TOGETHER)
            ]
        rng = Rng.root(progress.epoch).fork("intents")
        self.prototypes.copy_(k_means(torch.cat(parts), self.options.intents, self.options.rounds, rng))

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Rows of the first copy."""
        return {"view0": history_rows(self, batch, rng)}


def nearest(rows: Tensor, centres: Tensor) -> Tensor:
    """(n,) int64: the nearest centre of each row, by Euclidean distance."""
    return (centres.square().sum(1) - 2 * rows @ centres.t()).argmin(1)


def k_means(rows: Tensor, count: int, rounds: int, rng: Rng) -> Tensor:
    """(count, d) centres of (n, d) rows by Lloyd's rounds, from ``count`` rows drawn; a centre that loses all rows stays."""
    start = torch.randperm(len(rows), generator=rng.torch(), device="cpu")[:count].to(rows.device)
    centres = rows[start].clone()
    for _ in range(rounds):
        owner = nearest(rows, centres)
        size = torch.bincount(owner, minlength=count)
        summed = torch.zeros_like(centres).index_add(0, owner, rows)
        moved = torch.where(size[:, None] > 0, summed / size.clamp(min=1)[:, None], centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def build(options: IntentsOptions, assembly: Assembly) -> Intents:
    """The method from finished parts."""
    if assembly.spec.histories is None:
        raise UsageError("Method 'intents' needs histories of items; choose sequence data.")
    return Intents(options, assembly.views, assembly.encoder, assembly.spec.histories, assembly.dims["history"])


INTENTS = Component(
    IntentsOptions,
    build,
    "Two copies of a history against each other and against the prototype of its intent (ICLRec)",
    needs=tags("pair", "level:history"),
)
