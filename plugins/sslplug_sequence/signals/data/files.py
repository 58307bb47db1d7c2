"""A user's own signals: a long table (Parquet, CSV), arrays (``.npz``) or ``.ts`` files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Options
from sslplug.errors import DataError, UsageError
from sslplug_sequence.signals.data.arrays import array_windows, find_triads, read_npz
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.cutting import Cut, cut_windows, native_rate
from sslplug_sequence.signals.data.long_table import Columns, TimeUnit, read_long_table
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.uea import ts_windows
from sslplug_sequence.signals.data.window_set import WindowSet


class FileColumns(Options):
    """Names of the columns of a long table."""

    subject: str = Field("subject", description="the person")
    device: str = Field("device", description="the device; the column may be missing where there is one")
    time: str = Field("time", description="when the sample was taken: a number (time_unit) or a time stamp")
    label: str = Field("label", description="the class of the sample; may be missing, cells may be empty")
    channels: tuple[str, ...] = Field((), description="columns of the signal; none named: all others")


class FileOptions(SignalOptions):
    """Where the signals lie and how they are cut."""

    path: Path = Field(
        description="a long table (.parquet, .csv), arrays (.npz) or a training file (.ts; *_TEST.ts beside it)"
    )
    columns: FileColumns = Field(default_factory=FileColumns, description="long table: names of columns")
    time_unit: TimeUnit = Field("s", description="long table: unit of a numeric time column")
    factors: dict[str, float] = Field(
        default_factory=dict, description="{channel: factor} into the unit wanted (1/9.81 for g)"
    )
    rate: float | None = Field(
        None, gt=0, description="samples a second; long table: of the common clock, default its median"
    )
    window: float = Field(4.0, gt=0, description="long table: seconds of a window")
    overlap: float = Field(0.5, ge=0, lt=1, description="long table: share that a window shares with the next")
    gap: float | None = Field(
        None, gt=0, description="long table: seconds without a sample that are bridged; default 2.5 steps"
    )
    agreement: float = Field(
        0.75, gt=0, le=1, description="long table: share of a window's samples that must carry its label"
    )
    clip: float | None = Field(None, gt=0, description="values beyond +- this are cut off there")
    axes: Literal["channel-time", "time-channel"] = Field("channel-time", description="arrays: order of the last two axes")
    triads: tuple[tuple[str, str, str], ...] = Field((), description="channels that are x, y, z of one sensor; else by name")


def build(options: FileOptions, context: DataContext) -> SignalData:
    """The data at ``path``; a relative path is looked up from here, then below the data root."""
    places = [options.path] + ([context.root / options.path] if context.root is not None else [])
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataError(
            f"data.path: {' and '.join(map(str, places))} are no files; give a .parquet, .csv, .npz or .ts file."
        )
    suffix = path.name.removesuffix(".xz").rpartition(".")[2]
    readers = {"parquet": _table, "csv": _table, "npz": _arrays, "ts": _series}
    if suffix not in readers:
        raise UsageError(f"{path}: a .{suffix} file; expected .parquet, .csv, .npz or .ts.")
    windows = readers[suffix](path, options, context.fitted)
    if options.clip is not None:
        low = float((np.abs(windows.values) > options.clip).mean())
        notes = (*windows.notes, *([f"{low:.2%} of the values cut off at +-{options.clip:g}"] if low else []))
        values = np.clip(windows.values, -options.clip, options.clip)
        windows = replace(windows, values=values, notes=notes)
    return signal_data(windows, options, context)


def _table(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None) -> WindowSet:
    c = options.columns
    columns = Columns(c.subject, c.device, c.time, c.label, c.channels)
    recordings, channels, classes, notes = read_long_table(path, columns, options.time_unit, options.factors, fitted is None)
    native = native_rate(recordings)
    rate = options.rate or (float(round(native, 3)) if fitted is None else float(fitted["rate"]))
    samples = round(options.window * rate)
    if samples < 4:
        raise UsageError(
            f"data.window of {options.window:g} s has {samples} samples at {rate:g} Hz; expected at least 4. "
            "Is data.time_unit right?"
        )
    if abs(native / rate - 1) > 0.02:
        notes.append(f"resampled from about {native:.4g} Hz to {rate:g} Hz by straight lines")
    hop = max(1, round(samples * (1 - options.overlap)))
    cut = Cut(rate, samples, hop, options.gap or 2.5 / min(native, rate), options.agreement)
    devices = tuple(sorted({recording.device for recording in recordings}))
    made = cut_windows(recordings, devices, cut, notes)
    labels = made.labels if made.labels is not None and (made.labels >= 0).any() else None
    if made.labels is not None and labels is None:
        notes.append("no window has a label: there is no task")
    return WindowSet(
        path.stem,
        made.values,
        made.present,
        made.subjects,
        channels,
        devices,
        rate,
        find_triads(channels, options.triads),
        labels,
        classes if labels is not None else (),
        notes=tuple(notes),
    )


def _arrays(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None) -> WindowSet:
    rate, parts = options.rate or 1.0, read_npz(path)
    if fitted is not None:
        parts.pop("labels", None)
    return array_windows(str(path), parts, rate, options.columns.channels, options.axes, options.triads)


def _series(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None) -> WindowSet:
    other = path.with_name(path.name.replace("_TRAIN", "_TEST"))
    test = other if other != path and other.is_file() else None
    return ts_windows(
        path.name.partition(".")[0].removesuffix("_TRAIN"), path, test, options.rate or 1.0, labelled=fitted is None
    )
