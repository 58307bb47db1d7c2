"""ARFF, the format of OpenML's tables: declared columns, then comma-separated rows with single quotes."""

from __future__ import annotations

import re
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.tables import Table, mask, named_columns

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"[^"]*"|\S+)\s+(.+?)\s*$""", re.IGNORECASE)
_WORD = re.compile(r"""'((?:[^'\\]|\\.)*)'|"([^"]*)"|([^\s,]+)""")
_NUMBERS = ("numeric", "real", "integer")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^(?i:[+-]?inf(inity)?|nan)$"


def read_arff(file: IO[bytes], where: str) -> Reading[Table]:
    """The table: numeric attributes as float64, nominal ones as dictionaries of words, strings and dates as words.

    A value that its attribute does not allow is told and counts as missing; sparse rows are refused.
    """
    try:
        lines = file.read().decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        found = f"not UTF-8 text ({error.reason} at byte {error.start})"
        raise Refused(Faults("not-utf-8", where, found, "text in UTF-8", "Convert the file.")) from error
    names: list[str] = []
    kinds: list[str] = []
    start = None
    for number, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("@attribute"):
            found_ = _ATTRIBUTE.match(text)
            if found_ is None:
                raise Refused(
                    Faults(
                        "arff-attribute",
                        f"{where}, line {number + 1}",
                        repr(text),
                        "'@attribute name type'",
                        "Mend the line.",
                    )
                )
            names.append(found_[1].strip("'\""))
            kinds.append(found_[2])
        elif text.lower().startswith("@data"):
            start = number + 1
            break
    if start is None or not names:
        counted = f"{len(names)} @attribute lines and {'no' if start is None else 'a'} @data line"
        raise Refused(Faults("arff-heading", where, counted, "both", "Get or write it again."))
    body = [line for line in lines[start:] if line.strip() and not line.lstrip().startswith("%")]
    if body and body[0].lstrip().startswith("{"):
        raise Refused(
            Faults("arff-sparse", where, "sparse ARFF", "comma-separated rows", "Convert it to CSV or Parquet.", [1])
        )
    if not body:
        raise Refused(Faults("no-rows", where, "no row after @data", "at least one", "Get or write it again."))
    kept = yield from named_columns(names, where)
    table = yield from _cells(body, names, where)
    return (yield from _typed(table, kept, kinds))


def _cells(body: list[str], names: list[str], where: str) -> Reading[Table]:
    ragged: list[tuple[int, int]] = []

    def skip(row: csv.InvalidRow) -> str:
        ragged.append((int(row.number or 0), row.actual_columns))
        return "skip"

    places = [str(place) for place in range(len(names))]
    table = csv.read_csv(
        pa.BufferReader("\n".join(body).encode()),
        read_options=csv.ReadOptions(use_threads=False, column_names=places),
        parse_options=csv.ParseOptions(quote_char="'", escape_char="\\", invalid_row_handler=skip),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False),
    )
    if ragged:
        yield Faults(
            "ragged-row",
            where,
            lambda k: f"{ragged[k][1]} cells",
            f"{len(names)}, one an attribute",
            "Mend the row.",
            [number for number, _ in ragged],
        )
    rows = np.delete(np.arange(1, len(table) + len(ragged) + 1), [number - 1 for number, _ in ragged])
    return Table(where, table.rename_columns(names), rows)


def _typed(table: Table, kept: list[int], kinds: list[str]) -> Reading[Table]:
    columns: dict[str, Any] = {}
    names = table.content.column_names
    words_table = Table(table.file, table.content.select(kept), table.rows)
    for place in kept:
        name, kind = names[place], kinds[place]
        cells = pc.utf8_trim_whitespace(table.content.column(place).combine_chunks())
        cells = pc.if_else(pc.equal(cells, "?"), pa.scalar(None, pa.string()), cells)
        if kind.lower().startswith(_NUMBERS):
            bad = mask(pc.is_valid(cells)) & ~mask(pc.match_substring_regex(cells, _NUMBER))
            if bad.any():
                yield words_table.wrong(
                    "not-a-number", bad, name, "a number, as declared", "Mend the value or the declaration."
                )
            columns[name] = pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), cells).cast(pa.float64())
        elif kind.startswith("{"):
            words = pa.array(["".join(parts) for parts in _WORD.findall(kind.strip("{} "))])
            codes = pc.index_in(cells, value_set=words)
            bad = mask(pc.is_null(codes)) & mask(pc.is_valid(cells))
            if bad.any():
                declared = ", ".join(words.to_pylist()[:10])
                yield words_table.wrong(
                    "undeclared-word", bad, name, f"one of the declared {declared}", "Mend the value or the declaration."
                )
            columns[name] = pa.DictionaryArray.from_arrays(codes, words)
        else:
            columns[name] = cells
    return Table(table.file, pa.table(columns), table.rows)
