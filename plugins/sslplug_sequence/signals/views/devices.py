"""Devices that record one person at one time as views of that time (ColloSSL, Jain et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Tags, Target, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals, Windows
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.composed import counted
from sslplug_sequence.signals.views.step import Step, apply, chain_of
from sslplug_sequence.signals.views.transform import Transform


class DeviceOptions(Options):
    """Which devices."""

    devices: tuple[str, ...] = Field((), description="devices to compare, in this order; none named: all")
    transforms: list[Step] = Field([], description="transforms of every view; none: the signals as they are")


@dataclass(frozen=True)
class DeviceViews:
    """One view a device, its name the role; row i of every view is the same window, so there are no ids to match.

    Windows that one of the devices did not record are left out. Raises DataError where a batch holds no other.
    """

    devices: tuple[int, ...]
    transforms: tuple[Transform, ...]
    spec: SignalSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<transform>": share}."""
        return shares([self.transforms] * len(self.devices), self.spec)

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        whole = batch.present[:, list(self.devices)].all(1)
        window = whole.nonzero()[:, 0]
        if not len(window):
            names = ", ".join(self.spec.devices[device] for device in self.devices)
            raise DataError(f"No window of this batch was recorded by all of {names}; name fewer devices (views.devices).")
        visible = None
        if batch.lengths is not None:
            ticks = torch.arange(batch.values.shape[3], device=batch.device)
            visible = ticks < batch.lengths[window, None]
        views = []
        for number, device in enumerate(self.devices):
            numbers = batch.index[window] * len(self.spec.devices) + device
            signals = Signals(batch.values[window, device], visible)
            data = apply(self.transforms, signals, numbers, rng.fork("view", number), self.spec)
            views.append(View(data, targets=labels_of(batch, window, device), role=self.spec.devices[device]))
        return views


def labels_of(batch: Windows, window: Tensor, device: int) -> dict[str, Target]:
    """The labels of one device's rows in these windows, as the target "label" with rows of the view."""
    if batch.labels is None or batch.labelled is None:
        return {}
    row = torch.full(batch.present.shape, -1, dtype=torch.int64, device=batch.device)
    row[window, device] = torch.arange(len(window), device=batch.device)
    local = row[batch.present][batch.labelled]
    here = local >= 0
    return {"label": Target("window", batch.labels[here], local[here])}


def build(options: DeviceOptions, spec: SignalSpec) -> DeviceViews:
    """The views; UsageError for unknown devices and for fewer than two."""
    names = options.devices or spec.devices
    unknown = [name for name in names if name not in spec.devices]
    if unknown or len(set(names)) < 2 or len(set(names)) != len(names):
        raise UsageError(
            f"views.devices: {', '.join(unknown or names)}; expected two or more different devices of {', '.join(spec.devices)}."
        )
    transforms = chain_of(options.transforms)
    check_chain(transforms, spec)
    return DeviceViews(tuple(spec.devices.index(name) for name in names), transforms, spec)


def provides(options: DeviceOptions) -> Tags:
    """A pair; many where three or more devices are named."""
    return counted(max(2, len(options.devices)))
