"""The toy domain's data from a file: one reading finds every fault, and training goes by the same reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from pydantic import Field

from sslplug.contracts import DataContext, Fault, Faults, Options, Reading, Refused, finished, listed
from sslplug.contracts.cells import numbers
from sslplug.contracts.tables import mask, read_table
from sslplug.testing.toy_data import Cells
from sslplug.testing.toy_memory import scaled_cells


class FileOptions(Options):
    """A table of numbers."""

    path: Path = Field(description="a .csv or .parquet table, a row an instance, a column a cell")


def build_files(options: FileOptions, context: DataContext) -> Cells:
    """The table as rows of cells of one number. DataError with the first fault that is not harmless."""
    notes: list[str] = []
    names, values, ids = finished(reading(options.path), notes)
    return scaled_cells(options.path.name, names, values, context.fitted, notes, ids)


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with the table."""
    return listed(reading(options.path))


def reading(path: Path) -> Reading[tuple[Sequence[str], np.ndarray, Sequence[str]]]:
    """Column names, (n, f) finite numbers, and the rows' names: their numbers in the file. Rows with an empty cell are left out."""
    table = yield from read_table(path)
    names = table.content.column_names
    columns = []
    for name in names:
        columns.append((yield from numbers(table, name, None)))
    values = np.stack(columns, axis=1)
    empty = np.isin(np.arange(len(table)), np.nonzero([mask(pc.is_null(table.content[name])) for name in names])[1])
    if empty.any():
        yield table.wrong(
            "incomplete-row",
            empty,
            None,
            "a number in each cell",
            "The row is left out.",
            lambda place: "an empty cell",
            True,
        )
    partly = np.isnan(values).any(axis=1)
    if partly.all():
        raise Refused(Faults("no-row", str(path), "no complete row", "rows of numbers", "Fill the table."))
    return names, values[~partly], [str(row) for row in table.rows[~partly]]
