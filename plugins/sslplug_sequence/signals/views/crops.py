"""Two overlapping crops whose shared samples are matched by ids (TS2Vec, Yue et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals, Windows, clean_view
from sslplug_sequence.signals.spec import SignalSpec


class CropOptions(Options):
    """How long the crops are."""

    shortest: int = Field(8, ge=2, description="fewest samples that both crops share")


@dataclass(frozen=True)
class OverlapCrops:
    """Crops [a1, b1) and [a2, b2) of every row, a1 <= a2 < b1 <= b2: both hold [a2, b1).

    Lengths and overlap are one draw for the batch, the place differs by row, within the window. ids of level "step" are
    ``row number * T + sample``, so that equal ids are the same sample; ``params`` says where the crop starts ("start" (m,)) and
    where in it the shared samples lie ("shared" (2,): first, count).
    """

    shortest: int
    spec: SignalSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """Nothing is changed; samples are left out."""
        return {}

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The two crops of ``batch``."""
        clean = clean_view(batch)
        time = clean.data.values.shape[2]
        draw = rng.fork("lengths").numpy()
        count = int(draw.integers(min(self.shortest, time), time + 1))
        left = int(draw.integers(time - count + 1))
        right = left + count
        first, last = int(draw.integers(left + 1)), int(draw.integers(right, time + 1))
        # The whole figure, first..last, is moved by row within the window.
        numbers = clean.ids["window"]
        offset = (rng.fork("view", 0).uniform(numbers)[:, 0] * (time - (last - first) + 1)).to(torch.int64) - first
        return [
            self._crop(clean, offset + first, right - first, (left - first, count)),
            self._crop(clean, offset + left, last - left, (0, count)),
        ]

    def _crop(self, clean: View, start: Tensor, length: int, shared: tuple[int, int]) -> View:
        signals: Signals = clean.data
        m, channels, time = signals.values.shape
        sample = start[:, None] + torch.arange(length, device=start.device)
        values = signals.values.gather(2, sample[:, None].expand(m, channels, length))
        visible = None if signals.visible is None else signals.visible.gather(1, sample)
        ids = {**clean.ids, "step": (clean.ids["window"][:, None] * time + sample).flatten()}
        params = {"start": start, "shared": torch.tensor(shared, device=start.device)}
        return replace(clean, data=Signals(values, visible), ids=ids, params=params)


def build(options: CropOptions, spec: SignalSpec) -> OverlapCrops:
    """The views; UsageError where windows are too short."""
    if options.shortest > spec.length:
        raise UsageError(f"views.shortest is {options.shortest}, longer than the {spec.length} samples of a window.")
    return OverlapCrops(options.shortest, spec)
