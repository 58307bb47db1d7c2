"""A user's own interactions: who, what, when. Rows that name nobody, nothing or no time are told and left out."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.cells import DAY, ids, numbers, times
from sslplug.contracts.tables import Table, cell, mask, require
from sslplug_recsys.data.options import TableOptions
from sslplug_recsys.data.own_tables import OwnTable

HINT = "Name it in data.columns."
UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
SECONDS = (1e8, 1e10)
"""Seconds since 1970 of the years 1973 to 2286; counted in another unit they lie in ranges that do not meet this one."""


@dataclass(frozen=True, eq=False)
class Log:
    """Interactions of one file: ids as written, times, and the row of each in ``table``'s file."""

    table: Table
    users: pa.Array
    items: pa.Array
    time: np.ndarray | None
    rows: np.ndarray


def read_log(own: OwnTable, options: TableOptions) -> Reading[Log]:
    """The interactions of a table that are positives."""
    table, c = own.table, options.columns
    rated = options.least_rating is not None
    there = yield from require(table, c.user, c.item, *([c.rating] if rated else []), hint=HINT)
    for name, wanted in ((c.user, "token"), (c.item, "token"), (c.time, "float"), (c.rating, "float")):
        if name in own.types and own.types[name] != wanted:
            yield Faults(
                "unusual-type",
                table.file,
                f"the type {own.types[name]}",
                f"the type {wanted}",
                "It is read as its meaning asks.",
                column=name,
                harmless=True,
            )
    if not there:
        raise Refused(
            Faults("incomplete", table.file, "a table without its key columns", "them all", "Mend the faults above.")
        )
    others = [
        name for name in table.content.column_names if name not in (c.user, c.item, c.time, *([c.rating] if rated else []))
    ]
    if others:
        yield Faults(
            "unused-column",
            table.file,
            f"columns {', '.join(map(repr, others))}",
            "who, what, when, and a rating where data.least_rating asks for it",
            "They are not read; every interaction is a positive.",
            harmless=True,
        )
    users = yield from ids(table, c.user, negative=False)
    items = yield from ids(table, c.item, negative=False)
    kept = mask(users.is_valid()) & mask(items.is_valid())
    time = None
    if c.time in table.content.column_names:
        time = yield from times(table, c.time)
        kept &= ~np.isnan(time)
        yield from _unlikely_times(table, c.time, time)
    yield from _twice(table, users, items, time, kept)
    if options.least_rating is not None:
        kept &= yield from _positives(table, c.rating, options.least_rating, kept)
    if time is not None and (np.diff(time[kept]) < 0).any():
        yield Faults(
            "not-in-time-order",
            table.file,
            "interactions that are not in the order of time",
            "rows in order",
            "They are ordered by it where order counts.",
            column=c.time,
            harmless=True,
        )
    if not kept.any():
        raise Refused(
            Faults("no-interaction", table.file, "no usable row", "one row an interaction", "Mend the faults above.")
        )
    chosen = pa.array(kept)
    return Log(table, users.filter(chosen), items.filter(chosen), None if time is None else time[kept], table.rows[kept])


def _unlikely_times(table: Table, name: str, time: np.ndarray) -> Reading[None]:
    known = ~np.isnan(time)
    if not known.any():
        return
    temporal = pa.types.is_temporal(table.content[name].type) or (
        pa.types.is_large_string(table.content[name].type) and "-" in str(table.content[name][int(known.argmax())])[1:]
    )
    now = clock.time()
    if temporal:
        yield from _rows(
            table, name, known & (time < 0), "time-before-1970", "a time since 1970", "It counts as the oldest."
        )
        late = known & (time > now / (DAY / 1e6) + 1)
        yield from _rows(table, name, late, "time-in-the-future", "a time that has been", "It counts as the newest.")
        return
    units = {unit: known & (time >= low * SECONDS[0]) & (time < low * SECONDS[1]) for unit, low in UNITS.items()}
    usual = max(units, key=lambda unit: int(units[unit].sum()))
    if 2 * units[usual].sum() <= known.sum():
        day = known & (time >= 19000101) & (time < 21010000) & (time % 100 <= 31)
        if 2 * day.sum() > known.sum():
            yield Faults(
                "time-as-date-number",
                table.file,
                f"dates written as numbers ({cell(table.content[name], int(day.argmax()))})",
                "dates such as 2024-05-31, or seconds",
                "They order interactions well, but gaps between months count too much.",
                column=name,
                harmless=True,
            )
        return
    for unit, places in units.items():
        if unit != usual and places.any():
            yield table.wrong(
                "time-in-another-unit",
                places,
                name,
                f"{usual} since 1970, as in most rows",
                f"It seems to count {unit}; convert it.",
            )
    inside = np.logical_or.reduce(list(units.values()))
    yield from _rows(
        table, name, known & ~inside, "time-out-of-range", f"{usual} since 1970, as in most rows", "It is taken as it is."
    )
    late = units[usual] & (time > (now + 86_400) * UNITS[usual])
    yield from _rows(table, name, late, "time-in-the-future", "a time that has been", "It counts as the newest.")


def _rows(table: Table, name: str, places: np.ndarray, kind: str, expected: str, mend: str) -> Reading[None]:
    if places.any():
        yield table.wrong(kind, places, name, expected, mend, harmless=True)


def _twice(table: Table, users: pa.Array, items: pa.Array, time: np.ndarray | None, kept: np.ndarray) -> Reading[None]:
    """Rows that repeat an earlier one whole: who, what and when."""
    where = np.flatnonzero(kept)
    if not len(where):
        return
    who, what = (np.asarray(one.dictionary_encode().indices.fill_null(0), np.int64) for one in (users, items))
    key = who * (what.max() + 1) + what
    moment = np.zeros(len(key)) if time is None else time
    order = where[np.lexsort((where, moment[where], key[where]))]
    same = (np.diff(key[order]) == 0) & (np.diff(moment[order]) == 0)
    again = np.sort(order[1:][same])
    if len(again):
        yield table.wrong(
            "repeated-row",
            again,
            None,
            "each interaction once",
            "It counts once.",
            lambda place: f"{users[place].as_py()!r} with {items[place].as_py()!r} again, at the same time",
            harmless=True,
        )


def _positives(table: Table, name: str, least: float, kept: np.ndarray) -> Reading[np.ndarray]:
    """(n,) bool: rated ``least`` or higher."""
    rating = yield from numbers(table, name, "harmless")
    given = rating[~np.isnan(rating)]
    if len(given):
        low, high = np.quantile(given, [0.01, 0.99], method="nearest")
        room = high - low
        far = (rating > high + room) | (rating < low - room) | ((rating < 0) & (low >= 0))
        if room > 0 and far.any():
            yield table.wrong(
                "rating-out-of-range",
                far,
                name,
                f"a rating near {low:g} to {high:g}, as in 98 % of the rows",
                "It is taken as it is.",
                harmless=True,
            )
    positive = rating >= least
    if not (positive & kept).any():
        yield Faults(
            "no-positive",
            table.file,
            f"that no interaction is rated {least:g} or higher",
            "some positives",
            "Lower data.least_rating.",
            column=name,
        )
        return np.ones(len(rating), bool)
    lower = int((~positive & kept).sum())
    if lower:
        yield Faults(
            "rated-lower",
            table.file,
            f"{lower} interactions rated below {least:g}, or not at all",
            "positives",
            "They are left out, as data.least_rating asks.",
            column=name,
            harmless=True,
        )
    return positive
