"""Spectra as sslplug's DomainData: generated ones, and a user's own from a CSV file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import DataContext, Options, Order, RawFeatures, Split, Task, View
from sslplug.errors import DataError
from sslplug.randomness import Rng


@dataclass(frozen=True)
class Spectra:
    """Some spectra.

    values   (n, channels) float32, each spectrum with mean 0 and deviation 1
    numbers  (n,) int64: their numbers in the whole data
    """

    values: Tensor
    numbers: Tensor

    def to(self, device: torch.device | str) -> Spectra:
        """The same spectra on ``device``."""
        return replace(self, values=self.values.to(device), numbers=self.numbers.to(device))


@dataclass(frozen=True)
class SpectraSpec:
    """What views and encoders must know."""

    channels: int


def clean(batch: Spectra) -> View:
    """The batch as it is, its rows named."""
    return View(batch, ids={"spectrum": batch.numbers})


@dataclass(frozen=True)
class Batches(Sequence[Spectra]):
    """One rank's batches of one epoch; each is made when asked for and depends on nothing else."""

    data: SpectraData
    order: Order
    size: int

    def __len__(self) -> int:
        return len(self.data.learnt) // self.size

    def __getitem__(self, step: Any) -> Any:
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of an epoch of {len(self)} steps")
        shuffled = Rng.root(self.order.seed).fork("order", self.order.epoch).numpy().permutation(self.data.learnt)
        joined = shuffled[step * self.size : (step + 1) * self.size]
        return self.data.batch(np.array_split(joined, self.order.world)[self.order.rank])


class SpectraData:
    """n spectra, the task of telling their classes, and the rows that may be learnt from (all but the test rows)."""

    level = "spectrum"

    def __init__(
        self, name: str, values: np.ndarray, axis: Sequence[float], task: Task | None, notes: Sequence[str]
    ) -> None:
        deviation = values.std(1, keepdims=True)
        flat = np.flatnonzero(deviation[:, 0] < 1e-12)
        if len(flat):
            raise DataError(f"{name}: spectrum {flat[0]} is constant ({len(flat)} such); remove it, it tells nothing.")
        # Standard normal variate: each spectrum by itself, so nothing is fitted on other rows.
        self.values = ((values - values.mean(1, keepdims=True)) / deviation).astype(np.float32)
        self.spec = SpectraSpec(values.shape[1])
        self.tasks = {} if task is None else {task.name: task}
        tested = np.concatenate([split.test for split in task.splits]) if task is not None else np.array([], int)
        self.learnt = np.setdiff1d(np.arange(len(values)), tested)
        self.fitted: Mapping[str, Any] = {"axis": list(axis)}
        self.description: Mapping[str, Any] = {
            "name": name,
            "spectra": len(values),
            "channels": values.shape[1],
            "preprocessing": "standard normal variate",
            "notes": list(notes),
            "sha256": hashlib.sha256(self.values.tobytes()).hexdigest(),
        }

    def batch(self, rows: np.ndarray) -> Spectra:
        """These rows in memory of their own."""
        return Spectra(torch.from_numpy(self.values[rows]), torch.from_numpy(rows.astype(np.int64)))

    def batches(self, order: Order) -> Sequence[Spectra]:
        """The epoch's batches for one rank; spectra that do not fill a batch wait for another epoch's shuffle."""
        size = order.batch_size or len(self.learnt) // order.world * order.world
        if size > len(self.learnt) or size % order.world:
            raise DataError(
                f"Batch size {size} on {order.world} ranks for {len(self.learnt)} spectra; choose a multiple of the ranks "
                "that is no larger than the data."
            )
        return Batches(self, order, size)

    def rows(self) -> Iterable[View]:
        """Every spectrum once, 256 a view."""
        for start in range(0, len(self.values), 256):
            yield clean(self.batch(np.arange(start, min(start + 256, len(self.values)))))

    def raw_features(self, task: Task) -> RawFeatures:
        """(n, 2 channels - 1): the intensities and their first differences, as chemometrics uses them."""
        return RawFeatures(np.concatenate([self.values, np.diff(self.values, axis=1)], axis=1))


class MineralsOptions(Options):
    """Sizes of the generated data."""

    spectra: int = Field(default=900, ge=60, description="number of spectra")
    classes: int = Field(default=6, ge=2, description="minerals")
    channels: int = Field(default=256, ge=64, description="channels of a spectrum")
    noise: float = Field(default=0.25, ge=0, description="deviation of the noise; the highest peak is about 1")


def minerals(options: MineralsOptions, context: DataContext) -> SpectraData:
    """Lorentzian peaks of each mineral, their heights, widths and places varying, on a quadratic background. Synthetic."""
    draw = Rng.root(context.seed).fork("minerals").numpy()
    axis = np.linspace(0.0, 1.0, options.channels)
    peaks = draw.uniform(0.05, 0.95, (options.classes, 5)), draw.lognormal(-0.7, 0.6, (options.classes, 5))
    classes = draw.permutation(np.arange(options.spectra) % options.classes).astype(np.int64)
    places = peaks[0][classes] + draw.normal(0.0, 0.004, (options.spectra, 1))
    heights = peaks[1][classes] * draw.lognormal(0.0, 0.35, (options.spectra, 5))
    widths = draw.uniform(0.006, 0.012, (options.spectra, 5))
    signal = (heights[:, :, None] / (1.0 + ((axis - places[:, :, None]) / widths[:, :, None]) ** 2)).sum(1)
    bend = draw.normal(0.0, 1.0, (options.spectra, 3))
    background = bend @ np.stack([np.ones_like(axis), axis - 0.5, (axis - 0.5) ** 2 * 4])
    values = draw.lognormal(0.0, 0.3, (options.spectra, 1)) * signal + background
    values += draw.normal(0.0, options.noise, values.shape)
    names = tuple(f"mineral {number}" for number in range(options.classes))
    task = mineral_task(classes, names, Rng.root(context.seed).fork("split"))
    return SpectraData("minerals (synthetic)", values, axis.tolist(), task, ["synthetic: made by a generator, no recording"])


def mineral_task(labels: np.ndarray, names: tuple[str, ...], rng: Rng) -> Task:
    """60 % train, 20 % validation, 20 % test of the labelled spectra, drawn by the seed."""
    known = rng.numpy().permutation(np.flatnonzero(labels >= 0)).astype(np.int64)
    first, second = round(0.6 * len(known)), round(0.8 * len(known))
    split = Split(np.sort(known[:first]), np.sort(known[first:second]), np.sort(known[second:]))
    return Task("mineral", "classification", "spectrum", labels, [split], "random 60/20/20", classes=names, drawn=True)


class FilesOptions(Options):
    """A user's own spectra."""

    path: Path = Field(description="CSV file: a row a spectrum, a column a channel named by its place; `label` may be there")
    label: str = Field(default="label", description="the column of classes; empty cells are unlabelled spectra")


def files(options: FilesOptions, context: DataContext) -> SpectraData:
    """Spectra of a CSV file. Raises DataError naming file, row and column; new data must have the trained encoder's axis."""
    try:
        with options.path.open(newline="", encoding="utf-8") as handle:
            header, *rows = list(csv.reader(handle)) or [[]]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{options.path}: cannot be read ({error}); give a CSV file in UTF-8.") from error
    channels = [name for name in header if name != options.label]
    try:
        axis = [float(name) for name in channels]
    except ValueError as error:
        raise DataError(
            f"{options.path}, header: {error}; expected a number a channel and at most one column {options.label!r}."
        ) from error
    if len(axis) < 16 or len(rows) < 2:
        raise DataError(f"{options.path}: {len(rows)} spectra of {len(axis)} channels; expected 2 of 16 at least.")
    if context.fitted is not None and axis != context.fitted["axis"]:
        raise DataError(
            f"{options.path}: its {len(axis)} channels ({axis[0]:g} to {axis[-1]:g}) are not those that the encoder was trained "
            f"on ({len(context.fitted['axis'])}, {context.fitted['axis'][0]:g} to {context.fitted['axis'][-1]:g}); resample them."
        )
    values, words = np.empty((len(rows), len(axis))), []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{options.path}, line {number}: {len(row)} cells; expected {len(header)}.")
        cells = dict(zip(header, row, strict=True))
        words.append(cells.pop(options.label, ""))
        for place, (name, cell) in enumerate(cells.items()):
            values[number - 2, place] = _number(cell, f"{options.path}, line {number}, column {name}")
    known = sorted(set(words) - {""})
    labels = np.array([known.index(word) if word else -1 for word in words], dtype=np.int64)
    judged = len(known) > 1 and context.fitted is None
    task = mineral_task(labels, tuple(known), Rng.root(context.seed).fork("split")) if judged else None
    return SpectraData(options.path.name, values, axis, task, [])


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{where}: {cell!r}; expected a finite number.")
    return value
