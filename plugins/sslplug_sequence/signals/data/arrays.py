"""Windows from arrays: axis order, names, triads and everything malformed, with the number of the window."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sslplug.errors import DataError, UsageError
from sslplug_sequence.signals.data.window_set import WindowSet, class_codes


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz``; no pickled object is ever loaded."""
    wanted = "expected what numpy.savez writes: values, and maybe subjects, labels, lengths."
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: no .npz archive; {wanted}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            parts = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz ({error}); {wanted}") from error
    unknown = sorted(set(parts) - {"values", "subjects", "labels", "lengths"})
    if "values" not in parts or unknown:
        raise DataError(f"{path}: has {', '.join(parts)}; {wanted}")
    return parts


def array_windows(
    name: str,
    parts: Mapping[str, np.ndarray],
    rate: float,
    channels: Sequence[str],
    axes: Literal["channel-time", "time-channel"],
    triads: Sequence[Sequence[str]],
) -> WindowSet:
    """Windows from ``values`` (n, C, T), (n, D, C, T) or (n, T), with maybe ``subjects``, ``labels``, ``lengths``, all (n,).

    Axes in the other order are turned where the number of names says so, and it is noted; refused where it can only be guessed.
    """
    values, notes = parts["values"], []
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3, 4) or not values.size:
        raise DataError(f"{name}: values are {values.shape} {values.dtype}; expected numbers (windows, channels, time).")
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim == 3:
        values = values[:, None]
    if axes == "time-channel":
        values = values.swapaxes(2, 3)
    width, time = values.shape[2:]
    if channels and width != len(channels) and time == len(channels):
        values, notes = values.swapaxes(2, 3), [f"axes turned: {time} channels were named, and the last axis has as many"]
    elif channels and width != len(channels):
        raise DataError(
            f"{name}: {width} channels for the {len(channels)} names {', '.join(channels)}; expected one name a channel."
        )
    elif not channels and width > time:
        raise DataError(
            f"{name}: {width} channels of {time} samples; the axes look turned. Set data.axes to time-channel, or name the "
            "channels (data.channels)."
        )
    values = np.ascontiguousarray(values, np.float32)
    n, devices, width, time = values.shape
    for what in ("subjects", "labels", "lengths"):
        if what in parts and parts[what].shape != (n,):
            raise DataError(f"{name}: {what} are {parts[what].shape}; expected ({n},), one a window.")
    lengths = parts.get("lengths")
    if lengths is not None:
        if lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > time:
            raise DataError(f"{name}: lengths are {lengths.dtype} {lengths.min()}..{lengths.max()}; expected 1..{time}.")
        lengths = lengths.astype(np.int64)
        values = np.where((np.arange(time) < lengths[:, None])[:, None, None], values, np.float32(0))
    names = tuple(channels) or tuple(f"channel {number}" for number in range(width))
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if "labels" in parts:
        given = parts["labels"]
        known = given >= 0 if given.dtype.kind == "i" else np.isfinite(given) if given.dtype.kind == "f" else given != ""
        if given.dtype.kind == "f" and (given[known] != np.round(given[known])).any():
            raise DataError(f"{name}: labels are numbers with fractions; expected classes. Put them into classes.")
        labels, classes = class_codes(f"{name}, labels", given.astype(np.int64) if given.dtype.kind == "f" else given, known)
    subjects = parts.get("subjects")
    if subjects is None:
        subjects = np.array([f"window {number}" for number in range(n)])
        notes.append("no subjects given: each window counts as one, so windows of a person may be on both sides of a split")
    return WindowSet(
        name,
        values,
        np.ones((n, devices), bool),
        subjects.astype(str),
        names,
        tuple(f"device {number}" for number in range(devices)),
        rate,
        find_triads(names, triads),
        labels,
        classes,
        lengths,
        notes=tuple(notes),
    )


def find_triads(channels: Sequence[str], named: Sequence[Sequence[str]]) -> tuple[tuple[int, int, int], ...]:
    """The named triples as numbers; where none is named, channels called <stem>x, <stem>y, <stem>z (any case)."""
    if named:
        unknown = [name for triad in named for name in triad if name not in channels]
        if unknown:
            raise UsageError(f"data.triads: {', '.join(unknown)} unknown; the channels are {', '.join(channels)}.")
        places = [[list(channels).index(name) for name in triad] for triad in named]
        return tuple((a, b, c) for a, b, c in places)
    lower = [channel.lower() for channel in channels]
    found = []
    for number, channel in enumerate(lower):
        others = [channel[:-1] + axis for axis in "yz"]
        if channel.endswith("x") and all(other in lower for other in others):
            found.append((number, lower.index(others[0]), lower.index(others[1])))
    return tuple(found)
