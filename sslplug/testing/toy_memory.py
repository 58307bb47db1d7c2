"""The toy domain's data from memory: a table of numbers, a column a cell, scaled by what was fitted on the rows seen first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.contracts import DataContext, Options
from sslplug.errors import DataError
from sslplug.testing.toy_data import Cells


class MemoryOptions(Options):
    """No options: the table says everything."""


def build_memory(options: MemoryOptions, context: DataContext) -> Cells:
    """``context.memory``, a numeric (n, f) array or a pyarrow table, as n rows of f cells of one number.

    Columns are scaled to mean 0 and deviation 1 (constant ones to 0) by this table, or by ``context.fitted``, which also
    says which columns there must be. Raises DataError for anything but finite numbers, and for missing columns.
    """
    names, values = _numbers(context.memory)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise DataError(f"Row {row}, column {names[column]!r}: {values[row, column]}; expected a finite number.")
    return scaled_cells("memory", names, values, context.fitted)


def scaled_cells(
    name: str,
    names: Sequence[str],
    values: np.ndarray,
    fitted: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
    ids: Sequence[str] = (),
) -> Cells:
    """(n, f) finite numbers as n rows of f cells, columns scaled by these rows or by ``fitted``; ``ids``: the rows' names.

    DataError for missing columns.
    """
    if fitted is None:
        fitted = {"columns": list(names), "mean": values.mean(0).tolist(), "deviation": values.std(0).tolist()}
    missing = [name for name in fitted["columns"] if name not in names]
    if missing:
        raise DataError(
            f"The table lacks the columns {', '.join(map(repr, missing))} that the encoder was trained on; it has "
            f"{', '.join(map(repr, names))}. Add them."
        )
    values = values[:, [names.index(name) for name in fitted["columns"]]]
    deviation = np.array(fitted["deviation"])
    scaled = np.divide(values - fitted["mean"], deviation, out=np.zeros_like(values), where=deviation > 1e-12)
    extra = [name for name in names if name not in fitted["columns"]]
    left = [f"columns {', '.join(map(repr, extra))} were not trained on and are left out"] if extra else []
    description = {"name": name, "preprocessing": "standardised columns", "notes": [*notes, *left]}
    return Cells(scaled.astype(np.float32)[:, :, None], {}, description, fitted, ids)


def _numbers(table: Any) -> tuple[list[str], np.ndarray]:
    """Column names and (n, f) float64 values."""
    if isinstance(table, pa.Table):
        names = list(table.column_names)
        columns = [_column(name, table[name]) for name in names]
        return names, np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0))
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype.kind not in "biuf":
        found = f"{table.shape} {table.dtype}" if isinstance(table, np.ndarray) else type(table).__name__
        raise DataError(f"The toy's memory holds {found}; expected a numeric (n, f) array or a pyarrow table.")
    return [f"x{number}" for number in range(table.shape[1])], table.astype(np.float64)


def _column(name: str, column: pa.ChunkedArray) -> np.ndarray:
    try:
        numbers: np.ndarray = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(f"Column {name!r} is no column of numbers: {error}.") from error
    return numbers
