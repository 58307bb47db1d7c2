"""A user's own events: one long Parquet or CSV table, read piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.cells import ids, is_number, numbers, times
from sslplug.contracts.tables import Table, require, table_pieces
from sslplug_sequence.events.data.columns import Dictionary, Store
from sslplug_sequence.events.data.table import CHUNK, EventTable, content_hash

PIECE = 1 << 18
"""Rows of Parquet read at a time."""
BLOCK = 1 << 24
"""Bytes of text read at a time."""
HINT = "Rename it, or name yours in data.columns (--set data.columns.entity=name)."


@dataclass(frozen=True)
class Columns:
    """Which columns of the event table are what; both tuples empty: categories and numbers by the columns' content."""

    entity: str
    time: str
    categories: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass
class _Plan:
    """What the first piece of a file says about all of them."""

    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    dated: bool
    words: dict[str, Dictionary] = field(default_factory=dict)


def read_events(file: Path, columns: Columns, folder: Path | None) -> Reading[EventTable]:
    """The events of ``file``, ordered by entity (as they first come) and time; simultaneous events keep the file's order.

    folder  where columns are kept when they are larger than memory; None: in memory. Whose an event is and when (12 bytes an
            event) are held in memory while the table is sorted.

    Dates and timestamps become days since 1970. Events without an entity or a time are told and left out; words where numbers
    are expected, and infinities, are told and count as missing.
    """
    if file.suffix not in (".parquet", ".csv"):
        found = file.suffix or "no suffix"
        raise Refused(Faults("unknown-format", str(file), found, "an event table in .parquet or .csv", "Export it so."))
    store, entities = Store(folder), Dictionary()
    plans: list[_Plan] = []

    def each(piece: Table) -> Reading[None]:
        if not plans:
            plans.append((yield from _plan(piece, columns)))
        yield from _append(piece, columns, plans[0], store, entities)

    yield from table_pieces(file, each, PIECE, BLOCK)
    (plan,) = plans
    if not entities.numbers:
        raise Refused(Faults("no-events", str(file), "no event", "one row an event", "Export it again."))
    return (yield from _sorted(file, columns, plan, store, entities, folder))


def _plan(piece: Table, columns: Columns) -> Reading[_Plan]:
    names = piece.content.column_names
    if not (yield from require(piece, columns.entity, columns.time, *columns.categories, *columns.numbers, hint=HINT)):
        told = f"the columns {', '.join(names)}"
        raise Refused(Faults("missing-columns", piece.file, told, "those named above", HINT))
    categories, numeric = columns.categories, columns.numbers
    if not categories and not numeric:
        rest = [name for name in names if name not in (columns.entity, columns.time)]
        numeric = tuple(name for name in rest if _holds_numbers(piece, name))
        categories = tuple(name for name in rest if name not in numeric)
    kept = []
    for name in categories:
        kind = piece.content[name].type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            mend = "Take it apart, or name the columns to use in data.columns.categories and data.columns.numbers."
            yield Faults("nested-column", piece.file, f"a column of {kind}", "words or numbers", mend, column=name)
        else:
            kept.append(name)
    return _Plan(tuple(kept), numeric, _dated(piece, columns.time), {name: Dictionary() for name in kept})


def _holds_numbers(piece: Table, name: str) -> bool:
    """Truth values are categories."""
    return not pa.types.is_boolean(piece.content[name].type) and is_number(piece, name)


def _dated(piece: Table, name: str) -> bool:
    kind = piece.content[name].type
    return bool(pa.types.is_temporal(kind)) or (pa.types.is_large_string(kind) and not is_number(piece, name))


def _append(piece: Table, columns: Columns, plan: _Plan, store: Store, entities: Dictionary) -> Reading[None]:
    """A piece's events behind those of the pieces before."""
    named = yield from ids(piece, columns.entity)
    time = yield from times(piece, columns.time)
    if len(piece) and _dated(piece, columns.time) != plan.dated:
        form = "dates" if plan.dated else "numbers"
        yield piece.wrong("not-a-time", np.isfinite(time), columns.time, f"{form}, as in the rows before", "Write one form.")
        time = np.full(len(time), np.nan)
    owner = entities.code(named)
    kept = np.flatnonzero((owner >= 0) & np.isfinite(time))
    codes = [plan.words[name].code(piece.content[name].combine_chunks()) for name in plan.categories]
    values = []
    for name in plan.numbers:
        found = yield from numbers(piece, name, None)
        large = np.abs(found) > np.finfo(np.float32).max
        if large.any():
            yield piece.wrong("too-large", large, name, "a number within float32", "Mend it, or leave the cell empty.")
        values.append(np.where(large, np.nan, found))
    store.append("row", piece.rows[kept])
    store.append("owner", owner[kept])
    store.append("time", time[kept])
    store.append("codes", _beside(codes, len(piece), np.int32)[kept])
    store.append("numbers", _beside(values, len(piece), np.float32)[kept])


def _beside(columns: Sequence[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    """(rows, columns); no columns: zero of them."""
    return np.stack(columns, 1).astype(dtype) if columns else np.empty((rows, 0), dtype)


def _sorted(
    file: Path, columns: Columns, plan: _Plan, store: Store, entities: Dictionary, folder: Path | None
) -> Reading[EventTable]:
    """The table of all events, by entity and time; what stood in another order, or happens at once, is told."""
    owner, time, row = store.finish("owner"), store.finish("time"), store.finish("row")
    coded, values = store.finish("codes"), store.finish("numbers")
    yield from _late(file, columns, plan.dated, owner, time, row)
    if (np.diff(owner) < 0).any() or ((np.diff(owner) == 0) & (np.diff(time) < 0)).any():
        order = np.lexsort((time, owner))
        sorted_store = Store(None if folder is None else folder / "sorted")
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            for name, whole in (("row", row), ("time", time), ("codes", coded), ("numbers", values)):
                sorted_store.append(name, np.asarray(whole[part]))
        owner = owner[order]
        row, time, coded, values = (sorted_store.finish(name) for name in ("row", "time", "codes", "numbers"))
    yield from _at_once(file, columns, owner, time, coded, values, row)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(entities.numbers)))]).astype(np.int64)
    known = {name: tuple(plan.words[name].numbers) for name in plan.categories}
    digest = content_hash(repr(known), repr(tuple(entities.numbers)), offsets, time, coded, values)
    who = np.array(list(entities.numbers), dtype=object)
    unit = "days" if plan.dated else "units of the time column"
    return EventTable(file.stem, who, offsets, time, coded, known, values, plan.numbers, unit, digest, rows=row)


def _late(file: Path, columns: Columns, dated: bool, owner: np.ndarray, time: np.ndarray, row: np.ndarray) -> Reading[None]:
    """Events that stand behind a later one of their entity."""
    order = slice(None) if (np.diff(owner) >= 0).all() else np.argsort(owner, kind="stable")
    mine, when = owner[order], np.asarray(time[order])
    places = 1 + np.flatnonzero((np.diff(mine) == 0) & (np.diff(when) < 0))
    if len(places):
        shown: Any = _day if dated else "{:g}".format
        found: Any = lambda k: f"{shown(when[places[k]])} behind {shown(when[places[k] - 1])}"  # noqa: E731
        expected, rows = "the events of an entity in the order of time", np.asarray(row[order])[places]
        sort = np.argsort(rows)
        places, rows = places[sort], rows[sort]
        yield Faults("late-event", str(file), found, expected, "They are sorted by time.", rows, columns.time, harmless=True)


def _day(days: float) -> str:
    """Days since 1970 as a date, with the time to the second where there is one."""
    stamp = np.datetime64(0, "s") + np.timedelta64(round(float(days) * 86_400), "s")
    return str(stamp).replace("T", " ").removesuffix(" 00:00:00")


def _at_once(
    file: Path,
    columns: Columns,
    owner: np.ndarray,
    time: np.ndarray,
    codes: np.ndarray,
    values: np.ndarray,
    row: np.ndarray,
) -> Reading[None]:
    """Events at the time of the event before, and among them those that repeat it in everything."""
    places = 1 + np.flatnonzero((np.diff(time) == 0) & (np.diff(owner) == 0))
    same = np.zeros(len(places), bool)
    for start in range(0, len(places), CHUNK):
        here = places[start : start + CHUNK]
        equal = (codes[here] == codes[here - 1]).all(1)
        same[start : start + CHUNK] = equal & _equal(values[here], values[here - 1]).all(1)
    for kind, chosen, found, mend in (
        (
            "repeated-event",
            places[same],
            "an event that repeats the one before in every cell",
            "It counts as another event.",
        ),
        (
            "simultaneous-event",
            places[~same],
            "an event at the time of the event before",
            "They keep the file's order; finer times would tell which came first.",
        ),
    ):
        if len(chosen):
            expected = "each event once" if kind == "repeated-event" else "one event of an entity at a time"
            rows = np.sort(np.asarray(row[chosen]))
            yield Faults(kind, str(file), found, expected, mend, rows, columns.time, harmless=True)


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Equal numbers, or both missing."""
    same: np.ndarray = (one == other) | (np.isnan(one) & np.isnan(other))
    return same
