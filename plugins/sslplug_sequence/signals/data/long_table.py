"""Recordings from one long table: a row a sample, with columns for subject, device, time, channels and maybe a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.cells import ids, is_number, numbers, times
from sslplug.contracts.classes import classes_of
from sslplug.contracts.tables import Table, mask, require, table_pieces

TimeUnit = Literal["s", "ms", "us", "ns"]
SECONDS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
DAY = 86_400.0
HINT = "Rename it, or name yours in data.columns (--set data.columns.subject=name)."


@dataclass(frozen=True)
class Recording:
    """What one device of one subject recorded.

    time    (k,) seconds, strictly increasing
    values  (k, C) float64, finite
    labels  (k,) int64 classes, -1 = none, or None
    rows    (k,) the rows of the file, from 1 on
    """

    subject: str
    device: str
    time: np.ndarray
    values: np.ndarray
    labels: np.ndarray | None
    rows: np.ndarray


@dataclass(frozen=True)
class Columns:
    """Names of columns; ``device`` and ``label`` may be missing from the table. ``channels`` empty: all other columns."""

    subject: str
    device: str
    time: str
    label: str
    channels: tuple[str, ...]


@dataclass
class _Samples:
    """The samples of a file as they are read, piece by piece."""

    channels: tuple[str, ...]
    with_device: bool
    with_label: bool
    subject: list[pa.Array] = field(default_factory=list)
    device: list[pa.Array] = field(default_factory=list)
    label: list[pa.Array] = field(default_factory=list)
    time: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


Read = tuple[list[Recording], tuple[str, ...], tuple[str, ...]]


def read_long_table(
    path: Path, columns: Columns, unit: TimeUnit, factors: dict[str, float], labelled: bool = True
) -> Reading[Read]:
    """Recordings, channel names and class names; the file is read piece by piece.

    Rows out of order are sorted, rows that repeat another exactly are dropped, samples with an empty or NaN channel are left out
    (a gap that cutting bridges or refuses to): each is told. Labels are read where ``labelled``. Samples without subject or time,
    values that are no finite numbers, and two different samples of one device at one time are told and left out.
    """
    held: list[_Samples] = []

    def each(piece: Table) -> Reading[None]:
        if not held:
            held.append((yield from _plan(piece, columns, factors, labelled)))
        yield from _append(piece, columns, unit, factors, held[0])

    yield from table_pieces(path, each)
    (samples,) = held
    rows = np.concatenate([np.zeros(0, np.int64), *samples.rows])
    if not len(rows):
        raise Refused(Faults("no-rows", str(path), "no rows", "one a sample", "Export it again."))
    subject, device = _codes(samples.subject), _codes(samples.device)
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if samples.with_label:
        words = pa.chunked_array(samples.label).combine_chunks()
        marks = Table(str(path), pa.table({columns.label: words}), rows)
        labels, classes = yield from classes_of(marks, columns.label)
        if labels is not None and not classes:
            yield Faults(
                "empty-labels",
                str(path),
                "no label in any row",
                "a class in some",
                "There is no task; leave the column out to say so.",
                column=columns.label,
                harmless=True,
            )
            labels = None
    recordings = yield from _split(path, columns, samples, subject, device, labels, rows)
    return recordings, samples.channels, classes


def _plan(piece: Table, columns: Columns, factors: dict[str, float], labelled: bool) -> Reading[_Samples]:
    names = piece.content.column_names
    if not (yield from require(piece, columns.subject, columns.time, *columns.channels, hint=HINT)):
        told = f"the columns {', '.join(names)}"
        raise Refused(Faults("missing-columns", piece.file, told, "those named above", HINT))
    taken = {columns.subject, columns.device, columns.time, columns.label}
    channels = columns.channels or tuple(name for name in names if name not in taken)
    if not channels:
        beside = ", ".join(sorted(taken))
        raise Refused(Faults("no-channel", piece.file, f"no channel beside {beside}", "one at least", "Add the signal."))
    strange = sorted(set(factors) - set(channels))
    if strange:
        found = f"data.factors names {', '.join(strange)}"
        expected = f"the channels {', '.join(channels)}"
        raise Refused(Faults("unknown-factor", piece.file, found, expected, "Mend the name."))
    return _Samples(channels, columns.device in names, labelled and columns.label in names)


def _append(piece: Table, columns: Columns, unit: TimeUnit, factors: dict[str, float], samples: _Samples) -> Reading[None]:
    """A piece's samples behind those of the pieces before; those that cannot be placed are left out."""
    if not len(piece):
        return
    subject = yield from ids(piece, columns.subject)
    device = pa.array(["device"] * len(piece), pa.large_string())
    if samples.with_device:
        device = yield from ids(piece, columns.device)
    kind = piece.content[columns.time].type
    dated = pa.types.is_temporal(kind) or (pa.types.is_large_string(kind) and not is_number(piece, columns.time))
    time = (yield from times(piece, columns.time)) * (DAY if dated else SECONDS[unit])
    values = np.empty((len(piece), len(samples.channels)))
    for place, name in enumerate(samples.channels):
        values[:, place] = (yield from numbers(piece, name, None)) * factors.get(name, 1.0)
    kept = np.flatnonzero(mask(pc.is_valid(subject)) & mask(pc.is_valid(device)) & np.isfinite(time))
    at = pa.array(kept)
    samples.subject.append(subject.take(at).dictionary_encode())
    samples.device.append(device.take(at).dictionary_encode())
    samples.time.append(time[kept])
    samples.values.append(values[kept])
    samples.rows.append(piece.rows[kept])
    if samples.with_label:
        column = piece.content[columns.label].combine_chunks()
        samples.label.append((column if pa.types.is_large_string(column.type) else _as_label(column)).take(at))


def _as_label(column: pa.Array) -> pa.Array:
    """Labels of any plain type as words; whole numbers stay whole beside empty cells."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(pa.large_string())


def _codes(parts: Sequence[pa.Array]) -> tuple[np.ndarray, list[str]]:
    """(k,) numbers of the sorted words, and the words."""
    joined = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
    words = np.asarray(joined.dictionary.to_pylist(), dtype=str)
    order = np.argsort(words)
    rank = np.empty(len(words), np.int64)
    rank[order] = np.arange(len(words))
    codes: np.ndarray = rank[np.asarray(joined.indices, np.int64)]
    return codes, words[order].tolist()


def _split(
    path: Path,
    columns: Columns,
    samples: _Samples,
    subject: tuple[np.ndarray, list[str]],
    device: tuple[np.ndarray, list[str]],
    labels: np.ndarray | None,
    rows: np.ndarray,
) -> Reading[list[Recording]]:
    """Rows by (subject, device), in order of time, without repeats and without incomplete samples."""
    (who, people), (where, devices) = subject, device
    time, values, file = np.concatenate(samples.time), np.concatenate(samples.values), str(path)
    late = 1 + np.flatnonzero((np.diff(who) == 0) & (np.diff(where) == 0) & (np.diff(time) < 0))
    if len(late):
        yield Faults(
            "late-sample",
            file,
            lambda k: f"time {time[late[k]]:g} s behind {time[late[k] - 1]:g} s (subject {people[who[late[k]]]})",
            "the samples of a device in the order of time",
            "They are sorted by time.",
            rows[late],
            columns.time,
            harmless=True,
        )
    order = np.lexsort((time, where, who))
    before, after = order[:-1], order[1:]
    again = (who[before] == who[after]) & (where[before] == where[after]) & (time[before] == time[after])
    equal = again & ((values[before] == values[after]) | (np.isnan(values[before]) & np.isnan(values[after]))).all(1)
    if labels is not None:
        equal &= labels[before] == labels[after]
    other = np.flatnonzero(again & ~equal)
    if len(other):
        yield Faults(
            "conflicting-sample",
            file,
            lambda k: (
                f"two different samples of subject {people[who[after[other[k]]]]}, device {devices[where[after[other[k]]]]!r} at "
                f"time {time[after[other[k]]]:g} s, here and in row {rows[before[other[k]]]}"
            ),
            "one sample of a device at a time",
            "Keep one.",
            rows[after[other]],
            columns.time,
        )
    same = np.flatnonzero(equal)
    if len(same):
        yield Faults(
            "repeated-sample",
            file,
            lambda k: f"a sample that repeats row {rows[before[same[k]]]} (subject {people[who[after[same[k]]]]})",
            "each sample once",
            "It is dropped.",
            rows[after[same]],
            harmless=True,
        )
    order = np.concatenate([order[:1], after[~again]])
    missing = np.isnan(values[order]).any(1)
    if missing.any():
        gone = np.sort(order[missing])
        yield Faults(
            "missing-sample",
            file,
            lambda k: f"an empty or NaN channel (subject {people[who[gone[k]]]}, time {time[gone[k]]:g} s)",
            "a number in every channel",
            "The sample is left out; a short gap is bridged, a long one ends the window.",
            rows[gone],
            harmless=True,
        )
    recordings = []
    change = np.flatnonzero((np.diff(who[order]) != 0) | (np.diff(where[order]) != 0)) + 1
    for places, lost in zip(np.split(order, change), np.split(missing, change), strict=True):
        kept = places[~lost]
        name, unit = people[who[places[0]]], devices[where[places[0]]]
        if not len(kept):
            empty = [
                channel for channel, column in zip(samples.channels, values[places].T, strict=True) if np.isnan(column).all()
            ]
            blank = f"; channel {', '.join(empty)} is empty throughout" if empty else ""
            yield Faults(
                "empty-recording",
                file,
                f"no complete sample of subject {name}, device {unit!r}{blank}",
                "samples with a number in every channel",
                "Leave the channel out (data.columns.channels) or the recording.",
                [int(rows[places].min())],
            )
            continue
        marks = None if labels is None else labels[kept]
        recordings.append(Recording(name, unit, time[kept], values[kept], marks, rows[kept]))
    if not recordings:
        raise Refused(Faults("no-recording", file, "no recording", "one at least", "Mend the faults above."))
    return recordings


def by_subject(recordings: Sequence[Recording]) -> Iterator[tuple[str, list[Recording]]]:
    """Each subject with its recordings, in their order."""
    for subject in dict.fromkeys(recording.subject for recording in recordings):
        yield subject, [recording for recording in recordings if recording.subject == subject]


def tell(
    kind: str, file: str, told: Sequence[tuple[Any, str]], column: str | None, expected: str, mend: str
) -> Reading[None]:
    """Harmless faults of single rows, where there are any: (row, what was found)."""
    if told:
        rows = [int(row) for row, _ in told]
        yield Faults(kind, file, lambda k: told[k][1], expected, mend, rows, column, harmless=True)
