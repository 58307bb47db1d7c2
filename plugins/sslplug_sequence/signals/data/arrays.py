"""Windows from arrays: axis order, names, triads and everything malformed, with the number of the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.archives import arrays_in
from sslplug.contracts.classes import Classes, codes
from sslplug.errors import UsageError
from sslplug_sequence.signals.data.window_set import WindowSet

WANTED = "what numpy.savez writes: values, and maybe subjects, labels, lengths"
KNOWN = ("values", "subjects", "labels", "lengths")


def read_npz(path: Path) -> Reading[dict[str, np.ndarray]]:
    """The arrays of a ``.npz``; no pickled object is ever loaded. Unknown arrays are told and left out."""
    file = str(path)
    parts = yield from arrays_in(path, WANTED, "Write it again.")
    if "values" not in parts:
        raise Refused(Faults("missing-array", file, f"the arrays {', '.join(parts)}", WANTED, "Name the signals values."))
    unknown = sorted(set(parts) - set(KNOWN))
    if unknown:
        yield Faults("unknown-array", file, f"the arrays {', '.join(parts)}", WANTED, f"Take away {', '.join(unknown)}.")
    return {name: array for name, array in parts.items() if name in KNOWN}


def array_windows(
    name: str,
    parts: Mapping[str, np.ndarray],
    rate: float,
    channels: Sequence[str],
    axes: Literal["channel-time", "time-channel"],
    triads: Sequence[Sequence[str]],
) -> Reading[WindowSet]:
    """Windows from ``values`` (n, C, T), (n, D, C, T) or (n, T), with maybe ``subjects``, ``labels``, ``lengths``, all (n,).

    Axes in the other order are turned where the number of names says so, and it is told; refused where it can only be guessed.
    """
    values = yield from _turned(name, parts["values"], channels, axes)
    n, devices, width, time = values.shape
    parts = dict(parts)
    for what in ("subjects", "labels", "lengths"):
        if what in parts and parts[what].shape != (n,):
            yield Faults("other-length", name, f"{what} are {parts[what].shape}", f"({n},), one a window", "Mend the array.")
            del parts[what]
    lengths = parts.get("lengths")
    if lengths is not None:
        wrong = np.ones(n, bool) if lengths.dtype.kind not in "iu" else (lengths < 1) | (lengths > time)
        if wrong.any():
            places = np.flatnonzero(wrong)
            given = lengths
            yield Faults(
                "length-out-of-range",
                name,
                lambda k: f"a length of {given[places[k]]}",
                f"expected 1..{time}",
                "Mend the lengths.",
                places + 1,
                "lengths",
            )
            lengths = np.where(wrong, time, 1 if lengths.dtype.kind not in "iu" else lengths)
        lengths = lengths.astype(np.int64)
        values = np.where((np.arange(time) < lengths[:, None])[:, None, None], values, np.float32(0))
    names = tuple(channels) or tuple(f"channel {number}" for number in range(width))
    subjects = yield from _subjects(name, parts.get("subjects"), n)
    values = yield from _finite(name, values, subjects, names)
    labels, classes = yield from _labels(name, parts.get("labels"))
    return WindowSet(
        name,
        values,
        np.ones((n, devices), bool),
        subjects,
        names,
        tuple(f"device {number}" for number in range(devices)),
        rate,
        find_triads(names, triads),
        labels,
        classes,
        lengths,
        titles=np.array([f"window {number}" for number in range(n)]),
    )


def _turned(
    name: str, values: np.ndarray, channels: Sequence[str], axes: Literal["channel-time", "time-channel"]
) -> Reading[np.ndarray]:
    """(n, D, C, T) float32."""
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3, 4) or not values.size:
        found = f"values are {values.shape} {values.dtype}"
        raise Refused(Faults("wrong-shape", name, found, "expected numbers (windows, channels, time)", "Write them so."))
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim == 3:
        values = values[:, None]
    if axes == "time-channel":
        values = values.swapaxes(2, 3)
    width, time = values.shape[2:]
    if channels and width != len(channels) and time == len(channels):
        values = values.swapaxes(2, 3)
        found = f"{width} channels of {time} samples, where {time} channels are named"
        mend = "The axes are turned; data.axes says so without a word."
        yield Faults("turned-axes", name, found, "channels before time", mend, harmless=True)
    elif channels and width != len(channels):
        found = f"{width} channels for the {len(channels)} names {', '.join(channels)}"
        raise Refused(Faults("channel-count", name, found, "one name a channel", "Mend data.columns.channels."))
    elif not channels and width > time:
        mend = "Set data.axes to time-channel, or name the channels (data.columns.channels)."
        found = f"{width} channels of {time} samples; the axes look turned"
        raise Refused(Faults("turned-axes", name, found, "channels before time", mend))
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)


def _subjects(name: str, given: np.ndarray | None, n: int) -> Reading[np.ndarray]:
    if given is None:
        mend = "Each window counts as one, so windows of a person may be on both sides of a split."
        yield Faults("no-subjects", name, "no subjects", "the person of each window", mend, harmless=True)
        return np.array([f"window {number}" for number in range(n)])
    subjects: np.ndarray = given.astype(str)
    missing = np.char.strip(subjects) == "" if given.dtype.kind in "US" else np.zeros(n, bool)
    if given.dtype.kind == "f":
        missing = ~np.isfinite(given)
    if missing.any():
        rows = np.flatnonzero(missing) + 1
        yield Faults("missing-id", name, "no subject", "the person of each window", "Fill it.", rows, "subjects")
    return subjects


def _finite(name: str, values: np.ndarray, subjects: np.ndarray, channels: Sequence[str]) -> Reading[np.ndarray]:
    """The values, 0 where they are no numbers, which is told for each window and channel."""
    bad = ~np.isfinite(values).all(axis=3)
    for number, channel in enumerate(channels):
        places = np.flatnonzero(bad[:, :, number].any(1))
        if len(places):
            at = places
            yield Faults(
                "not-finite",
                name,
                lambda k, at=at: f"NaN or infinite samples in window {at[k]} (subject {subjects[at[k]]})",  # type: ignore[misc]
                "finite numbers within float32",
                "Fill the gap or leave the window out.",
                places + 1,
                channel,
            )
    return np.where(np.isfinite(values), values, np.float32(0)) if bad.any() else values


def _labels(name: str, given: np.ndarray | None) -> Reading[Classes]:
    if given is None:
        return None, ()
    known = given >= 0 if given.dtype.kind == "i" else np.isfinite(given) if given.dtype.kind == "f" else given != ""
    if given.dtype.kind == "f":
        fraction = known & (given != np.round(given))
        if fraction.any():
            rows = np.flatnonzero(fraction) + 1
            yield Faults(
                "fractional-label",
                name,
                "a number with fractions",
                "a class",
                "Put the numbers into classes.",
                rows,
                "labels",
            )
            return None, ()
        given = np.where(known, given, -1).astype(np.int64)
    labels, classes = yield from codes(name, "labels", given[known], known)
    return (labels, classes) if classes else (None, ())


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
