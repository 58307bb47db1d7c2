"""Recordings onto one clock, then into windows: resampling, gaps, devices in step, a label for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sslplug.contracts import Faults, Reading, Refused
from sslplug_sequence.signals.data.long_table import Recording, by_subject, tell


@dataclass(frozen=True)
class Cut:
    """How windows are cut.

    rate      samples a second of the common clock;  samples: T of a window;  hop: samples from one window to the next
    longest   seconds between samples that are bridged by a straight line; a longer pause is a gap, and no window crosses it
    agreement share of a window's samples that must carry its label; else the window has none
    """

    rate: float
    samples: int
    hop: int
    longest: float
    agreement: float


@dataclass(frozen=True)
class CutWindows:
    """values (n, D, C, T) float32, present (n, D), subjects (n,), labels (n,) or None, first sample's time (n,) seconds."""

    values: np.ndarray
    present: np.ndarray
    subjects: np.ndarray
    labels: np.ndarray | None
    start: np.ndarray


def native_rate(recordings: Sequence[Recording], file: str) -> float:
    """The median number of samples a second over all recordings. Refused where each has one sample alone."""
    steps = [np.diff(recording.time) for recording in recordings if len(recording.time) > 1]
    if not steps:
        mend = "Look at the subject and device columns."
        raise Refused(Faults("one-sample", file, "recordings of one sample alone", "signals", mend))
    return float(1 / np.median(np.concatenate(steps)))


def cut_windows(
    recordings: Sequence[Recording], devices: Sequence[str], cut: Cut, file: str, time: str
) -> Reading[CutWindows]:
    """Windows of all subjects in order. The clock of a subject ticks at multiples of 1 / rate, the same for all its devices, so
    that devices that sample at different instants or rates are in step; a window is kept if any device recorded all of it.

    Tells pauses that no window crosses, subjects without a window, devices that never record at the same time (``time``: the
    name of the time column); refused where no window is left, or no two devices are ever in step.
    """
    values, present, subjects, labels, starts = [], [], [], [], []
    pauses: list[tuple[int, str]] = []
    short: list[tuple[int, str]] = []
    alone: list[tuple[int, str]] = []
    mixed, people = 0, 0
    for subject, own in by_subject(recordings):
        people += 1
        first = int(np.ceil(min(recording.time[0] for recording in own) * cut.rate - 1e-6))
        last = int(np.floor(max(recording.time[-1] for recording in own) * cut.rate + 1e-6))
        opening = min(int(recording.rows[0]) for recording in own)
        begin = np.arange(first, last - cut.samples + 2, cut.hop)
        ticks = begin[:, None] + np.arange(cut.samples)
        channels = own[0].values.shape[1]
        block = np.zeros((len(begin), len(devices), channels, cut.samples), np.float32)
        there = np.zeros((len(begin), len(devices)), bool)
        marks = np.full((len(begin), cut.samples), -1, np.int64)
        for recording in own:
            steps = np.diff(recording.time)
            for place in np.flatnonzero(steps > cut.longest + 1e-9):
                found = f"a pause of {steps[place]:g} s (subject {subject}, device {recording.device!r})"
                pauses.append((int(recording.rows[place + 1]), found))
            if not len(begin):
                continue
            at = list(devices).index(recording.device)
            grid = np.arange(first, last + 1) / cut.rate
            inside, sampled, marked = _on_grid(recording, grid, cut.longest)
            whole = inside[ticks - first].all(1)
            there[whole, at] = True
            block[whole, at] = sampled[ticks[whole] - first].transpose(0, 2, 1)
            if marked is not None:
                seen = marked[ticks - first]
                fresh = whole[:, None] & (marks < 0)
                marks = np.where(fresh, seen, marks)
        kept = there.any(1)
        if not kept.any():
            longest = max(recording.time[-1] - recording.time[0] for recording in own)
            short.append((opening, f"subject {subject} with {longest:g} s"))
            continue
        if len(own) > 1 and not (there.sum(1) > 1).any():
            begins = ", ".join(f"{recording.device!r} from {recording.time[0]:g} s" for recording in own)
            alone.append((opening, f"devices of subject {subject} that never record at the same time ({begins})"))
        values.append(block[kept])
        present.append(there[kept])
        subjects.append(np.full(int(kept.sum()), subject))
        starts.append(begin[kept] / cut.rate)
        if any(recording.labels is not None for recording in own):
            voted, unclear = _window_labels(marks[kept], cut.agreement)
            mixed += unclear
            labels.append(voted)
    bridged = f"pauses of at most {cut.longest:g} s (data.gap)"
    yield from tell("gap", file, pauses, time, bridged, "No window crosses it.")
    if not values:
        found = f"no recording is long enough for a window of {cut.samples / cut.rate:g} s at {cut.rate:g} Hz"
        mend = "Shorten data.window or raise data.gap. Is data.time_unit right?"
        raise Refused(
            Faults("too-short", file, found, f"recordings of that length without a pause above {cut.longest:g} s", mend)
        )
    window = f"a window of {cut.samples / cut.rate:g} s without a pause"
    yield from tell("short-recording", file, short, time, window, "The subject is left out.")
    if alone and len(alone) == people:
        mend = "Their clocks are out of step: set them to one zero."
        raise Refused(Faults("devices-out-of-step", file, alone[0][1], "devices in step", mend, [alone[0][0]], time))
    mend = "Nothing compares them; are their clocks in step?"
    yield from tell("devices-out-of-step", file, alone, time, "devices in step", mend)
    if mixed:
        yield Faults(
            "mixed-window",
            file,
            f"{mixed} windows in which no class has {cut.agreement:.0%} of the samples",
            "one activity a window",
            "They have no label.",
            harmless=True,
        )
    return CutWindows(
        np.concatenate(values),
        np.concatenate(present),
        np.concatenate(subjects),
        np.concatenate(labels) if labels else None,
        np.concatenate(starts),
    )


def _on_grid(recording: Recording, grid: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(g,) which ticks lie inside a piece, (g, C) values by straight lines, (g,) labels of the last sample."""
    time = recording.time
    after = np.clip(np.searchsorted(time, grid - 1e-9), 0, len(time) - 1)
    before = np.clip(np.searchsorted(time, grid + 1e-9, side="right") - 1, 0, len(time) - 1)
    inside = (grid >= time[0] - 1e-9) & (grid <= time[-1] + 1e-9) & (time[after] - time[before] <= longest + 1e-9)
    sampled = np.stack([np.interp(grid, time, column) for column in recording.values.T], axis=1)
    marked = None if recording.labels is None else recording.labels[before]
    return inside, sampled.astype(np.float32), marked


def _window_labels(marks: np.ndarray, agreement: float) -> tuple[np.ndarray, int]:
    """(n,) the most frequent label of each row of (n, T), -1 where it holds a smaller share than ``agreement``; and how many
    labelled windows that leaves out."""
    classes = int(marks.max(initial=0)) + 1
    votes = np.stack([(marks == label).sum(1) for label in range(classes)], axis=1)
    best = votes.argmax(1)
    enough = votes.max(1) >= agreement * marks.shape[1]
    mixed = int((~enough & (marks >= 0).any(1)).sum())
    return np.where(enough, best, -1), mixed
