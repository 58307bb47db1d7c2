"""Randomized quantization (Wu et al. 2023): each channel's range is cut at random, each part becomes one random value of it."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_sequence.signals.views.transform import Rows, Transform


class RandomizedQuantization(Transform):
    """Information is lost inside the parts and stays between them; parts and values differ by row and channel."""

    name: Literal["randomized_quantization"] = "randomized_quantization"
    regions: int = Field(8, ge=2, description="parts of a channel's range")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Quantized values: of K ordered values a channel has K levels at most."""
        values, (m, channels, _) = rows.values, rows.values.shape
        hidden = None if rows.visible is None else ~rows.visible[:, None]
        low, high = (values, values) if hidden is None else (values.masked_fill(hidden, s * torch.inf) for s in (1, -1))
        low, high = low.amin(2, keepdim=True), high.amax(2, keepdim=True)
        cuts = rng.fork("cuts").uniform(rows.numbers, channels * (self.regions - 1)).view(m, channels, -1).sort(2).values
        where = ((values - low) / (high - low).clamp(min=1e-12)).contiguous()
        region = torch.searchsorted(cuts, where, right=True)
        edges = torch.cat([torch.zeros_like(cuts[..., :1]), cuts, torch.ones_like(cuts[..., :1])], 2)
        inside = rng.fork("values").uniform(rows.numbers, channels * self.regions).view(m, channels, -1)
        levels = torch.lerp(edges[..., :-1], edges[..., 1:], inside)
        return low + (high - low) * levels.gather(2, region)
