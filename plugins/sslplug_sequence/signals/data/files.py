"""A user's own signals: a long table (Parquet, CSV), arrays (``.npz``) or ``.ts`` files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Fault, Faults, Options, Reading, Refused, finished, listed
from sslplug_sequence.signals.data.arrays import array_windows, find_triads, read_npz
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.cutting import Cut, cut_windows, native_rate
from sslplug_sequence.signals.data.long_table import Columns, Recording, TimeUnit, read_long_table
from sslplug_sequence.signals.data.oddities import strange_recordings, strange_windows
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
    notes: list[str] = []
    windows = finished(_reading(options, context, []), notes)
    windows = replace(windows, notes=(*notes, *windows.notes))
    if options.clip is not None:
        low = float((np.abs(windows.values) > options.clip).mean())
        said = (*windows.notes, *([f"{low:.2%} of the values cut off at +-{options.clip:g}"] if low else []))
        values = np.clip(windows.values, -options.clip, options.clip)
        windows = replace(windows, values=values, notes=said)
    return signal_data(windows, options, context)


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a user's own signals."""
    return listed(_checked(options, context))


def _checked(options: FileOptions, context: DataContext) -> Reading[None]:
    """The reading, and what its owner may not have meant."""
    recordings: list[Recording] = []
    windows = yield from _reading(options, context, recordings)
    file = str(_place(options.path, context))
    if recordings:
        yield from strange_recordings(recordings, windows, options.columns.time, file)
    else:
        yield from strange_windows(windows, file)
    if context.fitted is None:
        yield from _subjects(windows, options, file)


def _subjects(windows: WindowSet, options: FileOptions, file: str) -> Reading[None]:
    """A split by subject needs two of them."""
    people = np.unique(windows.subjects)
    if windows.labels is not None and len(people) < 2:
        found = f"all windows are of subject {people[0]}"
        mend = "Add another person, or leave the labels out."
        yield Faults("one-subject", file, found, "two subjects or more to split by", mend, column=options.columns.subject)


def _place(path: Path, context: DataContext) -> Path:
    places = [path] + ([context.root / path] if context.root is not None else [])
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        told = f"{' and '.join(map(str, places))} are no files"
        raise Refused(Faults("no-file", str(path), told, "a .parquet, .csv, .npz or .ts file", "Check the path."))
    return found


def _reading(options: FileOptions, context: DataContext, held: list[Recording]) -> Reading[WindowSet]:
    """The windows of a file; ``held`` is given the recordings of a long table."""
    path = _place(options.path, context)
    suffix = path.name.removesuffix(".xz").rpartition(".")[2]
    if suffix in ("parquet", "csv"):
        return (yield from _table(path, options, context.fitted, held))
    if suffix == "npz":
        return (yield from _arrays(path, options, context.fitted))
    if suffix == "ts":
        return (yield from _series(path, options, context.fitted))
    raise Refused(Faults("unknown-format", str(path), f"a .{suffix} file", ".parquet, .csv, .npz or .ts", "Export it so."))


def _table(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None, held: list[Recording]) -> Reading[WindowSet]:
    c, file = options.columns, str(path)
    columns = Columns(c.subject, c.device, c.time, c.label, c.channels)
    reading = read_long_table(path, columns, options.time_unit, options.factors, fitted is None)
    recordings, channels, classes = yield from reading
    held += recordings
    native = native_rate(recordings, file)
    rate = options.rate or (float(round(native, 3)) if fitted is None else float(fitted["rate"]))
    samples = round(options.window * rate)
    if samples < 4:
        found = f"data.window of {options.window:g} s has {samples} samples at {rate:g} Hz"
        mend = "Set data.window. Is data.time_unit right?"
        raise Refused(Faults("few-samples", file, found, "at least 4", mend, column=c.time))
    if abs(native / rate - 1) > 0.02:
        found = f"about {native:.4g} samples a second"
        mend = f"The signals are resampled from about {native:.4g} Hz to {rate:g} Hz by straight lines."
        yield Faults("resampled", file, found, f"{rate:g} as asked for", mend, column=c.time, harmless=True)
    hop = max(1, round(samples * (1 - options.overlap)))
    cut = Cut(rate, samples, hop, options.gap or 2.5 / min(native, rate), options.agreement)
    devices = tuple(sorted({recording.device for recording in recordings}))
    made = yield from cut_windows(recordings, devices, cut, file, c.time)
    labels = made.labels if made.labels is not None and (made.labels >= 0).any() else None
    notes = ("no window has a label: there is no task",) if made.labels is not None and labels is None else ()
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
        notes=notes,
        titles=np.array([f"{who}/{start:.3f}" for who, start in zip(made.subjects, made.start, strict=True)]),
    )


def _arrays(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None) -> Reading[WindowSet]:
    parts = yield from read_npz(path)
    if fitted is not None:
        parts.pop("labels", None)
    channels = options.columns.channels
    return (yield from array_windows(str(path), parts, options.rate or 1.0, channels, options.axes, options.triads))


def _series(path: Path, options: FileOptions, fitted: Mapping[str, Any] | None) -> Reading[WindowSet]:
    other = path.with_name(path.name.replace("_TRAIN", "_TEST"))
    test = other if other != path and other.is_file() else None
    name = path.name.partition(".")[0].removesuffix("_TRAIN")
    return (yield from ts_windows(name, path, test, options.rate or 1.0, labelled=fitted is None))
