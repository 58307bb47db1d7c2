"""Files and in-memory objects become pyarrow tables; what cannot be read is told with file, row and column.

Text files are read as words; :mod:`sslplug_tabular.data.types` decides what they mean. Rows count from 1, without the header.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc, parquet

from sslplug.contracts import Faults, Reading, Refused, finished
from sslplug.contracts.tables import Table, named_columns, read_text
from sslplug.errors import DataError
from sslplug_tabular.data.arff import read_arff

_UNPACK: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_TEXT = {".csv": ",", ".data": ",", ".txt": ",", ".tsv": "\t"}
_SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".arff", ".parquet", ".feather", ".arrow")


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: that of ``table.csv.xz`` is ``.csv``."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in _UNPACK else path.suffix.lower()


def read_table(path: Path, separator: str | None = None, names: Sequence[str] | None = None) -> pa.Table:
    """The content of :func:`table_reading`. DataError where it is not whole."""
    return finished(table_reading(path, separator, names)).content


def table_reading(path: Path, separator: str | None = None, names: Sequence[str] | None = None) -> Reading[Table]:
    """The table in a file: CSV and its kin and ARFF (plain or packed with xz, gzip, bzip2), Parquet, Arrow, Feather.

    separator  of a text file; None: what its suffix says
    names      the columns of a text file without a header line

    Missing, empty and damaged files are refused; ragged rows, and columns without a name of their own, are told and left out.
    """
    suffix = suffix_of(path)
    if not path.is_file():
        _refuse("no-file", path, "a folder" if path.is_dir() else "nothing there", "a file with a table", "Check the path.")
    if suffix not in _SUFFIXES:
        _refuse(
            "unknown-format", path, f"the suffix {suffix!r}", f"one of {', '.join(_SUFFIXES)}", "Write it in one of these."
        )
    if path.stat().st_size == 0:
        _refuse("empty-file", path, "an empty file", "a table", "Write it again.")
    try:
        if suffix in (".parquet", ".feather", ".arrow"):
            content = parquet.ParquetFile(path).read() if suffix == ".parquet" else _read_arrow(path)
            kept = yield from named_columns(content.column_names, str(path))
            return Table(str(path), without_views(content.select(kept)), np.arange(1, content.num_rows + 1))
        with _UNPACK.get(path.suffix.lower(), open)(path, "rb") as file:
            if suffix == ".arff":
                table = yield from read_arff(file, str(path))
            else:
                table = yield from text_reading(file, str(path), separator or _TEXT[suffix], names)
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError) as error:
        raise unreadable(path, error) from error
    return table


def unreadable(path: Path, error: BaseException) -> Refused:
    """What to raise where a library cannot read a file."""
    suffix = suffix_of(path)[1:]
    found = f"no readable {'Parquet' if suffix == 'parquet' else suffix} file ({_tidy(error)})"
    return Refused(Faults("unreadable", str(path), found, "a whole file", "Get or write it again."))


def _refuse(kind: str, path: Path, found: str, expected: str, mend: str) -> None:
    raise Refused(Faults(kind, str(path), found, expected, mend))


def _read_arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"ARROW1"):
        return ipc.open_file(pa.memory_map(str(path))).read_all()
    return ipc.open_stream(pa.memory_map(str(path))).read_all()


def read_csv(file: IO[bytes], where: str, separator: str = ",", names: Sequence[str] | None = None) -> pa.Table:
    """The content of :func:`text_reading`. DataError where it is not whole."""
    return finished(text_reading(file, where, separator, names)).content


def text_reading(file: IO[bytes], where: str, separator: str, names: Sequence[str] | None = None) -> Reading[Table]:
    """All columns of an opened text table as words; "" where a cell is empty."""
    table = yield from read_text(file, where, separator, names=names)
    filled = {name: table.content[name].fill_null("") for name in table.content.column_names}
    return Table(table.file, pa.table(filled), table.rows)


def from_memory(value: Any) -> pa.Table:
    """A table of an array (n, f), a pandas or other frame, or a pyarrow table. Array columns are called x0, x1, ...

    Raises DataError where it is no table, where a column mixes types (with row and value), or where names repeat.
    """
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
    for faults in named_columns(names, where):
        if faults.kind == "repeated-column":
            raise Refused(faults)


def _tidy(error: BaseException) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))[:300]
