"""Recordings from one long table: a row a sample, with columns for subject, device, time, channels and maybe a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from sslplug.errors import DataError

TimeUnit = Literal["s", "ms", "us", "ns"]
SECONDS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Recording:
    """What one device of one subject recorded.

    time    (k,) seconds, strictly increasing
    values  (k, C) float64, finite
    labels  (k,) int64 classes, -1 = none, or None
    """

    subject: str
    device: str
    time: np.ndarray
    values: np.ndarray
    labels: np.ndarray | None


@dataclass(frozen=True)
class Columns:
    """Names of columns; ``device`` and ``label`` may be missing from the table. ``channels`` empty: all other columns."""

    subject: str
    device: str
    time: str
    label: str
    channels: tuple[str, ...]


def read_long_table(
    path: Path, columns: Columns, unit: TimeUnit, factors: dict[str, float], labelled: bool = True
) -> tuple[list[Recording], tuple[str, ...], tuple[str, ...], list[str]]:
    """Recordings, channel names, class names, and notes of what was mended.

    Rows out of order are sorted, rows that repeat another exactly are dropped, samples with an empty or NaN channel are left out
    (a gap that cutting bridges or refuses to): each is noted. Labels are read where ``labelled``. Two different samples of one
    device at one time, infinite values, channels that are no numbers, empty subjects and times are refused with subject and time.
    """
    table = _read(path)
    for name in (columns.subject, columns.time, *columns.channels):
        if name not in table.column_names:
            raise DataError(
                f"{path}: no column {name!r}; it has {', '.join(table.column_names)}. Rename it, or name yours in data.columns."
            )
    if not table.num_rows:
        raise DataError(f"{path}: no rows; expected one a sample.")
    taken = {columns.subject, columns.device, columns.time, columns.label}
    channels = columns.channels or tuple(name for name in table.column_names if name not in taken)
    if not channels:
        raise DataError(f"{path}: no channel beside {', '.join(sorted(taken))}; add at least one.")
    strange = sorted(set(factors) - set(channels))
    if strange:
        raise DataError(f"{path}: data.factors names {', '.join(strange)}; the channels are {', '.join(channels)}.")
    subject = _words(path, table, columns.subject)
    device = _words(path, table, columns.device) if columns.device in table.column_names else np.full(len(subject), "device")
    time = _times(path, table, columns.time, unit)
    values = np.stack([_channel(path, table, name) * factors.get(name, 1.0) for name in channels], axis=1)
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = (int(v) for v in infinite[0])
        raise DataError(
            f"{path}, row {row + 1}, column {channels[column]!r} (subject {subject[row]}, time {time[row]:g} s): infinite; "
            "expected a finite number, or an empty cell for a missing one."
        )
    labels, classes = _labels(path, table, columns.label) if labelled else (None, ())
    notes: list[str] = []
    recordings = _split(path, subject, device, time, values, labels, channels, notes)
    return recordings, channels, classes, notes


def _split(
    path: Path,
    subject: np.ndarray,
    device: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
    labels: np.ndarray | None,
    channels: Sequence[str],
    notes: list[str],
) -> list[Recording]:
    """Rows by (subject, device), in order of time, without repeats and without incomplete samples."""
    _, who = np.unique(subject, return_inverse=True)
    _, where = np.unique(device, return_inverse=True)
    order = np.lexsort((time, where, who))
    same = (np.diff(who) == 0) & (np.diff(where) == 0) & (np.diff(time) < 0)
    if same.any():
        row = int(same.argmax()) + 1
        notes.append(
            f"{int(same.sum())} samples earlier than the one before sorted by time (first: row {row + 1}, subject {subject[row]}, "
            f"time {time[row]:g} s)"
        )
    before, after = order[:-1], order[1:]
    again = (who[before] == who[after]) & (where[before] == where[after]) & (time[before] == time[after])
    equal = again & ((values[before] == values[after]) | (np.isnan(values[before]) & np.isnan(values[after]))).all(1)
    if labels is not None:
        equal &= labels[before] == labels[after]
    if (again & ~equal).any():
        place = int((again & ~equal).argmax())
        raise DataError(
            f"{path}, rows {before[place] + 1} and {after[place] + 1}: two different samples of subject {subject[after[place]]}, "
            f"device {str(device[after[place]])!r} at time {time[after[place]]:g} s ({int((again & ~equal).sum())} such pairs); "
            "keep one."
        )
    if equal.any():
        notes.append(
            f"{int(equal.sum())} samples that repeat another dropped (first: subject {subject[after[equal.argmax()]]})"
        )
    order = np.concatenate([order[:1], after[~equal]])
    missing = np.isnan(values[order]).any(1)
    if missing.any():
        first = order[int(missing.argmax())]
        notes.append(
            f"{int(missing.sum())} samples with an empty or NaN channel left out (first: subject {subject[first]}, time "
            f"{time[first]:g} s)"
        )
    recordings = []
    change = np.flatnonzero((np.diff(who[order]) != 0) | (np.diff(where[order]) != 0)) + 1
    for rows, gone in zip(np.split(order, change), np.split(missing, change), strict=True):
        kept = rows[~gone]
        name, unit = str(subject[rows[0]]), str(device[rows[0]])
        if not len(kept):
            empty = [channel for channel, column in zip(channels, values[rows].T, strict=True) if np.isnan(column).all()]
            raise DataError(
                f"{path}: subject {name}, device {unit!r}: no complete sample"
                + (f"; channel {', '.join(empty)} is empty throughout" if empty else "")
                + ". Leave the channel out (data.columns.channels) or the recording."
            )
        recordings.append(Recording(name, unit, time[kept], values[kept], None if labels is None else labels[kept]))
    return recordings


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            options = csv.ConvertOptions(null_values=["", "NaN", "nan"], strings_can_be_null=True)
            table = csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        reason = "".join(c if c.isprintable() else "?" for c in str(error))[:300]
        raise DataError(f"{path}: not a readable {path.suffix[1:]} table ({reason}).") from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are named {twice[0]!r}; expected each name once. Rename one of them.")
    return table


def _words(path: Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if column.null_count:
        row = int(column.is_null().to_numpy(zero_copy_only=False).argmax()) + 1
        raise DataError(f"{path}, row {row}, column {name!r}: empty; expected a name or a number.")
    try:
        return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False)).astype(str)
    except pa.ArrowException as error:
        raise DataError(f"{path}, column {name!r}: {column.type} cannot be a name ({error}).") from error


def _times(path: Path, table: pa.Table, name: str, unit: TimeUnit) -> np.ndarray:
    """(k,) seconds; time stamps of Arrow are read by their own unit."""
    column = table[name].combine_chunks()
    if column.null_count:
        row = int(column.is_null().to_numpy(zero_copy_only=False).argmax()) + 1
        raise DataError(f"{path}, row {row}, column {name!r}: no time; expected one a sample.")
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy(zero_copy_only=False), np.float64) * 1e-9
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f"{path}, column {name!r}: {column.type}; expected numbers (data.time_unit) or time stamps.")
    time = np.asarray(column.to_numpy(zero_copy_only=False), np.float64) * SECONDS[unit]
    if not np.isfinite(time).all():
        raise DataError(f"{path}, row {int((~np.isfinite(time)).argmax()) + 1}, column {name!r}: expected a finite time.")
    return time


def _channel(path: Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(
            f"{path}, column {name!r}: {column.type}; expected numbers. List the channels to use in data.columns.channels."
        )
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _labels(path: Path, table: pa.Table, name: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(k,) classes in the order of their sorted names, -1 for empty cells; None where there is no such column."""
    if name not in table.column_names:
        return None, ()
    column = table[name].combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    words = np.full(len(column), "", dtype=object)
    words[known] = column.drop_null().cast(pa.string()).to_numpy(zero_copy_only=False)
    known = known & (words != "")
    classes, codes = np.unique(words[known].astype(str), return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"{path}, column {name!r}: {'no label' if not len(classes) else f'only the class {classes[0]}'}; expected two classes "
            "or more. Mend the labels, or leave the column out to train without."
        )
    labels = np.full(len(words), -1, np.int64)
    labels[known] = codes
    return labels, tuple(classes.tolist())
