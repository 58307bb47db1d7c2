"""Files and in-memory objects become pyarrow tables; what cannot be read is refused with file, row and column.

Text files are read as words; :mod:`sslplug_tabular.data.types` decides what they mean. Rows count from 1, without the header.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv, ipc, parquet

from sslplug.errors import DataError
from sslplug_tabular.data.arff import read_arff

_UNPACK: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_TEXT = {".csv": ",", ".data": ",", ".txt": ",", ".tsv": "\t"}
_SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".arff", ".parquet", ".feather", ".arrow")


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: that of ``table.csv.xz`` is ``.csv``."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in _UNPACK else path.suffix.lower()


def read_table(path: Path, separator: str | None = None, names: Sequence[str] | None = None) -> pa.Table:
    """The table in a file: CSV and its kin and ARFF (plain or packed with xz, gzip, bzip2), Parquet, Arrow, Feather.

    separator  of a text file; None: what its suffix says
    names      the columns of a text file without a header line

    Raises DataError where the file is missing, empty, damaged, ragged, or names a column twice.
    """
    suffix = suffix_of(path)
    if not path.is_file():
        raise DataError(f"{path}: {'a folder' if path.is_dir() else 'not there'}; expected a file with a table.")
    if suffix not in _SUFFIXES:
        raise DataError(f"{path}: unknown format {suffix!r}; expected one of {', '.join(_SUFFIXES)}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected a table.")
    try:
        if suffix == ".parquet":
            table = parquet.ParquetFile(path).read()
        elif suffix in (".feather", ".arrow"):
            table = _read_arrow(path)
        else:
            with _UNPACK.get(path.suffix.lower(), open)(path, "rb") as file:
                if suffix == ".arff":
                    table = read_arff(file, str(path))
                else:
                    table = read_csv(file, str(path), separator or _TEXT[suffix], names)
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path}: not a readable {suffix[1:]} file ({_tidy(error)}); get or write it again.") from error
    refuse_repeats(table.column_names, str(path))
    return without_views(table)


def _read_arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"ARROW1"):
        return ipc.open_file(pa.memory_map(str(path))).read_all()
    return ipc.open_stream(pa.memory_map(str(path))).read_all()


def read_csv(file: IO[bytes], where: str, separator: str = ",", names: Sequence[str] | None = None) -> pa.Table:
    """All columns of an opened text table as words; rows that lack or add cells are refused with their number."""
    content = pa.py_buffer(file.read())
    ragged: list[tuple[int, int, int]] = []

    def refuse(row: Any) -> str:
        ragged.append((-1 if row.number is None else int(row.number), row.actual_columns, row.expected_columns))
        return "skip"

    read = csv.ReadOptions(use_threads=False, column_names=None if names is None else list(names))
    parse = csv.ParseOptions(delimiter=separator, invalid_row_handler=refuse, newlines_in_values=True)
    try:
        header = csv.open_csv(
            pa.BufferReader(content), read_options=read, parse_options=csv.ParseOptions(delimiter=separator)
        ).schema.names
    except pa.ArrowInvalid as error:
        # The header is checked again below, with the row's number, unless nothing at all could be read.
        if "Expected" not in str(error):
            raise
        header = None
    if header is not None:
        refuse_repeats(header, where)
    words = csv.ConvertOptions(
        column_types=None if header is None else {name: pa.string() for name in header},
        strings_can_be_null=False,
    )
    table = csv.read_csv(pa.BufferReader(content), read_options=read, parse_options=parse, convert_options=words)
    if ragged:
        number, found, expected = ragged[0]
        row = number if names is not None else number - 1
        raise DataError(
            f"{where}, row {row}: {found} cells; expected {expected}, as in the first line ({len(ragged)} such rows). "
            f"Mend the row, quote cells that hold {separator!r}, or set data.separator."
        )
    if header is None:
        refuse_repeats(table.column_names, where)
    return table


def from_memory(value: Any) -> pa.Table:
    """A table of an array (n, f), a pandas or other frame, or a pyarrow table. Array columns are called x0, x1, ...

    Raises DataError where it is no table, where a column mixes types (with row and value), or where names repeat.
    """
    import numpy as np

    where = "data in memory"
    if isinstance(value, pa.Table):
        table = value
    elif isinstance(value, pa.RecordBatch):
        table = pa.Table.from_batches([value])
    elif isinstance(value, np.ndarray):
        if value.ndim != 2:
            raise DataError(f"{where}: an array of shape {value.shape}; expected (rows, columns).")
        table = _from_columns({f"x{number}": value[:, number] for number in range(value.shape[1])}, where)
    elif type(value).__module__.partition(".")[0] == "pandas":
        refuse_repeats([str(name) for name in value.columns], where)
        table = _from_columns({str(name): value[name] for name in value.columns}, where)
    else:
        try:
            table = pa.table(value)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"{where}: a {type(value).__name__} ({_tidy(error)}); expected an array (rows, columns), a data frame or a "
                "pyarrow table."
            ) from error
    refuse_repeats(table.column_names, where)
    return without_views(table)


def without_views(table: pa.Table) -> pa.Table:
    """The table with string views as plain strings: few of pyarrow's functions take views."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.large_string()))
    return table


def _from_columns(columns: dict[str, Any], where: str) -> pa.Table:
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, OverflowError, ValueError) as error:
            row, found, usual = _odd_one(list(column))
            raise DataError(
                f"{where}, row {row + 1}, column {name!r}: {found!r} is a {type(found).__name__} among values of type {usual}; "
                "expected one type a column. Mend the value or turn the column into words."
            ) from error
    return pa.table(arrays)


def _odd_one(values: list[Any]) -> tuple[int, Any, str]:
    """The first value whose type is not that of the first present value: (position, value, usual type)."""
    present = [(row, v) for row, v in enumerate(values) if v is not None and v == v]
    usual = type(present[0][1])
    row, found = next(((row, v) for row, v in present if type(v) is not usual), present[0])
    return row, found, usual.__name__


def refuse_repeats(names: Sequence[str], where: str) -> None:
    """DataError where two columns have one name."""
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if name in seen:
            raise DataError(
                f"{where}, column {place}: the name {name!r} comes twice; expected each once. Rename one of them."
            )
        seen.add(name)


def _tidy(error: BaseException) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))[:300]
