"""Changes that take away: stretches of time, channels, bands of frequency (TERA, BrainBERT; SpecAugment's masks)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.transform import Rows, Share, Transform, pick


class TimeMask(Transform):
    """One stretch of ``rate`` of the window becomes 0 (the mean, where batches are standardised), in all channels."""

    name: Literal["time_mask"] = "time_mask"
    rate: Share = Field(0.2, description="share of the window that is zeroed")

    def share(self, spec: SignalSpec) -> float:
        """The share of the numbers that is struck, over all rows."""
        return self.rate * self.probability

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Values with a hole."""
        lengths = rows.lengths[:, None]
        width = (self.rate * lengths).round().to(torch.int64)
        start = (rng.uniform(rows.numbers) * (lengths - width + 1)).to(torch.int64)
        ticks = torch.arange(rows.values.shape[2], device=rows.values.device)
        return rows.values * ((ticks < start) | (ticks >= start + width))[:, None].to(rows.values.dtype)


class ChannelMask(Transform):
    """Channels become 0: each at ``rate``, or a block of neighbours up to ``rate`` of them wide (TERA)."""

    name: Literal["channel_mask"] = "channel_mask"
    rate: Share = Field(0.2, description="share of the channels; block: largest share, the width is uniform from 0")
    block: bool = Field(False, description="neighbours rather than single channels")

    def share(self, spec: SignalSpec) -> float:
        """The share of the channels that is zeroed, over all rows."""
        channels = len(spec.channels)
        return self.probability * (self.widest(channels) / 2 / channels if self.block else self.rate)

    def widest(self, channels: int) -> int:
        """Most neighbours that are zeroed together: one at least, at a rate above 0."""
        return max(1, round(self.rate * channels)) if self.rate else 0

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Values without some channels."""
        channels = rows.values.shape[1]
        if self.block:
            first, second = rng.uniform(rows.numbers, 2).chunk(2, dim=1)
            width = (first * (self.widest(channels) + 1)).to(torch.int64)
            start = (second * (channels - width + 1)).to(torch.int64)
            number = torch.arange(channels, device=rows.values.device)
            hidden = (number >= start) & (number < start + width)
        else:
            hidden = rng.uniform(rows.numbers, channels) < self.rate
        return rows.values * (~hidden)[:, :, None].to(rows.values.dtype)


class FrequencyMask(Transform):
    """A band of ``rate`` of the frequencies above zero is taken out of all channels; the mean stays.

    Spectrograms (``spec.bins``) lose a band of bins in every sensor channel.
    """

    name: Literal["frequency_mask"] = "frequency_mask"
    rate: Share = Field(0.1, description="share of the frequencies taken out")

    def share(self, spec: SignalSpec) -> float:
        """The share of the numbers that is struck, over all rows."""
        return self.rate * self.probability

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Values without a band."""
        m, channels, time = rows.values.shape
        bins = rows.spec.bins
        count = bins if bins > 1 else time // 2
        width = round(self.rate * count)
        start = (rng.uniform(rows.numbers) * (count - width + 1)).to(torch.int64)
        number = torch.arange(count, device=rows.values.device)
        hidden = (number >= start) & (number < start + width)
        if bins > 1:
            return rows.values.view(m, -1, bins, time).masked_fill(hidden[:, None, :, None], 0.0).view(m, channels, time)
        spectrum = torch.fft.rfft(rows.values, dim=2)
        hidden = torch.nn.functional.pad(hidden, (1, 0))  # the mean is no frequency above zero
        made: Tensor = torch.fft.irfft(spectrum.masked_fill(hidden[:, None], 0.0), n=time, dim=2)
        return made


class TimeAlteration(Transform):
    """Spans of time are altered: zeroed, replaced by another stretch of the window, or kept, one of these a row (TERA).

    round(rate T / span) spans start at different places and may overlap, so a little less than ``rate`` is altered.
    """

    name: Literal["time_alteration"] = "time_alteration"
    rate: Share = Field(0.15, description="share of the samples in spans")
    span: int = Field(7, ge=1, description="samples of a span")
    zero: Share = Field(0.8, description="chance that a row's spans become 0")
    other: Share = Field(0.1, description="chance that they show another stretch of the window; else they are kept")
    per: Literal["window", "channel"] = Field(
        "window", description="spans are of all channels, or of each channel by itself (E4mer)"
    )

    def share(self, spec: SignalSpec) -> float:
        """The share of the numbers that is zeroed or replaced, over all rows, but for overlaps."""
        return self.rate * min(self.zero + self.other, 1.0) * self.probability

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Altered values."""
        m, channels, time = rows.values.shape
        span = min(self.span, time)
        count = round(self.rate * time / span)
        if not count:
            return rows.values
        copies = channels if self.per == "channel" else 1
        places = time - span + 1
        keys = rng.fork("spans").uniform(rows.numbers, copies * places).view(m, copies, places)
        starts = keys.topk(min(count, places), dim=2).indices
        marked = torch.zeros((m, copies, time), dtype=torch.bool, device=rows.values.device)
        inside = (starts[..., None] + torch.arange(span, device=starts.device)).flatten(2)
        marked.scatter_(2, inside, torch.ones_like(inside, dtype=torch.bool))
        dice = rng.fork("kind").uniform(rows.numbers)[:, 0]
        kept = ~marked | (dice >= self.zero + self.other)[:, None, None]
        shown = rows.values * kept.to(rows.values.dtype)
        moved = ((dice >= self.zero) & (dice < self.zero + self.other)).nonzero()[:, 0]
        if not len(moved):
            return shown
        shift = 1 + (rng.fork("other").uniform(rows.numbers[moved]) * (time - 1)).to(torch.int64)
        ticks = (torch.arange(time, device=shift.device) + shift) % time
        values = rows.values[moved]
        return shown.index_copy_(0, moved, torch.where(marked[moved], pick(values, ticks), values))
