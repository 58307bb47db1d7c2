"""The toy domain's views: one for every kind of thing a method may ask of views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Target, View
from sslplug.randomness import Rng
from sslplug.testing.toy_data import ToyBatch, ToySpec, clean


class CropsOptions(Options):
    """Random crops: take cells away, add noise."""

    views: int = Field(default=2, ge=2, description="number of views")
    slices: int = Field(default=1, ge=1, description="crops of each row inside one view (repeated ids)")
    cell_rate: float = Field(default=0.5, ge=0, lt=1, description="share of cells taken away")
    noise: float = Field(default=0.1, ge=0, description="standard deviation of the added noise")


class MaskedOptions(Options):
    """Hidden cells to be reconstructed."""

    cell_rate: float = Field(default=0.5, gt=0, lt=1, description="share of cells hidden")


class PlainOptions(Options):
    """No options."""


@dataclass(frozen=True)
class Crops:
    """``views`` views; each takes cells away independently, a row's numbers depending on the row alone."""

    options: CropsOptions

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of cells marked absent, in every view."""
        return {"change:present": self.options.cell_rate}

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """The crops of ``batch``."""
        return [self._crop(batch, rng.fork("view", number)) for number in range(self.options.views)]

    def _crop(self, batch: ToyBatch, rng: Rng) -> View:
        repeated = repeat(batch, self.options.slices)
        cells, width = repeated.cells.shape[1:]
        draw = repeated.numbers * self.options.slices + torch.arange(
            self.options.slices, device=batch.numbers.device
        ).repeat(len(batch.numbers))
        present = repeated.present & (rng.fork("present").uniform(draw, cells) >= self.options.cell_rate)
        noise = self.options.noise * normal(rng.fork("noise"), draw, cells * width).view_as(repeated.cells)
        view = clean(repeated)
        return replace(view, data=replace(repeated, cells=(repeated.cells + noise) * present[..., None], present=present))


@dataclass(frozen=True)
class Masked:
    """One view whose hidden cells are the target "features"."""

    options: MaskedOptions

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of cells hidden."""
        return {"mask:cell": self.options.cell_rate}

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """The view and its target: the numbers of the hidden cells."""
        hidden = (rng.fork("view", 0).uniform(batch.numbers, batch.cells.shape[1]) < self.options.cell_rate).flatten()
        rows = hidden.nonzero().squeeze(1)
        target = Target("cell", batch.cells.flatten(0, 1)[rows], rows)
        view = clean(batch)
        return [replace(view, mask={"cell": hidden}, targets={**view.targets, "features": target})]


@dataclass(frozen=True)
class Corrupted:
    """The clean view, and one of role "negative" whose cells come from other rows, position by position."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """The clean and the corrupted view."""
        cells = batch.cells.shape[1]
        numbers = rng.fork("view", 1).uniform(batch.numbers, cells)
        source = numbers.argsort(0)
        shuffled = batch.cells[source, torch.arange(cells, device=source.device)]
        return [clean(batch), View(replace(batch, cells=shuffled, labels=None), role="negative")]


@dataclass(frozen=True)
class Flipped:
    """Half of the rows change sign; the target "flipped" (2 classes) and ``params["sign"]`` say which."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """The one view."""
        flipped = rng.fork("view", 0).uniform(batch.numbers)[:, 0] < 0.5
        sign = 1.0 - 2.0 * flipped.float()
        view = clean(replace(batch, cells=batch.cells * sign[:, None, None]))
        return [replace(view, targets={**view.targets, "flipped": Target("row", flipped.long())}, params={"sign": sign})]


@dataclass(frozen=True)
class Halves:
    """Two views with roles: "left" holds the first half of the cells, "right" the rest."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """Both sides; nothing is random."""
        first = torch.arange(batch.cells.shape[1], device=batch.cells.device) < batch.cells.shape[1] // 2
        views = []
        for role, side in (("left", first), ("right", ~first)):
            kept = replace(batch, cells=batch.cells * side[:, None], present=batch.present & side)
            views.append(clean(kept, role))
        return views


@dataclass(frozen=True)
class Reordered:
    """The clean view, and one with its rows from last to first: what encoders that claim "orderless" are held to."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """Both orders; nothing is random."""
        labels = None if batch.labels is None else batch.labels.flip(0)
        turned = ToyBatch(batch.cells.flip(0), batch.numbers.flip(0), batch.present.flip(0), labels)
        return [clean(batch), clean(turned)]


@dataclass(frozen=True)
class Identity:
    """The clean view."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        """The one view; nothing is random."""
        return [clean(batch)]


def repeat(batch: ToyBatch, times: int) -> ToyBatch:
    """Every row ``times`` times in a row."""
    return replace(
        batch,
        cells=batch.cells.repeat_interleave(times, 0),
        numbers=batch.numbers.repeat_interleave(times),
        present=batch.present.repeat_interleave(times, 0),
        labels=None if batch.labels is None else batch.labels.repeat_interleave(times),
    )


def normal(rng: Rng, rows: Tensor, width: int) -> Tensor:
    """Standard normal numbers that belong to rows, (n, width), by Box and Muller's transform."""
    radius = torch.sqrt(-2.0 * torch.log1p(-rng.fork("radius").uniform(rows, width)))
    return radius * torch.cos(2.0 * torch.pi * rng.fork("angle").uniform(rows, width))


def build_crops(options: CropsOptions, spec: ToySpec) -> Crops:
    """The component's build function."""
    return Crops(options)


def build_masked(options: MaskedOptions, spec: ToySpec) -> Masked:
    """The component's build function."""
    return Masked(options)


def build_corrupted(options: PlainOptions, spec: ToySpec) -> Corrupted:
    """The component's build function."""
    return Corrupted()


def build_flipped(options: PlainOptions, spec: ToySpec) -> Flipped:
    """The component's build function."""
    return Flipped()


def build_halves(options: PlainOptions, spec: ToySpec) -> Halves:
    """The component's build function."""
    return Halves()


def build_reordered(options: PlainOptions, spec: ToySpec) -> Reordered:
    """The component's build function."""
    return Reordered()


def build_identity(options: PlainOptions, spec: ToySpec) -> Identity:
    """The component's build function."""
    return Identity()
