"""Methods, objectives and encoders whose runs break one promise each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, Progress, View
from sslplug.randomness import Rng
from sslplug.testing.toy import TOY
from sslplug.testing.toy_encoder import CellsEncoder
from tests.testing.mutants.small import SMALL, Mutant, with_encoder, with_method, with_objective

CLAIMING = frozenset({"labels", "beats-untrained"})


class Wrapped(nn.Module):
    """A method that hands everything to the one inside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.encoder = inner.encoder
        self.inner = inner

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        return self.inner(batch, rng)

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        self.inner.on_epoch_start(progress, embed)

    def after_step(self, progress: Progress) -> None:
        self.inner.after_step(progress)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        return self.inner.observe(batch, rng)


class Unseeded(Wrapped):
    """A buffer that starts anywhere; the first epoch sets it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.register_buffer("centre", torch.from_numpy(np.random.default_rng().normal(size=3)))

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        self.centre.zero_()


class SpareHead(Wrapped):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.spare = nn.Linear(2, 2)


class JudgesACopy(Wrapped):
    """What it trains is not what it shows; the trained one is frozen at the levels that no loss reaches."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.encoder = copy.deepcopy(inner.encoder)
        for part in (inner.encoder.own, inner.encoder.context):
            part.requires_grad_(False)


class WritesIntoBatch(Wrapped):
    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        batch.cells.clamp_(max=0.5)
        return self.inner(batch, rng)


class StaysInEval(Wrapped):
    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        self.inner.eval()
        return self.inner.observe(batch, rng)


class Counting(Wrapped):
    """Its loss grows with a number that no checkpoint holds."""

    steps = 0

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        return {name: value * (1 + self.steps) for name, value in self.inner(batch, rng).items()}

    def after_step(self, progress: Progress) -> None:
        self.steps += 1


class Remembers(CellsEncoder):
    """What it saw in training shifts what it gives in eval mode, and is kept nowhere."""

    seen = 0

    def forward(self, view: View) -> Embedding:
        embedding = super().forward(view)
        if self.training:
            self.seen += 1
            return embedding
        return replace(embedding, levels={level: rows + self.seen for level, rows in embedding.levels.items()})


class OtherwiseTraced(CellsEncoder):
    """Leaves out what it thinks a program need not do."""

    def forward(self, view: View) -> Embedding:
        embedding = super().forward(view)
        scale = 1.0 if torch.compiler.is_compiling() else 2.0
        return replace(embedding, levels={level: rows * scale for level, rows in embedding.levels.items()})


class OneDirection(CellsEncoder):
    """One dimension drowns all others; a probe that scales its columns does not see it."""

    def forward(self, view: View) -> Embedding:
        embedding = super().forward(view)
        scale = torch.ones(32, device=embedding["row"].device)
        scale[0] = 1000.0 if not self.training else 1.0
        return replace(embedding, levels={level: rows * scale for level, rows in embedding.levels.items()})


class Turned(nn.Module):
    """An objective whose terms are changed."""

    distribution = "gathered"
    most_views = 2

    def __init__(self, inner: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, *given: Any) -> dict[str, Tensor]:
        return {name: self.change(value) for name, value in self.inner(*given).items()}


def method(promise: str, wrapped: type[Wrapped], words: str) -> Mutant:
    return Mutant(f"run/{promise}", with_method(wrapped), words)


MUTANTS = [
    Mutant(
        "run/trains",
        with_objective(lambda inner: Turned(inner, lambda value: value.log() * float("nan")), SMALL),
        "NonFiniteError",
    ),
    method("repeats", Unseeded, r"built twice with one seed, \['centre'\] differ"),
    method("gradients", SpareHead, "no step gives a gradient to spare.bias, spare.weight"),
    method("learns", JudgesACopy, "the encoder is where it started"),
    method("batch-unchanged", WritesIntoBatch, "wrote into the batch at .cells"),
    method("observe", StaysInEval, "in another mode"),
    method("resume", Counting, "after stop and resume"),
    Mutant("run/frozen", with_encoder(Remembers, "cells"), "restored, the encoder embeds level .* otherwise"),
    Mutant("run/exports", with_encoder(OtherwiseTraced, "cells"), "the exported program says otherwise at level cell, by"),
    Mutant(
        "run/beats-untrained",
        with_objective(
            lambda inner: Turned(inner, torch.neg), replace(TOY, views=SMALL.views, encoders=SMALL.encoders, traits=CLAIMING)
        ),
        "expected more than the untrained",
        frozenset({"run/spread"}),
    ),
    Mutant(
        "run/spread",
        replace(TOY, views=SMALL.views, encoders=with_encoder(OneDirection, "cells").encoders, traits=CLAIMING),
        "the effective rank is",
    ),
]
