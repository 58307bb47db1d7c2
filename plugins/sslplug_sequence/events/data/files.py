"""A user's own events: one long Parquet or CSV table, read piece by piece, and a table of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from sslplug.errors import DataError
from sslplug_sequence.events.data.table import CHUNK, EventTable, content_hash

PIECE = 1 << 18
"""Rows read at a time."""


@dataclass(frozen=True)
class Columns:
    """Which columns of the event table are what; both tuples empty: categories and numbers by the columns' types."""

    entity: str
    time: str
    categories: tuple[str, ...]
    numbers: tuple[str, ...]


class Store:
    """Columns that grow piece by piece: in memory, or in files of ``folder`` that are mapped when finished."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._shapes: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("*.column"):
                old.unlink()

    def append(self, name: str, piece: np.ndarray) -> None:
        """Add rows to a column."""
        rows = self._shapes.get(name, (0, (), piece.dtype))[0]
        self._shapes[name] = (rows + len(piece), piece.shape[1:], piece.dtype)
        if self._folder is None:
            self._pieces.setdefault(name, []).append(piece)
        else:
            with (self._folder / f"{name}.column").open("ab") as file:
                file.write(np.ascontiguousarray(piece).tobytes())

    def finish(self, name: str) -> np.ndarray:
        """The whole column."""
        rows, shape, dtype = self._shapes[name]
        if self._folder is None:
            whole: np.ndarray = np.concatenate(self._pieces.pop(name))
            return whole
        if rows == 0 or 0 in shape:
            return np.empty((rows, *shape), dtype)
        mapped: np.ndarray = np.memmap(self._folder / f"{name}.column", dtype=dtype, mode="r", shape=(rows, *shape))
        return mapped


@dataclass
class Dictionary:
    """Words numbered in the order they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def code(self, column: pa.Array) -> np.ndarray:
        """(k,) int32 numbers; -1 for null and ""."""
        coded = pc.dictionary_encode(column.cast(pa.string()))
        words = [str(word) for word in coded.dictionary.to_pylist()]
        lookup = np.array([-1, *(self.numbers.setdefault(w, len(self.numbers)) if w else -1 for w in words)], np.int32)
        codes: np.ndarray = lookup[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1]
        return codes


def read_events(file: Path, columns: Columns, folder: Path | None) -> EventTable:
    """The events of ``file``, ordered by entity (as they first come) and time; simultaneous events keep the file's order.

    folder  where columns are kept when they are larger than memory; None: in memory. Whose an event is and when (12 bytes an
            event) are held in memory while the table is sorted.

    Dates and timestamps become days since 1970. Raises DataError with file, row and column for a missing entity or time, for
    words where numbers are expected, and for infinities.
    """
    names, categories, numbers, pieces, days = _pieces(file, columns)
    store, entities = Store(folder), Dictionary()
    words = {name: Dictionary() for name in categories}
    row = 0
    for piece in pieces:
        column = dict(zip(names, piece.columns, strict=True))
        owner = entities.code(column[columns.entity])
        time = _time(column[columns.time], days)
        where = np.flatnonzero((owner < 0) | ~np.isfinite(time))
        if len(where):
            what = columns.entity if owner[where[0]] < 0 else columns.time
            raise DataError(f"{file}, row {row + int(where[0]) + 1}, column {what!r}: missing; every event needs one.")
        store.append("owner", owner)
        store.append("time", time)
        store.append("codes", _beside([words[name].code(column[name]) for name in categories], len(owner), np.int32))
        numbered = [_number(column[name], file, name, row) for name in numbers]
        store.append("numbers", _beside(numbered, len(owner), np.float32))
        row += len(owner)
    if not row:
        raise DataError(f"{file} holds no event; expected one row an event.")
    owner, time = store.finish("owner"), store.finish("time")
    later = np.diff(owner) == 0
    late = int((np.diff(time)[later] < 0).sum())
    grouped = bool((np.diff(owner) >= 0).all())
    coded, values = store.finish("codes"), store.finish("numbers")
    notes: tuple[str, ...] = ()
    if late or not grouped:
        order = np.lexsort((time, owner))
        sorted_store = Store(None if folder is None else folder / "sorted")
        for start in range(0, row, CHUNK):
            part = order[start : start + CHUNK]
            sorted_store.append("time", np.asarray(time[part]))
            sorted_store.append("codes", np.asarray(coded[part]))
            sorted_store.append("numbers", np.asarray(values[part]))
        owner = owner[order]
        time, coded, values = (sorted_store.finish(name) for name in ("time", "codes", "numbers"))
        if late:
            notes = (f"{late} events stood after a later one and were sorted by time",)
    ties = int(((np.diff(time) == 0) & (np.diff(owner) == 0)).sum())
    if ties:
        notes = (*notes, f"{ties} events happen at the time of the event before; they keep the file's order")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(entities.numbers)))]).astype(np.int64)
    known = {name: tuple(words[name].numbers) for name in categories}
    digest = content_hash(repr(known), repr(tuple(entities.numbers)), offsets, time, coded, values)
    who = np.array(list(entities.numbers), dtype=object)
    unit = "days" if days else "units of the time column"
    return EventTable(file.stem, who, offsets, time, coded, known, values, tuple(numbers), unit, digest, notes=notes)


def _beside(columns: Sequence[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    """(rows, columns); no columns: zero of them."""
    return np.stack(columns, 1) if columns else np.empty((rows, 0), dtype)


def _pieces(
    file: Path, columns: Columns
) -> tuple[list[str], tuple[str, ...], tuple[str, ...], Iterator[pa.RecordBatch], bool]:
    """The columns read, which are categories and which numbers, the pieces, and whether time is a date."""
    if file.suffix == ".parquet":
        source = pq.ParquetFile(file)
        schema = source.schema_arrow
    elif file.suffix == ".csv":
        with arrow_csv.open_csv(file) as head:
            schema = head.schema
    else:
        raise DataError(f"{file}: {file.suffix or 'no suffix'}; expected an event table in .parquet or .csv.")
    categories, numbers = columns.categories, columns.numbers
    if not categories and not numbers:
        rest = [f for f in schema if f.name not in (columns.entity, columns.time)]
        numbers = tuple(f.name for f in rest if pa.types.is_integer(f.type) or pa.types.is_floating(f.type))
        categories = tuple(f.name for f in rest if f.name not in numbers)
    names = [columns.entity, columns.time, *categories, *numbers]
    lacking = [name for name in names if name not in schema.names]
    if lacking:
        raise DataError(f"{file} has no column {lacking[0]!r}; it has {', '.join(schema.names)}. Name them in data.columns.")
    kind = schema.field(columns.time).type
    days = bool(pa.types.is_temporal(kind))
    if not days and not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        raise DataError(f"{file}, column {columns.time!r} holds {kind}; expected numbers, dates or timestamps.")
    if file.suffix == ".parquet":
        return names, categories, numbers, source.iter_batches(batch_size=PIECE, columns=names), days
    types = (
        {columns.entity: pa.string()} | {name: pa.string() for name in categories} | {name: pa.float64() for name in numbers}
    )
    return names, categories, numbers, _csv_pieces(file, names, types), days


def _csv_pieces(file: Path, names: Sequence[str], types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    options = arrow_csv.ConvertOptions(include_columns=list(names), column_types=types)
    try:
        with arrow_csv.open_csv(file, convert_options=options) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        raise DataError(f"{file}: {error}; mend this column, or name it among data.columns.categories.") from error


def _time(column: pa.Array, days: bool) -> np.ndarray:
    """(k,) float64, NaN where missing; dates and timestamps in days since 1970."""
    if days:
        micro = column.cast(pa.timestamp("us")).cast(pa.int64())
        stamps = micro.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
        return np.asarray(stamps / 86_400e6, np.float64)
    return np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False), np.float64)


def _number(column: pa.Array, file: Path, name: str, row: int) -> np.ndarray:
    """(k,) float32, NaN where missing."""
    try:
        values = column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{file}, column {name!r}: {error}; expected numbers.") from error
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise DataError(f"{file}, row {row + int(endless[0]) + 1}, column {name!r}: an infinity; expected a finite number.")
    return np.asarray(values, np.float32)


def with_labels(table: EventTable, file: Path, entity: str, label: str, numeric: bool) -> EventTable:
    """``table`` with the labels of ``file`` (one row an entity). Entities without events are added, empty, and said."""
    read = pq.read_table(file) if file.suffix == ".parquet" else arrow_csv.read_csv(file)
    lacking = [name for name in (entity, label) if name not in read.column_names]
    if lacking:
        raise DataError(f"{file} has no column {lacking[0]!r}; it has {', '.join(read.column_names)}.")
    whose = [str(name) for name in read[entity].cast(pa.string()).to_pylist()]
    given = read[label].to_pylist()
    found: dict[str, Any] = {}
    for row, (name, value) in enumerate(zip(whose, given, strict=True)):
        if name in found and found[name] != value:
            raise DataError(f"{file}, row {row + 1}: entity {name!r} has the labels {found[name]!r} and {value!r}.")
        found[name] = value
    known = set(table.entities.tolist())
    empty = [name for name in found if name not in known]
    entities = np.concatenate([table.entities, np.array(empty, dtype=object)])
    offsets = np.concatenate([table.offsets, np.full(len(empty), table.offsets[-1])])
    values = [found.get(name) for name in entities]
    notes = (*table.notes, f"{len(empty)} labelled entities have no event") if empty else table.notes
    if numeric:
        try:
            labels = np.array([np.nan if value is None else float(value) for value in values])
        except (TypeError, ValueError) as error:
            raise DataError(f"{file}, column {label!r}: {error}; expected numbers, or data.kind: classification.") from error
        return replace(table, entities=entities, offsets=offsets, labels=labels, notes=notes)
    present = sorted({value for value in values if value is not None and value != ""})
    code = {value: number for number, value in enumerate(present)}
    labels = np.array([code.get(value, -1) for value in values], np.int64)
    classes = tuple(map(str, present))
    return replace(table, entities=entities, offsets=offsets, labels=labels, classes=classes, notes=notes)
