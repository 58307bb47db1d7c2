"""Recordings onto one clock, then into windows: resampling, gaps, devices in step, a label for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sslplug.errors import DataError
from sslplug_sequence.signals.data.long_table import Recording


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


def native_rate(recordings: Sequence[Recording]) -> float:
    """The median number of samples a second over all recordings."""
    steps = [np.diff(recording.time) for recording in recordings if len(recording.time) > 1]
    if not steps:
        raise DataError("Every recording has one sample alone; expected signals. Look at the subject and device columns.")
    return float(1 / np.median(np.concatenate(steps)))


def cut_windows(recordings: Sequence[Recording], devices: Sequence[str], cut: Cut, notes: list[str]) -> CutWindows:
    """Windows of all subjects in order. The clock of a subject ticks at multiples of 1 / rate, the same for all its devices, so
    that devices that sample at different instants or rates are in step; a window is kept if any device recorded all of it.
    """
    values, present, subjects, labels, starts = [], [], [], [], []
    counts = {"gaps": 0, "short": 0, "mixed": 0}
    alone = []
    for subject in dict.fromkeys(recording.subject for recording in recordings):
        own = [recording for recording in recordings if recording.subject == subject]
        first = int(np.ceil(min(recording.time[0] for recording in own) * cut.rate - 1e-6))
        last = int(np.floor(max(recording.time[-1] for recording in own) * cut.rate + 1e-6))
        begin = np.arange(first, last - cut.samples + 2, cut.hop)
        if not len(begin):
            counts["short"] += 1
            continue
        ticks = begin[:, None] + np.arange(cut.samples)
        channels = own[0].values.shape[1]
        block = np.zeros((len(begin), len(devices), channels, cut.samples), np.float32)
        there = np.zeros((len(begin), len(devices)), bool)
        marks = np.full((len(begin), cut.samples), -1, np.int64)
        for recording in own:
            place = list(devices).index(recording.device)
            grid = np.arange(first, last + 1) / cut.rate
            inside, sampled, marked, gaps = _on_grid(recording, grid, cut.longest)
            counts["gaps"] += gaps
            whole = inside[ticks - first].all(1)
            there[whole, place] = True
            block[whole, place] = sampled[ticks[whole] - first].transpose(0, 2, 1)
            if marked is not None:
                seen = marked[ticks - first]
                fresh = whole[:, None] & (marks < 0)
                marks = np.where(fresh, seen, marks)
        kept = there.any(1)
        if not kept.any():
            counts["short"] += 1
            continue
        if len(own) > 1 and not (there.sum(1) > 1).any():
            alone.append(subject)
        values.append(block[kept])
        present.append(there[kept])
        subjects.append(np.full(int(kept.sum()), subject))
        starts.append(begin[kept] / cut.rate)
        if any(recording.labels is not None for recording in own):
            found, mixed = _window_labels(marks[kept], cut.agreement)
            counts["mixed"] += mixed
            labels.append(found)
    if not values:
        raise DataError(
            f"No recording is long enough for a window of {cut.samples / cut.rate:g} s at {cut.rate:g} Hz without a pause above "
            f"{cut.longest:g} s; shorten data.window or raise data.gap. Is data.time_unit right?"
        )
    if alone and len(alone) == len(dict.fromkeys(recording.subject for recording in recordings)):
        recording = next(r for r in recordings if r.subject == alone[0])
        raise DataError(
            f"Devices of subject {alone[0]} never record at the same time (device {recording.device!r} starts at "
            f"{recording.time[0]:g} s), nor do those of any other; their clocks are out of step. Set the clocks to one zero."
        )
    texts = {
        "gaps": f"{counts['gaps']} pauses above {cut.longest:g} s: no window crosses them",
        "short": f"{counts['short']} subjects without a whole window left out",
        "mixed": f"{counts['mixed']} windows in which no class has {cut.agreement:.0%} of the samples have no label",
    }
    notes += [text for key, text in texts.items() if counts[key]]
    if alone:
        notes.append(f"devices of {len(alone)} subjects never record at the same time (first: {alone[0]})")
    return CutWindows(
        np.concatenate(values),
        np.concatenate(present),
        np.concatenate(subjects),
        np.concatenate(labels) if labels else None,
        np.concatenate(starts),
    )


def _on_grid(
    recording: Recording, grid: np.ndarray, longest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int]:
    """(g,) which ticks lie inside a piece, (g, C) values by straight lines, (g,) labels of the last sample, number of gaps."""
    time = recording.time
    after = np.clip(np.searchsorted(time, grid - 1e-9), 0, len(time) - 1)
    before = np.clip(np.searchsorted(time, grid + 1e-9, side="right") - 1, 0, len(time) - 1)
    inside = (grid >= time[0] - 1e-9) & (grid <= time[-1] + 1e-9) & (time[after] - time[before] <= longest + 1e-9)
    sampled = np.stack([np.interp(grid, time, column) for column in recording.values.T], axis=1)
    marked = None if recording.labels is None else recording.labels[before]
    return inside, sampled.astype(np.float32), marked, int((np.diff(time) > longest + 1e-9).sum())


def _window_labels(marks: np.ndarray, agreement: float) -> tuple[np.ndarray, int]:
    """(n,) the most frequent label of each row of (n, T), -1 where it holds a smaller share than ``agreement``; and how many
    labelled windows that leaves out."""
    classes = int(marks.max(initial=0)) + 1
    votes = np.stack([(marks == label).sum(1) for label in range(classes)], axis=1)
    best = votes.argmax(1)
    enough = votes.max(1) >= agreement * marks.shape[1]
    mixed = int((~enough & (marks >= 0).any(1)).sum())
    return np.where(enough, best, -1), mixed
