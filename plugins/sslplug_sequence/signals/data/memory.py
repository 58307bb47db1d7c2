"""Signals in memory: an array (n, channels, time), or a mapping with "values" and maybe "subjects", "labels" and "lengths"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, finished
from sslplug.errors import DataError, UsageError
from sslplug_sequence.signals.data.arrays import array_windows
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData


class MemoryOptions(SignalOptions):
    """What the array does not say itself."""

    rate: float = Field(1.0, gt=0, description="samples a second")
    channels: tuple[str, ...] = Field((), description="names of the channels")
    axes: Literal["channel-time", "time-channel"] = Field("channel-time", description="order of the last two axes")
    triads: tuple[tuple[str, str, str], ...] = Field((), description="channels that are x, y, z of one sensor; else by name")


def build(options: MemoryOptions, context: DataContext) -> SignalData:
    """The data of ``context.memory``."""
    memory: Any = context.memory
    if memory is None:
        raise UsageError("data.name is 'memory', but there is nothing in memory; hand an array over (DataContext.memory).")
    parts = dict(memory) if isinstance(memory, Mapping) else {"values": memory}
    unknown = sorted(set(parts) - {"values", "subjects", "labels", "lengths"})
    if unknown or "values" not in parts:
        raise DataError(
            f"The mapping in memory has {', '.join(map(str, parts))}; expected values and maybe subjects, labels, lengths."
        )
    if context.fitted is not None:
        parts.pop("labels", None)
    o = options
    arrays = {name: np.asarray(array) for name, array in parts.items()}
    notes: list[str] = []
    windows = finished(array_windows("array in memory", arrays, o.rate, o.channels, o.axes, o.triads), notes)
    return signal_data(replace(windows, notes=tuple(notes)), options, context)
