"""Views of spectra: what instruments do to them and a mineral does not change by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_spectra.data import Spectra, SpectraSpec, clean


class DistortedOptions(Options):
    """Strength of each distortion."""

    shift: float = Field(default=2.0, ge=0, description="largest shift along the axis, in channels")
    bend: float = Field(default=0.5, ge=0, description="size of the added background (constant, slope and curve)")
    gain: float = Field(default=0.2, ge=0, description="deviation of the logarithm of the gain")
    noise: float = Field(default=0.2, ge=0, description="deviation of the added noise")
    band_rate: float = Field(default=0.2, ge=0, lt=1, description="share of the channels set to 0, in one band")


@dataclass(frozen=True)
class Distorted:
    """Two views, each distorted by itself; what happens to a spectrum depends on its number alone."""

    options: DistortedOptions
    channels: int

    @property
    def rates(self) -> Mapping[str, float]:
        """Other distortions change every number, so only the band's own test can measure its share."""
        return {}

    def __call__(self, batch: Spectra, rng: Rng) -> list[View]:
        """The two views of ``batch``."""
        return [clean(replace(batch, values=self._distort(batch, rng.fork("view", number)))) for number in range(2)]

    def _distort(self, batch: Spectra, rng: Rng) -> Tensor:
        o, n, c = self.options, batch.numbers, self.channels
        axis = torch.linspace(-1.0, 1.0, c, device=n.device)
        values = shifted(batch.values, (2 * rng.fork("shift").uniform(n)[:, 0] - 1) * o.shift)
        values = values * torch.exp(o.gain * normal(rng.fork("gain"), n, 1))
        bend = o.bend * normal(rng.fork("bend"), n, 3)
        values = values + bend @ torch.stack([torch.ones_like(axis), axis, axis**2])
        values = values + o.noise * normal(rng.fork("noise"), n, c)
        length = round(o.band_rate * c)
        start = (rng.fork("band").uniform(n) * (c - length + 1)).long()
        place = torch.arange(c, device=n.device)
        return values * ~((place >= start) & (place < start + length))


def shifted(values: Tensor, by: Tensor) -> Tensor:
    """Each row moved along its axis by ``by`` channels, linearly interpolated, its ends held."""
    c = values.shape[1]
    place = (torch.arange(c, device=values.device) - by[:, None]).clamp(0, c - 1)
    low = place.floor().long().clamp(max=c - 2)
    share = place - low
    return values.gather(1, low) * (1 - share) + values.gather(1, low + 1) * share


def normal(rng: Rng, numbers: Tensor, width: int) -> Tensor:
    """Standard normal numbers that belong to rows, (n, width), by Box and Muller's transform."""
    radius = torch.sqrt(-2.0 * torch.log1p(-rng.fork("radius").uniform(numbers, width)))
    return radius * torch.cos(2.0 * torch.pi * rng.fork("angle").uniform(numbers, width))


def build(options: DistortedOptions, spec: SpectraSpec) -> Distorted:
    """The component's build function."""
    return Distorted(options, spec.channels)
