"""What training goes on with but the owner of signals may not have meant: units, rates, stuck and flat sensors, windows twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from sslplug.contracts import Faults, Reading
from sslplug_sequence.signals.data.long_table import Recording, tell
from sslplug_sequence.signals.data.window_set import WindowSet

GRAVITY = 9.80665
"""A signal in m/s^2 is so many times one in g."""
NEAR = 0.2
"""How far from that ratio a recording may be and still be taken for the other unit."""
RATES = (1.0, 2000.0)
"""Samples a second that wearables have."""
STUCK = 2.0
"""Seconds of one and the same sample in every channel."""
SATURATED = 0.02
"""Share of a channel's samples that lie at its limit."""


def strange_recordings(recordings: Sequence[Recording], windows: WindowSet, time: str, file: str) -> Reading[None]:
    """Harmless faults of recordings from a long table; ``time``: the name of its time column."""
    steps = {number: np.diff(r.time) for number, r in enumerate(recordings) if len(r.time) > 2}
    rates = {number: float(1 / np.median(step)) for number, step in steps.items()}
    usual = float(np.median(list(rates.values()))) if rates else windows.rate
    if not RATES[0] <= usual <= RATES[1]:
        found = f"{usual:.4g} samples a second"
        mend = "It is read so; is data.time_unit right?"
        yield Faults("strange-rate", file, found, f"{RATES[0]:g} to {RATES[1]:g}", mend, column=time, harmless=True)
    other = [
        (_row(recordings[k]), f"{_who(recordings[k])} with {r:.4g} Hz")
        for k, r in rates.items()
        if abs(r / usual - 1) > 0.02
    ]
    yield from tell("other-rate", file, other, time, f"{usual:.4g} Hz, as most", "It is resampled to the common clock.")
    uneven = [
        (_row(recordings[k]), f"{_who(recordings[k])} with {100 * share:.0f} % of its steps off by half or more")
        for k, step in steps.items()
        if (share := float((np.abs(step - np.median(step)) > 0.5 * np.median(step)).mean())) > 0.1
    ]
    yield from tell("uneven-steps", file, uneven, time, "even steps of time", "It is resampled by straight lines.")
    yield from _units(recordings, windows, file)
    yield from _stuck(recordings, rates, file)
    for number, name in enumerate(windows.channels):
        yield from _channel(recordings, number, name, file)


def _row(recording: Recording) -> int:
    return int(recording.rows.min())


def _who(recording: Recording) -> str:
    return f"subject {recording.subject}, device {recording.device!r}"


def _units(recordings: Sequence[Recording], windows: WindowSet, file: str) -> Reading[None]:
    """Recordings whose signal is as many times the others' as g is of m/s^2."""
    for triad in windows.triads:
        sizes = np.array([np.median(np.linalg.norm(r.values[:, triad], axis=1)) for r in recordings])
        if len(sizes) < 3 or not (sizes > 0).all():
            continue
        ratio = sizes / np.median(sizes)
        told = []
        for recording, size, times in zip(recordings, sizes, ratio, strict=True):
            for factor, words in ((GRAVITY, "m/s^2 among g"), (1 / GRAVITY, "g among m/s^2")):
                if abs(times / factor - 1) < NEAR:
                    told.append(
                        (_row(recording), f"{_who(recording)} of size {size:.3g}, {times:.3g} times the others': {words}?")
                    )
        usual = f"recordings in one unit, of size {np.median(sizes):.3g}"
        mend = "It is read as it is; data.factors changes a channel of every recording alike, so write them in one unit."
        yield from tell("other-unit", file, told, windows.channels[triad[0]], usual, mend)


def _stuck(recordings: Sequence[Recording], rates: dict[int, float], file: str) -> Reading[None]:
    """Stretches in which a device wrote one sample over and over."""
    told = []
    for number, rate in rates.items():
        recording = recordings[number]
        if (recording.values == recording.values[0]).all():
            continue  # a flat channel, told as such
        same = (np.diff(recording.values, axis=0) == 0).all(axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if (stop - start) / rate >= STUCK:
                seconds = recording.time[stop] - recording.time[start]
                told.append((int(recording.rows[start]), f"the same sample for {seconds:.3g} s ({_who(recording)})"))
    yield from tell("stuck-sensor", file, told, None, "samples that change", "It is read so; was the device on?")


def _channel(recordings: Sequence[Recording], number: int, name: str, file: str) -> Reading[None]:
    values = [recording.values[:, number] for recording in recordings]
    flat = [(column == column[0]).all() for column in values]
    if len({column[0] for column in values}) == 1 and all(flat):
        found = f"{values[0][0]:g} in every sample"
        yield Faults(
            "flat-channel", file, found, "a signal", "It is never divided by its deviation.", column=name, harmless=True
        )
        return
    told = []
    for recording, column, still in zip(recordings, values, flat, strict=True):
        if still or len(np.unique(column)) < 50:
            continue
        for limit in (column.min(), column.max()):
            there = column == limit
            if there.sum() >= max(10, SATURATED * len(column)):
                found = f"{int(there.sum())} of {len(column)} samples at the limit {limit:g} ({_who(recording)})"
                told.append((int(recording.rows[there.argmax()]), found))
    yield from tell(
        "saturated", file, told, name, "samples below the limit of the sensor", "It is read so; choose a wider range."
    )


def strange_windows(windows: WindowSet, file: str) -> Reading[None]:
    """Harmless faults of windows that were cut before: those that say nothing, and those that come twice."""
    if windows.parts is None or windows.lengths is None:
        flat = np.flatnonzero((windows.values == windows.values[..., :1]).all(axis=(1, 2, 3)))
        if len(flat):
            mend = "It is trained on; leave it out if the device was off."
            yield Faults("flat-window", file, "the same value throughout", "a signal", mend, flat + 1, harmless=True)
    else:
        flat = np.zeros(0, np.int64)
    first: dict[bytes, int] = {}
    again = []
    for number, window in enumerate(windows.values):
        before = first.setdefault(hashlib.sha256(window.tobytes()).digest(), number)
        if before != number and number not in flat:
            again.append((number + 1, f"window {before} again, as window {number}"))
    mend = "It stays; on both sides of a split it makes scores look better."
    yield from tell("repeated-window", file, again, None, "each window once", mend)
