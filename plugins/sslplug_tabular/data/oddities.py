"""What training goes on with but its owner may not have meant: constants, ids that repeat, codes for "missing", spellings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading
from sslplug.contracts.cells import repeats
from sslplug.contracts.oddities import NO_WORDS, far_sentinels, spelt_alike
from sslplug.contracts.tables import Table, mask
from sslplug_tabular.data.encoding import TableEncoding
from sslplug_tabular.data.types import NAMING, ColumnType, called_id
from sslplug_tabular.data.words import as_numbers, as_words, is_number, is_text, looks_like_date, plain, tidy

SET_ASIDE = {"constant": "constant-column", "no value": "empty-column", **dict.fromkeys(NAMING, "row-names")}
"""How the reasons of columns begin that are left out though nobody asked for it."""
_ZONE = r":\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$"
EXACT, MOST_DIGITS = 2.0**53, 1e20
"""Whole numbers between these have digits that a float64 loses."""


def repeated_rows(table: Table) -> Reading[None]:
    """Rows that repeat an earlier row in every column: on two sides of a split they are a leak."""
    if len(table) < 2 or not table.content.num_columns:
        return
    key = np.zeros(len(table), np.int64)
    for name in table.content.column_names:
        values = plain(table.content[name].combine_chunks())
        if pa.types.is_nested(values.type):
            return
        codes = pc.dictionary_encode(values, null_encoding="encode").indices.to_numpy().astype(np.int64)
        _, key = np.unique(key * (int(codes.max()) + 1) + codes, return_inverse=True)
        if int(key.max()) + 1 == len(key):
            return
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    again = first[place] != np.arange(len(key))
    yield table.wrong(
        "repeated-row",
        again,
        None,
        "each row once",
        "It stays; on both sides of a split it makes scores look better. Drop it, or split by data.split.group.",
        lambda row: f"all cells of row {table.rows[first[place[row]]]} again",
        harmless=True,
    )


def strange_columns(types: Sequence[ColumnType], file: str) -> Reading[None]:
    """Columns that are left out though nobody asked for it."""
    for column in types:
        kind = next((kind for begin, kind in SET_ASIDE.items() if column.why.startswith(begin)), None)
        if column.kind != "ignore" or kind is None:
            continue
        names = ", and names the rows of embeddings" if kind == "row-names" else ""
        yield Faults(
            kind,
            file,
            _in_words(column.why),
            "a column whose values come again and differ",
            f"It is left out{names}; keep it with data.types.{column.name}: numeric or categorical.",
            column=column.name,
            harmless=True,
        )


def _in_words(why: str) -> str:
    """Why a column is set aside, as what was found."""
    for begin, words in (("constant", "one value"), ("names the rows", "a name for each row"), ("no value", "no value")):
        if why.startswith(begin):
            return words + why.removeprefix(begin)
    return f"a column that {why}" if why.startswith("counts") else f"a column {why}"


def id_columns(types: Sequence[ColumnType]) -> list[str]:
    """Columns that are meant to name the rows."""
    return [column.name for column in types if called_id(column.name) or column.why.startswith("names the rows")]


def repeated_ids(part: Table, names: Sequence[str]) -> Reading[None]:
    """Ids that stood in an earlier row, where nearly every row has one of its own."""
    for name in names:
        words = as_words(plain(part.content[name].combine_chunks()))
        present = len(words) - words.null_count
        if present and pc.count_distinct(words).as_py() >= 0.9 * present:
            for faults in repeats(
                part, name, words.cast(pa.large_string()), "Are these two rows of one thing? Split by it."
            ):
                yield Faults(**{**vars(faults), "harmless": True})


def strange_cells(part: Table, encoding: TableEncoding) -> Reading[None]:
    """Cells that mean something else than they are read as."""
    for column in encoding.numbers:
        cells = plain(tidy(part.content[column.name], encoding.missing))
        if column.kind == "numeric":
            yield from _strange_numbers(part, column.name, cells)
        if column.kind == "date" and is_text(cells.type):
            zoned = mask(pc.match_substring_regex(cells, _ZONE))
            bare = looks_like_date(cells) & ~zoned & mask(pc.match_substring(cells, ":"))
            if zoned.any() and bare.any():
                expected = "a time zone in every cell or in none"
                yield part.wrong("mixed-time-zones", bare, column.name, expected, "It is read as UTC.", harmless=True)
    for word_column in encoding.words:
        words = as_words(tidy(part.content[word_column.name], encoding.missing))
        yield from _strange_words(part, word_column.name, words)


def _strange_numbers(part: Table, name: str, cells: pa.Array) -> Reading[None]:
    if not (is_number(cells.type) or is_text(cells.type)):
        return
    values, _ = as_numbers(cells)
    rounded = (np.abs(values) >= EXACT) & (np.abs(values) < MOST_DIGITS) & (not pa.types.is_floating(cells.type))
    if rounded.any():
        mend = "Its last digits are lost; a long id is no number: leave the column out, or set its type to categorical."
        yield part.wrong("rounded-number", rounded, name, "a number below 2^53", mend, harmless=True)
    for sentinel, places, others in far_sentinels(values) if not rounded.any() else ():
        mend = f'It counts as a number; if it means "missing", add "{sentinel:g}" to data.missing or empty the cell.'
        yield part.wrong("number-for-missing", places, name, f"a number near the others, {others}", mend, harmless=True)


def _strange_words(part: Table, name: str, words: pa.Array) -> Reading[None]:
    empty = mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_WORDS, words.type)))
    if empty.any() and not empty.all():
        mend = "It counts as a category of its own; if it means that there is none, add it to data.missing."
        yield part.wrong("word-for-missing", empty, name, "a category, or an empty cell", mend, harmless=True)
    damaged = mask(pc.match_substring(words, "\ufffd"))
    if damaged.any():
        mend = "Some were lost when the file was written; export it again."
        yield part.wrong("damaged-characters", damaged, name, "letters as they were", mend, harmless=True)
    alike = spelt_alike(pc.unique(words.drop_null()).to_pylist())
    if alike:
        places = mask(pc.is_in(words, value_set=pa.array(list(alike), words.type)))
        yield part.wrong(
            "categories-alike",
            places,
            name,
            "one spelling of each category",
            "They are kept apart; write them alike if they are one.",
            lambda row: f"{words[row].as_py()!r} beside {alike[words[row].as_py()]!r}",
            harmless=True,
        )
