"""Encoders broken in one way each; they stand beside the toy's own, so that no run is trained with them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sslplug.contracts import Embedding, View
from sslplug.testing.toy_data import ToySpec
from sslplug.testing.toy_encoder import CellsEncoder, CellsOptions
from tests.testing.mutants.small import Mutant, with_encoder


class Wrapped(nn.Module):
    """The toy encoder with a hook after it."""

    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__()
        self.inner = CellsEncoder(options, spec)
        self.dims = self.inner.dims

    def forward(self, view: View) -> Embedding:
        embedding: Embedding = self.inner(view)
        return Embedding({level: self.after(level, rows) for level, rows in embedding.levels.items()}, self.owner(embedding))

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows

    def owner(self, embedding: Embedding) -> Mapping[str, torch.Tensor]:
        return embedding.owner


class Bare(Wrapped):
    def forward(self, view: View) -> Any:
        return dict(super().forward(view).levels)


class NotFinite(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows / (torch.arange(len(rows), device=rows.device)[:, None] > 0) if self.training else rows


class RandomInEval(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + 0 * torch.rand(1, device=rows.device)


class CountsInEval(Wrapped):
    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__(options, spec)
        self.register_buffer("seen", torch.zeros(()))

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        self.seen += len(rows)
        return rows


class WritesIntoView(Wrapped):
    def forward(self, view: View) -> Embedding:
        view.data.cells.clamp_(max=0.5)
        return super().forward(view)


class DeadParameter(Wrapped):
    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__(options, spec)
        self.unused = nn.Linear(2, 2)


class WrongDims(Wrapped):
    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__(options, spec)
        self.dims = {**self.inner.dims, "row": 7}


class OwnerOutside(Wrapped):
    def owner(self, embedding: Embedding) -> Mapping[str, torch.Tensor]:
        return {"cell": embedding.owner["cell"] + 1}


class HiddenState(Wrapped):
    """A number outside parameters and buffers that another instance does not have."""

    made = itertools.count()

    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__(options, spec)
        self.offset = next(self.made)

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + self.offset


class NeedsCompany(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows / (len(rows) - 1) if level == "row" else rows


class Compares(Wrapped):
    """Takes the batch's mean away, in eval mode too."""

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows - rows.mean(0)


class Doubled(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows.double()


class Anywhere(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + torch.zeros(len(rows), 1)


class SeedsItself(Wrapped):
    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        torch.manual_seed(0)
        super().__init__(options, spec)


class InPlace(Wrapped):
    """Adds each row's place, while it claims that order does not matter."""

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + 0.01 * torch.arange(len(rows), device=rows.device)[:, None]


def odd(promise: str, encoder: type[nn.Module], words: str, *also: str) -> Mutant:
    return Mutant(f"encoder/odd/{promise}", with_encoder(encoder), words, frozenset(also))


MUTANTS = [
    odd("embedding", Bare, "gave a dict"),
    odd("finite", NotFinite, "1 of .* rows of level .* not finite in training mode"),
    odd("deterministic", RandomInEval, "draws from the global generator of torch"),
    odd("eval-keeps-state", CountsInEval, "changed seen"),
    odd("input-unchanged", WritesIntoView, "wrote into .* at .data.cells"),
    odd("gradients", DeadParameter, "no view gives a gradient to unused.weight, unused.bias"),
    odd("shapes", WrongDims, r"\(16, 32\); expected \(n, 7\)|\(32, 32\); expected \(n, 7\)"),
    odd("owner", OwnerOutside, "points at row .*; expected 0 to"),
    odd("state-round-trip", HiddenState, "after save and load"),
    odd("single-row", NeedsCompany, "of one instance is not finite"),
    odd("alone", Compares, "alone, an instance moves by"),
    odd("dtype", Doubled, "torch.float64; expected torch.float32"),
    odd("device", Anywhere, "without a device"),
    odd("seeded", SeedsItself, "with two seeds, all parameters are the same"),
    # Alone, an instance has another place than among others.
    odd("permutation", InPlace, "'reordered': level 'cell' moves|'reordered': level 'row' moves", "encoder/odd/alone"),
]
