"""Tables from Parquet and CSV files, refused in sentences where they cannot be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from sslplug.errors import DataError


def table_path(folder: Path, stem: str) -> Path:
    """The Parquet or CSV file called ``stem`` in a folder; DataError where there is neither."""
    for suffix in (".parquet", ".csv"):
        if (folder / f"{stem}{suffix}").exists():
            return folder / f"{stem}{suffix}"
    raise DataError(f"{folder}: neither {stem}.parquet nor {stem}.csv; expected one of them.")


def read_table(path: Path) -> pa.Table:
    """The table in a file; empty CSV cells are missing. DataError where it is unreadable or names a column twice."""
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else _read_csv(path)
    except (pa.ArrowException, OSError) as error:
        reason = "".join(c if c.isprintable() else "?" for c in str(error))[:300]
        expected = (
            "commas between cells, a first line of names, as many cells in every line" if path.suffix == ".csv" else ""
        )
        raise DataError(
            f"{path}: not a readable {path.suffix[1:]} table ({reason}); expected {expected or 'a Parquet file'}."
        ) from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are named {twice[0]!r}; expected each name once. Rename one of them.")
    return table


def _read_csv(path: Path) -> pa.Table:
    empty_is_missing = csv.ConvertOptions(null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    return csv.read_csv(path, convert_options=empty_is_missing)


def require(path: Path, table: pa.Table, *names: str) -> None:
    """DataError where the table lacks one of these columns."""
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}; it has {', '.join(table.column_names)}. Rename it, or "
            "name yours in data.columns (--set data.columns.id=name)."
        )
