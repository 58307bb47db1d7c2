"""Views to reconstruct: hidden samples (SPT, MAE), and altered signals whose clean values are asked for (TERA, denoising)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Target, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals, Windows, clean_view
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.hiding import ChannelMask, TimeAlteration
from sslplug_sequence.signals.views.step import Step, apply, chain_of, steps
from sslplug_sequence.signals.views.transform import Share, Transform


class MaskOptions(Options):
    """What is hidden."""

    rate: Share = Field(0.5, description="share of the samples that is hidden and asked for")
    span: int = Field(4, ge=1, description="samples hidden together; mean of the lengths where geometric")
    geometric: bool = Field(False, description="spans of geometric length anywhere; otherwise a grid of spans of one length")


@dataclass(frozen=True)
class Masked:
    """One view: ``mask["step"]`` (m T,) says which samples are hidden, the target "signal" holds their values (k, C)."""

    options: MaskOptions

    @property
    def rates(self) -> Mapping[str, float]:
        """The share that is hidden."""
        return {"0/mask:step": self.options.rate}

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The masked view of ``batch``."""
        clean = clean_view(batch)
        signals: Signals = clean.data
        numbers, time = clean.ids["window"], signals.values.shape[2]
        hide = geometric_mask if self.options.geometric else grid_mask
        hidden = hide(numbers, time, self.options.rate, self.options.span, rng.fork("view", 0))
        if signals.visible is not None:
            hidden = hidden & signals.visible
        return [replace(clean, mask={"step": hidden.flatten()}, targets={**clean.targets, "signal": asked(signals, hidden)})]


def asked(signals: Signals, which: Tensor) -> Target:
    """The values of the samples in (m, T) ``which`` as a target of level "step": (k, C) and their rows, m * T counted."""
    rows = which.flatten().nonzero()[:, 0]
    steps = signals.values.transpose(1, 2).flatten(0, 1)
    return Target("step", steps[rows], rows)


def grid_mask(numbers: Tensor, time: int, rate: float, span: int, rng: Rng) -> Tensor:
    """(m, T) bool: of each row's T / span spans (the last may be short) round(rate count) are hidden."""
    count = -(-time // span)
    order = rng.uniform(numbers, count).argsort(1).argsort(1)
    return (order < round(rate * count)).repeat_interleave(span, dim=1)[:, :time]


def geometric_mask(numbers: Tensor, time: int, rate: float, span: int, rng: Rng) -> Tensor:
    """(m, T) bool: hidden and shown stretches take turns, of geometric lengths with means span and span (1 - rate) / rate.

    A row starts hidden with chance ``rate``, so every sample is hidden with that chance (Zerveas et al. 2021).
    """
    if rate <= 0 or rate >= 1:
        return torch.full((len(numbers), time), rate >= 1, device=numbers.device)
    shown = max(span * (1 - rate) / rate, 1.0)
    first = rng.fork("first").uniform(numbers) < rate
    even = torch.arange(time, device=numbers.device) % 2 == 0
    hidden = even == first  # (m, T): is stretch k of the row hidden
    ends = torch.where(hidden, 1 / span, 1 / shown)  # chance that a stretch ends with this sample
    drawn = rng.fork("lengths").uniform(numbers, time)
    length = 1 + torch.where(ends < 1, (torch.log1p(-drawn) / torch.log1p(-ends.clamp(max=1 - 1e-6))).floor(), 0.0)
    stretch = torch.searchsorted(length.cumsum(1), torch.arange(time, device=numbers.device).expand_as(length) + 0.5)
    return hidden.gather(1, stretch.clamp(max=time - 1))


class AlterOptions(Options):
    """What is altered; the clean signal is asked for."""

    transforms: list[Step] = Field(
        steps(TimeAlteration(), ChannelMask(rate=0.2, block=True)),
        min_length=1,
        description="transforms, in order (TERA's by default)",
    )
    everywhere: bool = Field(True, description="ask for every sample; otherwise for those alone that were changed")


@dataclass(frozen=True)
class Altered:
    """One view of altered signals; the target "signal" holds the clean values, (m T, C) or those of the changed samples."""

    transforms: tuple[Transform, ...]
    everywhere: bool
    spec: SignalSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """{"0/<transform>": share}."""
        return shares([self.transforms], self.spec)

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The altered view of ``batch``."""
        clean = clean_view(batch)
        signals: Signals = clean.data
        data = apply(self.transforms, signals, clean.ids["window"], rng.fork("view", 0), self.spec)
        if not self.everywhere:
            target = asked(signals, (data.values != signals.values).any(1))
        elif signals.visible is not None:
            target = asked(signals, signals.visible)
        else:
            target = Target("step", signals.values.transpose(1, 2).flatten(0, 1))
        return [replace(clean, data=data, targets={**clean.targets, "signal": target})]


def build_masked(options: MaskOptions, spec: SignalSpec) -> Masked:
    """The masked view."""
    return Masked(options)


def build_altered(options: AlterOptions, spec: SignalSpec) -> Altered:
    """The altered view."""
    transforms = chain_of(options.transforms)
    check_chain(transforms, spec)
    return Altered(transforms, options.everywhere, spec)


def outputs(options: Options, spec: SignalSpec) -> Mapping[str, int]:
    """A number a channel."""
    return {"signal": len(spec.channels)}
