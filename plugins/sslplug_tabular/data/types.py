"""What kind of column each column is: inferred from the rows that training may see, shown, and overridable.

numeric      numbers
categorical  words
ordinal      words or numbers with an order; becomes the number of its place in the order
boolean      two values, treated as a categorical column
date         days and times; becomes days since 1970 and the places in the year, the week and (with times) the day
ignore       not used: names of rows, constants, columns without a value, columns that serve the split

What cannot be read as its column's kind is told cell by cell where the cells are decoded
(:mod:`sslplug_tabular.data.encoding`); here the columns are told that cannot be used at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading
from sslplug.contracts.tables import Table, mask
from sslplug_tabular.data.foreign import foreign_dates, foreign_numbers
from sslplug_tabular.data.words import as_numbers, as_words, is_number, is_text, looks_like_date, looks_like_number, plain

Kind = Literal["numeric", "categorical", "ordinal", "boolean", "date", "ignore"]
KINDS = get_args(Kind)
_TRUTH = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
_ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|index)$|Id$|ID$", re.ASCII)
MOSTLY = 0.9
"""A column of words of which this share are numbers (or dates) is a column of numbers with mistakes in it."""
NAMES_SHARE = 0.95
"""A column of words with this share of different values names the rows."""
NAMING = ("names the rows", "counts the rows", "called an id")
"""How the reasons of columns begin that name the rows."""
FEWEST_FOR_NAMES = 20
"""Below so many values nothing is taken for the name of a row."""


@dataclass(frozen=True)
class ColumnType:
    """One column's kind: ``why`` it is so, its ``order`` where it is ordinal, and what was seen in the allowed rows."""

    name: str
    kind: Kind
    why: str
    distinct: int = 0
    missing: float = 0.0
    order: tuple[str, ...] = ()


def infer(table: Table, given: Mapping[str, Kind], orders: Mapping[str, Sequence[str]]) -> Reading[list[ColumnType]]:
    """The kinds of columns.

    table    the allowed rows, tidied, see :func:`sslplug_tabular.data.words.tidy`
    given    kinds the user asked for;  orders: the orders of ordinal columns

    A column that cannot be used is told and ignored.
    """
    found = []
    for name in table.content.column_names:
        found.append((yield from _one(table, name, given.get(name), tuple(orders.get(name, ())))))
    return found


def _one(table: Table, name: str, given: Kind | None, order: tuple[str, ...]) -> Reading[ColumnType]:
    if given == "ignore":
        return ColumnType(name, "ignore", "asked for")
    values = table.content[name].combine_chunks()
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        yield Faults(
            "nested-column",
            table.file,
            f"a column of {values.type}",
            "numbers, words, truth values or dates",
            f"Take it apart, or leave it out with data.types.{name}: ignore.",
            column=name,
        )
        return ColumnType(name, "ignore", f"holds {values.type}")
    present = values.drop_null()
    distinct = int(pc.count_distinct(plain(present)).as_py()) if len(present) else 0
    missing = 1 - len(present) / max(len(values), 1)
    if given is None:
        kind, why, order = _inferred(name, values, present, distinct, table.rows, order)
    else:
        kind, why = given, "asked for"
    if not len(present):
        kind, why = "ignore", "no value in the rows for training"
    elif kind != "ignore" and distinct == 1 and missing == 0:
        kind, why = "ignore", f"constant ({as_words(present[:1])[0].as_py()})"
    if kind == "date" and is_number(plain(values).type):
        yield Faults(
            "numbers-as-dates",
            table.file,
            f"a column of {values.type}",
            "dates as words (2024-05-31) or as a date type",
            "Write dates, or take the column for numbers.",
            column=name,
        )
        return ColumnType(name, "ignore", "numbers, and no dates", distinct, missing)
    if kind == "ordinal":
        order = yield from _checked_order(table, name, order)
        if not order:
            return ColumnType(name, "ignore", "its words have no order", distinct, missing)
    return ColumnType(name, kind, why, distinct, missing, order if kind == "ordinal" else ())


def _inferred(
    name: str, values: pa.Array, present: pa.Array, distinct: int, rows: np.ndarray, order: tuple[str, ...]
) -> tuple[Kind, str, tuple[str, ...]]:
    """(kind, why, order)."""
    kind = values.type
    if order:
        return "ordinal", "its order was given", order
    if pa.types.is_dictionary(kind):
        if kind.ordered:
            return "ordinal", "an ordered category", tuple(as_words(values.dictionary).to_pylist())
        return "categorical", "a category", ()
    if pa.types.is_boolean(kind):
        return "boolean", "truth values", ()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date", "dates", ()
    if is_text(kind):
        return *_of_words(name, values, present, distinct, rows), ()
    if pa.types.is_integer(kind) and distinct == 2 and set(pc.unique(present).to_pylist()) == {0, 1}:
        return "boolean", "only 0 and 1", ()
    if is_number(kind) and len(present) >= FEWEST_FOR_NAMES:
        return *_numbers_or_names(name, values, distinct, rows), ()
    return "numeric", "numbers", ()


def _of_words(name: str, values: pa.Array, present: pa.Array, distinct: int, rows: np.ndarray) -> tuple[Kind, str]:
    if not len(present):
        return "ignore", "no value"
    number, date = looks_like_number(values), looks_like_date(values)
    kinds: tuple[tuple[np.ndarray, Kind], ...] = ((number, "numeric"), (date, "date"))
    for found, kind in kinds:
        share = found.sum() / len(present)
        if MOSTLY <= share < 1:
            return kind, f"{'numbers' if kind == 'numeric' else 'dates in words'} with mistakes among them"
        if share == 1 and kind == "date":
            return "date", "dates in words"
        if share == 1:
            if bool(pc.any(pc.match_substring_regex(present, r"^0\d")).as_py()):
                return "categorical", "digits with leading zeros"
            if set(pc.unique(present).to_pylist()) == {"0", "1"}:
                return "boolean", "only 0 and 1"
            whole = not bool(pc.any(pc.match_substring_regex(present, r"[^\d+-]")).as_py())
            return _numbers_or_names(name, values, distinct, rows) if whole else ("numeric", "numbers")
    if distinct > FEWEST_FOR_NAMES:
        # Numbers and dates in a form that is not read: as categories they would teach nothing, so decoding tells each of them.
        if (number | foreign_numbers(values)).sum() >= MOSTLY * len(present):
            return "numeric", "numbers in another form"
        if (date | foreign_dates(values)).sum() >= MOSTLY * len(present):
            return "date", "dates in another form"
    if distinct == 2 and set(pc.unique(pc.utf8_lower(present)).to_pylist()) in _TRUTH:
        return "boolean", "truth values in words"
    if len(present) >= FEWEST_FOR_NAMES and distinct >= NAMES_SHARE * len(present):
        return "ignore", f"names the rows ({distinct} different words in {len(present)} rows)"
    return "categorical", "words"


def _numbers_or_names(name: str, values: pa.Array, distinct: int, rows: np.ndarray) -> tuple[Kind, str]:
    """Whole numbers that count the rows, or that differ in every row and are called an id, name the rows."""
    if values.null_count or distinct != len(values) or len(values) < FEWEST_FOR_NAMES:
        return "numeric", "numbers"
    numbers = as_numbers(values)[0]
    if np.all(numbers - rows == numbers[0] - rows[0]):
        return "ignore", "counts the rows"
    if called_id(name) and np.all(numbers == np.floor(numbers)):
        return "ignore", "called an id, and different in every row"
    return "numeric", "numbers"


def _checked_order(table: Table, name: str, order: tuple[str, ...]) -> Reading[tuple[str, ...]]:
    """The order of an ordinal column: as given, or that of its numbers; () where there is none."""
    values = as_words(table.content[name].combine_chunks())
    words = set(pc.unique(values.drop_null()).to_pylist())
    if not order:
        present = values.drop_null()
        if not looks_like_number(present).all():
            yield Faults(
                "words-without-order",
                table.file,
                "words without an order",
                f"data.orders.{name}: [{', '.join(sorted(words)[:5])}, ...], lowest first",
                "Give it.",
                column=name,
            )
            return ()
        return tuple(sorted(words, key=float))
    unknown = mask(pc.invert(pc.is_in(values, value_set=pa.array([*order, None], values.type))))
    if unknown.any():
        yield table.wrong(
            "word-beyond-order", unknown, name, f"a word of data.orders.{name} ({', '.join(order[:10])})", "Add it there."
        )
    return order


def called_id(name: str) -> bool:
    """Whether a column's name says that it holds ids.

    >>> called_id("customer_id"), called_id("humid")
    (True, False)
    """
    return bool(_ID_NAME.search(name))


def type_table(types: Sequence[ColumnType], most: int = 30) -> str:
    """The kinds as text, a line a column: name, kind, why, different values, share missing.

    >>> print(type_table([ColumnType("age", "numeric", "numbers", 73, 0.0)]))
    columns (change one with data.types.<name>=<kind>):
      age  numeric  numbers; 73 different
    """
    shown = types[:most]
    name = max((len(t.name) for t in shown), default=0)
    kind = max((len(t.kind) for t in shown), default=0)
    lines = ["columns (change one with data.types.<name>=<kind>):"]
    for t in shown:
        seen = f"; {t.distinct} different" if t.kind != "ignore" and t.distinct else ""
        gone = f"; {100 * t.missing:.3g} % missing" if t.kind != "ignore" and t.missing else ""
        lines.append(f"  {t.name:<{name}}  {t.kind:<{kind}}  {t.why}{seen}{gone}")
    if len(types) > most:
        rest = types[most:]
        counts = {k: sum(t.kind == k for t in rest) for k in KINDS}
        lines.append(f"  and {len(rest)} more: " + ", ".join(f"{count} {k}" for k, count in counts.items() if count))
    return "\n".join(lines)
