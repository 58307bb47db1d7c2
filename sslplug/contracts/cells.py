"""What the cells of a user's table mean: ids, numbers, times. Each cell that means nothing is told with its row.

Text columns are matched whole, by regular expressions without a loop; columns of Parquet files have types already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts.reading import Faults, Reading
from sslplug.contracts.tables import Table, cell, mask

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]+$"
DECIMAL_COMMA = r"^[+-]?[0-9.]*[0-9],[0-9]+$"
WITH_UNIT = r"^[^0-9+.-]{0,4}\s?[+-]?[0-9]+([.,][0-9]+)?\s?[^0-9]{0,5}$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
NO_VALUE = ("", "nan", "na", "n/a", "#n/a", "#na", "null", "none", "<na>")
"""Words, in small letters, that stand for a missing value among numbers."""
EXACT = 2.0**53
"""From here on a float64 is not every whole number."""
DAY = 86_400e6


def ids(table: Table, name: str, negative: bool = True) -> Reading[pa.Array]:
    """(n,) large strings: the ids of a column as written; null where there is none. ``negative`` numbers may be ids.

    A column of numbers may hold whole ones with a point ("7.0", which tools write beside empty cells): they are read as whole.
    """
    column = table.content[name].combine_chunks()
    kind = column.type
    if pa.types.is_large_string(kind):
        words = pc.utf8_trim_whitespace(column)
        blank = mask(pc.not_equal(words, column))
        if blank.any():
            yield table.wrong(
                "blank-around-id", blank, name, "an id without blanks around it", "They are passed over.", harmless=True
            )
    elif pa.types.is_integer(kind):
        words = column.cast(pa.large_string())
    elif pa.types.is_floating(kind):
        # Written out without an exponent where the number is whole.
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan), np.float64)
        whole = np.isfinite(values) & (np.abs(values) < EXACT) & (values == np.round(values))
        plain = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.large_string())
        zero, point = (pa.scalar(part, pa.large_string()) for part in ("0", "."))
        written = pc.binary_join_element_wise(plain, zero, point)
        words = pc.if_else(pa.array(whole), written, column.cast(pa.large_string()))
    else:
        yield Faults(
            "not-an-id", table.file, f"a column of {kind}", "ids: words or whole numbers", "Export it as text.", column=name
        )
        return pa.nulls(len(table), pa.large_string())
    number = mask(pc.match_substring_regex(words, NUMBER))
    token = mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE, pa.large_string())))
    empty = mask(pc.is_null(words)) | mask(pc.equal(words, ""))
    numeric = number.any() and bool((number | token | empty).all())
    missing = empty | token if numeric else empty
    if missing.any():
        yield table.wrong("missing-id", missing, name, "an id in every row", "Fill it or drop the row.")
    damaged = mask(pc.match_substring(words, "\ufffd"))
    if damaged.any():
        yield table.wrong(
            "damaged-characters",
            damaged,
            name,
            "letters as they were",
            "Some were lost when the file was written, and ids that differ in them are now one. Export it again.",
        )
    lost = missing | damaged
    if numeric:
        words, wrong = yield from _whole_numbers(table, name, words, number, negative)
        lost = lost | wrong
    return pc.if_else(pa.array(~lost), words, pa.scalar(None, pa.large_string()))


def _whole_numbers(
    table: Table, name: str, words: pa.Array, number: np.ndarray, negative: bool
) -> Reading[tuple[pa.Array, np.ndarray]]:
    """Ids that are numbers as whole ones, and (n,) bool where that cannot be."""
    whole = mask(pc.match_substring_regex(words, WHOLE))
    wrong = np.zeros(len(table), bool)
    point = number & ~whole
    if point.any():
        values = np.zeros(len(table))
        values[point] = np.asarray(words.filter(pa.array(point)).cast(pa.float64()))
        fraction, rounded = point & (values != np.round(values)), point & (np.abs(values) >= EXACT)
        if fraction.any():
            yield table.wrong(
                "fractional-id", fraction, name, "a whole number or a word", "Ids name things; is this the right column?"
            )
        if rounded.any():
            yield table.wrong(
                "rounded-id",
                rounded,
                name,
                "every digit of the id",
                "It was rounded when it was saved as a number, and other ids may have become the same. Export ids as text.",
            )
        wrong = fraction | rounded
        plain = point & ~wrong
        if plain.any():
            yield table.wrong("float-id", plain, name, "a whole number", "It is read as one.", harmless=True)
            integers = pa.array(np.where(plain, values, 0).astype(np.int64)).cast(pa.large_string())
            words = pc.if_else(pa.array(plain), integers, words)
    if not negative:
        below = number & mask(pc.starts_with(words, "-"))
        if below.any():
            yield table.wrong(
                "negative-id",
                below,
                name,
                "a number from 0 on, or a word",
                "Negative numbers usually mark a missing id. Remove the row, or use words.",
            )
        wrong = wrong | below
    return words, wrong


def repeats(table: Table, name: str, keys: pa.Array, mend: str) -> Reading[np.ndarray]:
    """(n,) bool: rows whose key stood in an earlier row; each is told. Null keys repeat nothing."""
    first = np.asarray(pc.fill_null(pc.index_in(keys, value_set=pc.unique(keys)), -1), np.int64)
    _, opening = np.unique(first, return_index=True)
    again = np.ones(len(first), bool)
    again[opening] = False
    again &= mask(pc.is_valid(keys))
    if again.any():
        earlier = dict(zip(first[opening].tolist(), opening.tolist(), strict=True))
        yield table.wrong(
            "repeated-id",
            again,
            name,
            "each once",
            mend,
            lambda place: f"{shown(keys[place])} again (first in row {table.rows[earlier[int(first[place])]]})",
        )
    return again


def shown(key: Any) -> str:
    """A key as sentences show it; parts joined by a unit separator are an id and what it belongs to."""
    return " of graph ".join(reversed([repr(part) for part in str(key).split("\x1f")]))


def is_number(table: Table, name: str) -> bool:
    """Whether at least half of the given cells of a column are numbers."""
    column = table.content[name]
    if not pa.types.is_large_string(column.type):
        kind = column.type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
    words = pc.utf8_trim_whitespace(column)
    number = mask(pc.match_substring_regex(words, NUMBER))
    given = ~mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE, pa.large_string()))) & mask(pc.is_valid(words))
    return bool(number.any()) and 2 * int(number.sum()) >= int(given.sum())


def numbers(table: Table, name: str, missing: str | None = "fault") -> Reading[np.ndarray]:
    """(n,) float64, NaN where a cell holds no finite number. ``missing`` cells are a "fault", "harmless" or (None) not told."""
    column = table.content[name].combine_chunks()
    kind = column.type
    if pa.types.is_large_string(kind):
        values, empty = yield from _numbers_of_words(table, name, column)
    elif is_number(table, name):
        empty = mask(pc.is_null(column))
        values = np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan), np.float64).copy()
        nan = np.isnan(values) & ~empty
        if pa.types.is_floating(kind):
            empty = empty | nan
    else:
        yield _no_numbers(table, name, str(kind))
        return np.full(len(table), np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        yield table.wrong("not-finite", infinite, name, "a finite number", "Replace it or drop the row.")
        values[infinite] = np.nan
    if empty.any() and missing is not None:
        yield table.wrong(
            "missing-number",
            empty,
            name,
            "a finite number",
            "It counts as missing." if missing == "harmless" else "Fill it or drop the row.",
            lambda place: _empty(column, place),
            missing == "harmless",
        )
    return values


def _empty(column: Any, place: int) -> str:
    return cell(column, place) if column[place].is_valid else "an empty cell"


def _no_numbers(table: Table, name: str, what: str) -> Faults:
    return Faults(
        "words-for-numbers",
        table.file,
        f"a column of {what}",
        "numbers",
        "Encode it, or name the columns to use in the data's options.",
        column=name,
    )


def _numbers_of_words(table: Table, name: str, column: Any) -> Reading[tuple[np.ndarray, np.ndarray]]:
    """(n,) float64, NaN where there is no number; (n,) bool where the cell is empty."""
    words = pc.utf8_trim_whitespace(column)
    values = np.full(len(table), np.nan)
    if not is_number(table, name) and mask(pc.is_valid(words)).any():
        given = words.drop_null()
        examples = ", ".join(cell(given, place) for place in range(min(3, len(given))))
        lower = pc.utf8_lower(given)
        if not mask(pc.is_in(lower, value_set=pa.array([*NO_VALUE, "inf", "-inf"], pa.large_string()))).all():
            yield _no_numbers(table, name, f"words ({examples})")
            return values, np.zeros(len(table), bool)
    lower = pc.utf8_lower(words)
    number = mask(pc.match_substring_regex(words, NUMBER))
    empty = mask(pc.is_null(words)) | mask(pc.is_in(lower, value_set=pa.array(NO_VALUE, pa.large_string())))
    infinite = mask(pc.match_substring_regex(lower, "^[+-]?inf(inity)?$"))
    values[number] = np.asarray(words.filter(pa.array(number)).cast(pa.float64()), np.float64)
    values[infinite] = np.inf
    odd = ~(number | empty | infinite)
    if odd.any():
        comma = odd & mask(pc.match_substring_regex(words, DECIMAL_COMMA))
        unit = odd & ~comma & mask(pc.match_substring_regex(words, WITH_UNIT))
        for kind, places, expected, mend in (
            ("decimal-comma", comma, "a number with a decimal point", "Write a point for the comma."),
            ("number-with-unit", unit, "a number alone", "Take the unit away; the heading may name it."),
            ("not-a-number", odd & ~comma & ~unit, "a number", "Mend the cell or leave it empty."),
        ):
            if places.any():
                yield table.wrong(kind, places, name, expected, mend)
    return values, empty


def times(table: Table, name: str) -> Reading[np.ndarray]:
    """(n,) float64, NaN where a cell holds no time: numbers as they are; dates and timestamps in days since 1970.

    Text holds numbers, or ISO 8601 (2024-05-31, 2024-05-31 17:00:05, with Z or +02:00); the form of most cells is the column's.
    """
    column = table.content[name].combine_chunks()
    if pa.types.is_temporal(column.type):
        if pa.types.is_time(column.type) or pa.types.is_duration(column.type):
            yield _no_numbers(table, name, str(column.type))
            return np.full(len(table), np.nan)
        stamps = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
        empty = mask(pc.is_null(stamps))
        values = np.where(empty, np.nan, np.asarray(stamps.fill_null(0), np.float64)) / DAY
    elif pa.types.is_large_string(column.type) and not is_number(table, name):
        values, empty = yield from _dates_of_words(table, name, column)
    else:
        values = yield from numbers(table, name, None)
        empty = mask(pc.is_null(column))
        if pa.types.is_large_string(column.type):
            empty |= mask(pc.is_in(pc.utf8_lower(column), value_set=pa.array(NO_VALUE, pa.large_string())))
        elif pa.types.is_floating(column.type):
            empty |= mask(pc.is_nan(column))
    if empty.any():
        yield table.wrong(
            "missing-time", empty, name, "a time in every row", "Fill it or drop the row, or leave the whole column out."
        )
    return values


def _dates_of_words(table: Table, name: str, column: Any) -> Reading[tuple[np.ndarray, np.ndarray]]:
    words = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"(\.[0-9]{6})[0-9]{1,3}", r"\1")
    empty = mask(pc.is_null(words)) | mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE, pa.large_string())))
    date = mask(pc.match_substring_regex(words, DATE))
    zoned = (
        date & mask(pc.match_substring_regex(words, r"(Z|[+-][0-9]{2}:?[0-9]{2})$")) & mask(pc.match_substring(words, ":"))
    )
    values = np.full(len(table), np.nan)
    for places, kind in ((date & ~zoned, pa.timestamp("us")), (zoned, pa.timestamp("us", "UTC"))):
        where = np.flatnonzero(places)
        values[where] = _cast(words.take(pa.array(where)), kind)
    odd = ~empty & np.isnan(values)
    if odd.any():
        yield table.wrong(
            "not-a-time",
            odd,
            name,
            "a time in the column's form" if date.any() else "seconds as a number, or a time such as 2024-05-31 17:00:05",
            "Mend the cell." if date.any() else "Write times as numbers or in ISO 8601.",
        )
    return values, empty


def _cast(words: Any, kind: pa.DataType) -> np.ndarray:
    """(k,) float64 days since 1970; NaN for a date that does not exist, found by halving."""
    try:
        return np.asarray(words.cast(kind).cast(pa.int64()), np.float64) / DAY
    except pa.ArrowInvalid:
        if len(words) == 1:
            return np.full(1, np.nan)
        half = len(words) // 2
        return np.concatenate([_cast(words[:half], kind), _cast(words[half:], kind)])
