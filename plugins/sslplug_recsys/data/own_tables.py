"""A user's own tables: Parquet, CSV, TSV and RecBole's typed text as pyarrow tables, and what their columns mean.

Rows count from 1, without the header. RecBole's header names a type with each column: ``user_id:token``, ``genre:token_seq``,
``rating:float``, ``vector:float_seq``; values of a sequence are separated by blanks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from sslplug.errors import DataError

_TYPED = {".inter", ".item", ".user"}
_RECBOLE = {"token": pa.string(), "token_seq": pa.string(), "float": pa.float64(), "float_seq": pa.string()}


@dataclass(frozen=True)
class Table:
    """A table with what reports call it.

    sequences  {text column: what separates its values}, from a typed header
    """

    source: str
    content: pa.Table
    sequences: dict[str, str]

    def column(self, name: str) -> pa.ChunkedArray:
        """A column; DataError with the names there are."""
        if name not in self.content.column_names:
            raise DataError(
                f"{self.source} has no column {name!r}; it has {', '.join(self.content.column_names)}. Name it in data.columns."
            )
        return self.content[name]


def read_table(file: Path) -> Table:
    """The table of a file, by its suffix. Raises DataError with what pyarrow found wrong, and where."""
    sequences: dict[str, str] = {}
    try:
        if file.suffix == ".parquet":
            content = pq.read_table(file)
        elif file.suffix in {".csv", ".tsv"} | _TYPED:
            content, sequences = _read_text(file)
        else:
            raise DataError(
                f"{file}: {file.suffix or 'no suffix'}; expected .parquet, .csv, .tsv, or RecBole's .inter, .item, .user "
                "(interactions also in LightGCN's .txt)."
            )
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise DataError(f"{file}: {error}; mend the file and try again.") from error
    if not content.num_rows:
        raise DataError(f"{file} holds no row; expected one row an interaction, a user or an item.")
    twice = [name for name in content.column_names if content.column_names.count(name) > 1]
    if twice:
        raise DataError(f"{file}: two columns are called {twice[0]!r}; rename one.")
    return Table(str(file), content, sequences)


def _read_text(file: Path) -> tuple[pa.Table, dict[str, str]]:
    typed = file.suffix in _TYPED
    parse = arrow_csv.ParseOptions(
        delimiter="," if file.suffix == ".csv" else "\t", quote_char=False if typed else '"', newlines_in_values=not typed
    )
    with file.open(encoding="utf-8") as lines:
        header = lines.readline().rstrip("\r\n")
    if not header:
        raise DataError(f"{file} is empty; expected a header and rows.")
    if not typed:
        return arrow_csv.read_csv(file, parse_options=parse), {}
    names, kinds = [], {}
    for field in header.split("\t"):
        name, colon, kind = field.rpartition(":")
        if not colon or kind not in _RECBOLE:
            raise DataError(
                f"{file}, header: {field!r}; expected name:type with a type of {', '.join(_RECBOLE)}, columns separated by tabs."
            )
        names.append(name)
        kinds[name] = kind
    content = arrow_csv.read_csv(
        file,
        arrow_csv.ReadOptions(column_names=names, skip_rows=1),
        parse,
        arrow_csv.ConvertOptions(column_types={name: _RECBOLE[kind] for name, kind in kinds.items()}),
    )
    return content, {name: " " for name, kind in kinds.items() if kind.endswith("_seq")}


def names_of(table: Table, name: str) -> np.ndarray:
    """(n,) words: the ids of a column. DataError with the row for a missing id, a number that is no whole one, a negative one."""
    column = table.column(name)
    kind = column.type
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
        _refuse(table, name, ~np.isfinite(values), "missing or infinite; every row needs an id")
        _refuse(table, name, values != np.round(values), "no whole number; ids are words or whole numbers")
        column = pa.chunked_array([pa.array(values.astype(np.int64))])
        kind = column.type
    if pa.types.is_integer(kind):
        values = column.cast(pa.int64()).fill_null(-1).to_numpy()
        missing = column.is_null().to_numpy()
        _refuse(table, name, missing, "missing; every row needs an id")
        _refuse(table, name, values < 0, "negative; such numbers usually mark a missing id. Remove the row, or use words")
        words: np.ndarray = values.astype(str).astype(object)
        return words
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind) and not pa.types.is_dictionary(kind):
        raise DataError(f"{table.source}, column {name!r} holds {kind}; expected ids: words or whole numbers.")
    words = np.array(["" if word is None else word for word in column.cast(pa.string()).to_pylist()], dtype=object)
    _refuse(table, name, words == "", "missing; every row needs an id")
    return words


def numbers_of(table: Table, name: str) -> np.ndarray:
    """(n,) float64, NaN where missing; dates and timestamps in days since 1970. DataError with the row for an infinity."""
    column = table.column(name)
    kind = column.type
    try:
        if pa.types.is_temporal(kind):
            stamps = column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64())
            return np.asarray(stamps.fill_null(np.nan).to_numpy() / 86_400e6)
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{table.source}, column {name!r}: {error}; expected numbers, dates or timestamps.") from error
    _refuse(table, name, np.isinf(values), "an infinity; expected a finite number")
    return values


def times_of(table: Table, name: str) -> np.ndarray:
    """(n,) float64 times, all given."""
    values = numbers_of(table, name)
    _refuse(table, name, np.isnan(values), "missing; every interaction needs a time, or leave the whole column out")
    return values


def _refuse(table: Table, name: str, wrong: np.ndarray, why: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
        raise DataError(f"{table.source}, row {int(rows[0]) + 1}, column {name!r}: {why}{more}.")
