"""ARFF, the format of OpenML's tables: declared columns, then comma-separated rows with single quotes."""

from __future__ import annotations

import re
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sslplug.errors import DataError

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"[^"]*"|\S+)\s+(.+?)\s*$""", re.IGNORECASE)
_WORD = re.compile(r"""'((?:[^'\\]|\\.)*)'|"([^"]*)"|([^\s,]+)""")
_NUMBERS = ("numeric", "real", "integer")


def read_arff(file: IO[bytes], where: str) -> pa.Table:
    """The table: numeric attributes as float64, nominal ones as dictionaries of words, strings and dates as words.

    Raises DataError with the row and column of a value that its attribute does not allow; sparse rows are refused.
    """
    try:
        lines = file.read().decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error.reason} at byte {error.start}); convert the file.") from error
    names: list[str] = []
    kinds: list[str] = []
    start = None
    for number, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("@attribute"):
            found = _ATTRIBUTE.match(text)
            if found is None:
                raise DataError(f"{where}, line {number + 1}: {text!r}; expected '@attribute name type'.")
            names.append(found[1].strip("'\""))
            kinds.append(found[2])
        elif text.lower().startswith("@data"):
            start = number + 1
            break
    if start is None or not names:
        raise DataError(f"{where}: {len(names)} @attribute lines and no @data line; expected both.")
    body = [line for line in lines[start:] if line.strip() and not line.lstrip().startswith("%")]
    if body and body[0].lstrip().startswith("{"):
        raise DataError(f"{where}, row 1: sparse ARFF; expected comma-separated rows. Convert it to CSV or Parquet.")
    if not body:
        raise DataError(f"{where}: no row after @data; expected at least one.")
    return _typed(_cells(body, names, where), kinds, where)


def _cells(body: list[str], names: list[str], where: str) -> pa.Table:
    ragged: list[tuple[int, int]] = []

    def refuse(row: csv.InvalidRow) -> str:
        ragged.append((int(row.number or 0), row.actual_columns))
        return "skip"

    table = csv.read_csv(
        pa.BufferReader("\n".join(body).encode()),
        read_options=csv.ReadOptions(use_threads=False, column_names=names),
        parse_options=csv.ParseOptions(quote_char="'", escape_char="\\", invalid_row_handler=refuse),
        convert_options=csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=False),
    )
    if ragged:
        raise DataError(f"{where}, row {ragged[0][0]}: {ragged[0][1]} cells; expected {len(names)}, one an attribute.")
    return table


def _typed(table: pa.Table, kinds: list[str], where: str) -> pa.Table:
    columns = []
    for name, kind in zip(table.column_names, kinds, strict=True):
        cells = pc.utf8_trim_whitespace(table[name].combine_chunks())
        cells = pc.if_else(pc.equal(cells, "?"), pa.scalar(None, pa.string()), cells)
        if kind.lower().startswith(_NUMBERS):
            columns.append(_numbers(cells, name, where))
        elif kind.startswith("{"):
            words = pa.array(["".join(parts) for parts in _WORD.findall(kind.strip("{} "))])
            codes = pc.index_in(cells, value_set=words)
            bad = pc.and_(pc.is_null(codes), pc.is_valid(cells)).to_pylist()
            if any(bad):
                row = bad.index(True)
                raise DataError(
                    f"{where}, row {row + 1}, column {name!r}: {cells[row].as_py()!r} is not one of the declared "
                    f"{', '.join(words.to_pylist()[:10])}; mend the value or the declaration."
                )
            columns.append(pa.DictionaryArray.from_arrays(codes, words))
        else:
            columns.append(cells)
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _numbers(cells: pa.Array, name: str, where: str) -> pa.Array:
    try:
        return cells.cast(pa.float64())
    except pa.ArrowInvalid as error:
        for row, cell in enumerate(cells.to_pylist()):
            try:
                float(cell or 0)
            except ValueError:
                raise DataError(
                    f"{where}, row {row + 1}, column {name!r}: {cell!r}; expected a number, as declared."
                ) from error
        raise DataError(f"{where}, column {name!r}: {error}; expected numbers, as declared.") from error
