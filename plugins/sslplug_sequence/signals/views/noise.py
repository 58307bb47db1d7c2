"""Changes of size: jitter, scaling, negation, and uniform corruption (CLAN's negatives)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.transform import Rows, Share, Transform, column, deviation, noise, normal, unit_scale


class Jitter(Transform):
    """x + N(0, sigma), a number a sample."""

    name: Literal["jitter"] = "jitter"
    sigma: float = Field(0.05, ge=0, description="deviation of the noise, in deviations of the channel")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Noisy values."""
        return torch.addcmul(rows.values, noise(rows, rng), self.sigma * deviation(rows))


class Scaling(Transform):
    """x * N(mean, sigma), in the data's own unit: a factor a channel, a window or a sample.

    TS-TCC's weak view has a factor a sample with mean 2 and sigma 1.1 (Eldele et al. 2021, released code).
    """

    name: Literal["scaling"] = "scaling"
    sigma: float = Field(0.1, ge=0, description="deviation of the factors")
    mean: float = Field(1.0, description="mean of the factors")
    per: Literal["channel", "window", "sample"] = Field("channel", description="what has a factor of its own")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Scaled values."""
        _, channels, time = rows.values.shape
        if self.per == "sample":
            factor = normal(rows, rng, time)[:, None, :]
        else:
            factor = normal(rows, rng, channels if self.per == "channel" else 1)[:, :, None]
        return scaled(rows, self.mean + self.sigma * factor)


class Negate(Transform):
    """-x, in the data's own unit."""

    name: Literal["negate"] = "negate"

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Negated values."""
        return scaled(rows, -torch.ones_like(rows.values[:, :1, :1]))


class UniformNoise(Transform):
    """A share of the numbers is replaced by uniform noise (CLAN's corruption, Wilkie et al. 2025)."""

    name: Literal["uniform_noise"] = "uniform_noise"
    rate: Share = Field(0.1, description="share of the numbers replaced")
    reach: float = Field(1.7, gt=0, description="noise is uniform in +-reach deviations of the channel around its mean")
    per: Literal["sample", "channel"] = Field(
        "sample", description="what is struck: single samples, or whole channels of a window"
    )

    def share(self, spec: SignalSpec) -> float:
        """The share of the numbers that is struck, over all rows."""
        return self.rate * self.probability

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Corrupted values."""
        values = rows.values
        generator = rng.torch(values.device)
        drawn = torch.rand(values.shape, generator=generator, device=values.device, dtype=values.dtype)
        if self.per == "channel":
            struck = (rng.fork("struck").uniform(rows.numbers, values.shape[1]) < self.rate)[:, :, None]
        else:
            struck = torch.rand(values.shape, generator=generator, device=values.device) < self.rate
        scale = rows.spec.scale
        centre = column(rows, [0.0] * len(scale.mean) if scale.standardised else scale.mean)
        return torch.where(struck, centre + (2 * drawn - 1) * self.reach * deviation(rows), values)


def scaled(rows: Rows, factor: Tensor) -> Tensor:
    """Values times ``factor`` in the data's own unit: z f + (f - 1) mean / std where batches hold z = (x - mean) / std."""
    scale = unit_scale(rows)
    if scale is None:
        return rows.values * factor
    mean, std = scale
    return rows.values * factor + (factor - 1) * (mean / std)
