"""Changes of time: permutation of segments, warping, reversal, crop and resize. All channels move together unless said."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.interpolate import CubicSpline
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.transform import Rows, Share, Transform, between, normal, pick, sample_at


class Permutation(Transform):
    """Cut each window into segments at random places and shuffle them, the same for all its channels.

    Cuts are uniform over those that leave every segment ``shortest`` samples (what rejection sampling gives). The order is
    uniform over all, the old one among them (1 in 24 for four segments). Ragged rows too short for their segments stay.
    """

    name: Literal["permutation"] = "permutation"
    segments: int = Field(4, ge=2, description="segments of a window")
    shortest: int = Field(11, ge=1, description="least samples of a segment (ssl-wearables: more than 10)")
    up_to: bool = Field(False, description="each window has 1 to ``segments`` segments, as in TS-TCC's strong view")
    channel: int | None = Field(
        None,
        ge=0,
        description="this channel's shuffled signal replaces all channels: 0 is what TS-TCC's release really does",
    )

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Values with shuffled segments."""
        moved = pick(rows.values, self.source(rows, rng))
        return moved if self.channel is None else moved[:, self.channel, None].expand_as(moved)

    def check(self, spec: SignalSpec) -> None:
        """Needs windows that hold the segments, and the channel."""
        if self.channel is not None and self.channel >= len(spec.channels):
            raise UsageError(
                f"View 'permutation': channel {self.channel} of signals with {len(spec.channels)} channels "
                f"({', '.join(spec.channels)}); give 0 to {len(spec.channels) - 1}, or none for all."
            )
        if self.segments * self.shortest > spec.length:
            raise UsageError(
                f"View 'permutation': {self.segments} segments of {self.shortest} samples or more need windows of "
                f"{self.segments * self.shortest}; these have {spec.length}. Lower segments or shortest."
            )

    def source(self, rows: Rows, rng: Rng) -> Tensor:
        """(m, T) int64: the sample that comes to each place."""
        time, lengths = rows.values.shape[2], rows.lengths
        count = torch.full_like(lengths, self.segments)
        if self.up_to:
            count = 1 + (rng.fork("count").uniform(rows.numbers)[:, 0] * self.segments).to(torch.int64)
        count = torch.where(count * self.shortest > lengths, torch.ones_like(count), count)
        free = (lengths - count * self.shortest).to(torch.float32)
        cut = torch.arange(1, self.segments, device=lengths.device)
        drawn = rng.fork("cuts").uniform(rows.numbers, self.segments - 1)
        drawn = torch.where(cut < count[:, None], drawn, 2.0).sort(1).values
        place = cut * self.shortest + (drawn * (free + 1)[:, None]).floor().to(torch.int64)
        # Segments beyond a row's count are empty and lie at its end, as does padding.
        place = torch.where(cut < count[:, None], place, lengths[:, None])
        zero = torch.zeros_like(lengths[:, None])
        start = torch.cat([zero, place], 1)
        size = torch.cat([place, lengths[:, None]], 1) - start
        key = rng.fork("order").uniform(rows.numbers, self.segments)
        order = torch.where(size > 0, key, 2.0).argsort(1)
        moved_size = size.gather(1, order)
        moved_start = moved_size.cumsum(1) - moved_size
        ticks = torch.arange(time, device=lengths.device)
        segment = (ticks >= moved_start[:, 1:, None]).sum(1)
        shift = start.gather(1, order) - moved_start
        return torch.where(ticks < lengths[:, None], ticks + shift.gather(1, segment), ticks)


class TimeWarp(Transform):
    """Run through the window at a speed that varies: a cubic spline through knots N(1, sigma), summed, and rescaled to the
    window's length, says where each sample is read; values between samples by straight lines (ssl-wearables)."""

    name: Literal["time_warp"] = "time_warp"
    sigma: float = Field(0.2, ge=0, description="deviation of the speed at the knots")
    knots: int = Field(6, ge=2, description="knots of the spline, at equal distances from first to last sample")
    per: Literal["window", "channel"] = Field(
        "window", description="channels warp together, or each by itself (released code)"
    )

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Warped values."""
        m, channels, time = rows.values.shape
        count = channels if self.per == "channel" else 1
        knots = 1 + self.sigma * normal(rows, rng, count * self.knots).view(m, count, self.knots)
        # Never backwards, never still: with sigma .2 the bound is met once in 10^5 knots.
        speed = (knots @ spline(self.knots, time).to(knots.device)).clamp_(min=0.05)
        place = speed[:, :, 1:].cumsum(2)
        place = torch.nn.functional.pad(place, (1, 0))
        last = (rows.lengths - 1).clamp(min=1)
        reached = place.gather(2, last[:, None, None].expand(-1, count, -1))
        place = place * (last[:, None, None] / reached)
        place = torch.minimum(place, last[:, None, None].to(place.dtype))
        return sample_at(rows.values, place[:, 0] if count == 1 else place)


@lru_cache(maxsize=16)
def spline(knots: int, time: int) -> Tensor:
    """(knots, time) float32: a cubic spline (not-a-knot ends) is linear in the values at its knots."""
    places = np.linspace(0, time - 1, knots)
    return torch.from_numpy(np.asarray(CubicSpline(places, np.eye(knots))(np.arange(time)), np.float32).T.copy())


class ArrowOfTime(Transform):
    """Reverse time."""

    name: Literal["arrow_of_time"] = "arrow_of_time"

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Reversed values; padding stays at the end."""
        if rows.visible is None:
            return rows.values.flip(2)
        ticks = torch.arange(rows.values.shape[2], device=rows.values.device)
        last = rows.lengths[:, None] - 1
        return pick(rows.values, torch.where(ticks <= last, last - ticks, ticks))


class Crop(Transform):
    """Keep a random stretch and resample it to the window's length."""

    name: Literal["crop"] = "crop"
    least: Share = Field(0.5, description="smallest share of the window that is kept; the share is uniform from here to 1")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Stretched crops."""
        ticks = torch.arange(rows.values.shape[2], device=rows.values.device, dtype=torch.float32)
        last = (rows.lengths - 1).to(torch.float32)[:, None]
        share = between(rows, rng.fork("share"), self.least, 1.0)
        start = between(rows, rng.fork("start"), 0.0, 1.0) * (1 - share) * last
        return sample_at(rows.values, torch.minimum(start + share * ticks, last))
