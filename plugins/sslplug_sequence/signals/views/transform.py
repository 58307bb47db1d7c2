"""What every change of a signal is: options and the change itself. A new transform is a class with one method.

m rows, C channels, T samples. A row's random numbers come from its number over the whole data (``Rng.uniform``), so they do not
depend on the batch it is in; noise for every sample comes from a generator of the batch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.spec import SignalSpec

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Rows:
    """What a transform sees.

    values   (m, C, T), never to be written into;  visible (m, T) bool or None
    numbers  (m,) int64: each row's number over the whole data
    """

    values: Tensor
    visible: Tensor | None
    numbers: Tensor
    spec: SignalSpec

    @property
    def lengths(self) -> Tensor:
        """(m,) int64 valid samples."""
        if self.visible is None:
            return torch.full_like(self.numbers, self.values.shape[2])
        return self.visible.sum(1)


class Transform(Options):
    """One change of signals of unchanged shape. Rows it does not strike keep their very values."""

    name: str
    probability: Share = Field(1.0, description="chance of each row to be changed")

    def __call__(self, signals: Signals, numbers: Tensor, rng: Rng, spec: SignalSpec) -> Signals:
        """The changed signals; padding stays zero."""
        if not self.probability or not len(numbers):
            return signals
        rows = Rows(signals.values, signals.visible, numbers, spec)
        values = self.change(rows, rng)
        if signals.visible is not None:
            values = values * signals.visible[:, None]
        if self.probability < 1:
            struck = rng.fork("rows").uniform(numbers) < self.probability
            values = torch.where(struck[:, :, None], values, signals.values)
        return replace(signals, values=values)

    def check(self, spec: SignalSpec) -> None:
        """Raises UsageError where signals of this spec cannot be changed so."""

    def share(self, spec: SignalSpec) -> float:
        """The share that is changed, of what ``rate`` says or of the rows."""
        return self.probability

    @abstractmethod
    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """(m, C, T) changed values of all rows."""


def normal(rows: Rows, rng: Rng, width: int = 1) -> Tensor:
    """(m, width) standard normal numbers that belong to the rows (Box and Muller 1958)."""
    first, second = rng.uniform(rows.numbers, 2 * width).chunk(2, dim=1)
    return (-2 * torch.log1p(-first)).sqrt() * torch.cos(2 * math.pi * second)


def between(rows: Rows, rng: Rng, low: float, high: float, width: int = 1) -> Tensor:
    """(m, width) uniform numbers in [low, high) that belong to the rows."""
    return low + (high - low) * rng.uniform(rows.numbers, width)


def noise(rows: Rows, rng: Rng) -> Tensor:
    """(m, C, T) standard normal noise, a number a sample, from a generator of the batch."""
    values = rows.values
    return torch.randn(values.shape, generator=rng.torch(values.device), device=values.device, dtype=values.dtype)


def deviation(rows: Rows) -> Tensor:
    """(C, 1) deviation of each channel in the unit of the batch: 1 where batches are standardised."""
    scale = rows.spec.scale
    return column(rows, [1.0] * len(scale.std) if scale.standardised else scale.std)


def unit_scale(rows: Rows) -> tuple[Tensor, Tensor] | None:
    """(C, 1) mean and deviation that turn batches back into the data's own unit, or None where they are in it."""
    scale = rows.spec.scale
    return (column(rows, scale.mean), column(rows, scale.std)) if scale.standardised else None


def column(rows: Rows, numbers: Sequence[float]) -> Tensor:
    """(C, 1) one number a channel, like the values."""
    return torch.tensor(numbers, dtype=rows.values.dtype, device=rows.values.device)[:, None]


def sample_at(values: Tensor, place: Tensor) -> Tensor:
    """(m, C, T') values at fractional samples ``place`` (m, T'), or (m, C, T') for each channel its own, by straight lines."""
    low = place.floor().clamp(0, values.shape[2] - 1)
    share = (place - low).to(values.dtype)
    first = low.to(torch.int64)
    last = (first + 1).clamp_(max=values.shape[2] - 1)
    if place.ndim == 2:
        share = share[:, None]
    return pick(values, first).lerp_(pick(values, last), share)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """(m, C, T') values at samples ``index`` (m, T') int64, or (m, C, T') for each channel its own."""
    if index.ndim == 3:
        return values.gather(2, index)
    return values.gather(2, index[:, None].expand(-1, values.shape[1], -1))
