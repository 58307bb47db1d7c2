"""Two noisy views: Gaussian noise on numbers, and swap noise on all cells (denoising autoencoders, Vincent et al. 2008)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import Marginals, chance, replaced, swap_rates
from sslplug_tabular.views.look import look


class NoiseOptions(Options):
    """How noisy the views are."""

    sigma: float = Field(0.1, ge=0, description="standard deviation of what is added to scaled numbers")
    swap: float = Field(0.15, ge=0, le=1, description="chance that a cell is redrawn from its column")


@dataclass(frozen=True)
class Noise:
    """Two views, each by draws of its own. Missing cells that are not redrawn stay missing."""

    options: NoiseOptions
    spec: TableSpec
    marginals: Marginals

    @property
    def rates(self) -> Mapping[str, float]:
        """Shares of entries that differ: with sigma, every number that is there; else those that are redrawn."""
        rates = dict(swap_rates(self.spec, self.options.swap))
        if self.options.sigma and self.spec.numeric:
            absent = self.spec.reference.missing.float().mean(0)
            stays = absent * (1 - self.options.swap * (1 - absent))
            rates["change:numeric"] = 1.0 - float(stays.mean())
        return rates

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The two views of ``batch``."""
        return [look(batch, self._noisy(batch, rng.fork("view", number))) for number in range(2)]

    def _noisy(self, batch: Rows, rng: Rng) -> Rows:
        if self.options.swap:
            cells = chance(batch, self.options.swap, rng.fork("cells"))
            batch = replaced(batch, cells, self.marginals.draw(batch, rng.fork("draws")))
        if not self.options.sigma:
            return batch
        noise = self.options.sigma * normal(rng.fork("noise"), batch.index, batch.num)
        return replace(batch, numeric=batch.numeric + noise * ~batch.missing)


def normal(rng: Rng, rows: Tensor, width: int) -> Tensor:
    """(n, width) standard normal numbers that belong to rows, by Box and Muller's transform."""
    radius = torch.sqrt(-2.0 * torch.log1p(-rng.fork("radius").uniform(rows, width)))
    return radius * torch.cos(2.0 * torch.pi * rng.fork("angle").uniform(rows, width))


def build(options: NoiseOptions, spec: TableSpec) -> Noise:
    """The component's build function."""
    return Noise(options, spec, Marginals(spec))
