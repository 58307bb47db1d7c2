"""A table of one's own: from a file, whole or streamed, or from memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from sslplug.contracts import DataContext, Fault, Reading, listed
from sslplug.contracts.tables import Table
from sslplug.errors import DataError, UsageError
from sslplug_tabular.data.oddities import id_columns, repeated_ids, repeated_rows, strange_cells, strange_columns
from sslplug_tabular.data.options import FileOptions, MemoryOptions
from sslplug_tabular.data.prepare import Prepared, accepted, preparation, prepare
from sslplug_tabular.data.reading import from_memory, suffix_of, table_reading
from sslplug_tabular.data.source import MemorySource, ParquetSource, TableSource, parts_of
from sslplug_tabular.data.streaming import StreamedTable
from sslplug_tabular.data.table_data import TableData

STREAM_BYTES = 2 * 2**30
"""A Parquet file whose columns unpack to more is streamed, unless ``data.stream`` says otherwise."""


def build_files(options: FileOptions, context: DataContext) -> TableData | StreamedTable:
    """A table in a file; a relative path is looked up from here, then below the data root."""
    path = _path(options, context)
    prepared = accepted(_reading(path, options, context, rest_follows=False))
    return StreamedTable(prepared) if _streamed(path, options) else TableData(prepared)


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a table in a file."""
    return listed(_checked(_path(options, context), options, context))


def _path(options: FileOptions, context: DataContext) -> Path:
    places = [options.path] + ([context.root / options.path] if context.root is not None else [])
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise DataError(f"data.path: {' and '.join(map(str, places))} do not exist; give a file with a table.")
    if options.stream and suffix_of(path) != ".parquet":
        raise UsageError(f"data.stream: {path} is no Parquet file; only Parquet is read piece by piece. Convert it.")
    return path


def _streamed(path: Path, options: FileOptions) -> bool:
    if suffix_of(path) != ".parquet" or not path.is_file() or options.stream is False:
        return False
    return bool(options.stream) or _unpacked(path) > STREAM_BYTES


def _reading(path: Path, options: FileOptions, context: DataContext, rest_follows: bool) -> Reading[Prepared]:
    source: TableSource
    notes = []
    if _streamed(path, options):
        source = ParquetSource(path)
        largest = int((source.starts[1:] - source.starts[:-1]).max(initial=0))
        notes = [f"streamed: {len(source.starts) - 1} row groups of at most {largest} rows; sha256 is that of the file"]
    else:
        table = yield from table_reading(path, options.separator)
        source = MemorySource(table.content, str(path), table.rows)
        yield from repeated_rows(table)
    return (yield from preparation(path.name, source, options, context, None, notes, rest_follows))


def _checked(path: Path, options: FileOptions, context: DataContext) -> Reading[None]:
    """The reading of a table, and of all its cells."""
    prepared = yield from _reading(path, options, context, rest_follows=True)
    yield from strange_columns(prepared.types, str(path))
    names = id_columns(prepared.types)
    for part in parts_of(prepared.source, names) if names else ():
        yield from repeated_ids(part, names)
    looked = set(prepared.source.told(prepared.looked).tolist())
    for part in parts_of(prepared.source, prepared.encoding.sources):
        rest = np.array([row not in looked for row in part.rows.tolist()], bool)
        unseen = Table(part.file, part.content.filter(pa.array(rest)), part.rows[rest])
        yield from prepared.encoding.decode(unseen)
        yield from strange_cells(part, prepared.encoding)


def _unpacked(path: object) -> int:
    try:
        metadata = parquet.ParquetFile(path).metadata
    except (OSError, ValueError):
        return 0  # unreadable: reading it will say so
    return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))


def build_memory(options: MemoryOptions, context: DataContext) -> TableData:
    """A table in memory, as ``DataContext.memory`` holds it."""
    if context.memory is None:
        raise UsageError(
            "data.name is 'memory', but no table was handed over; give one through the Python interface, or use data.name: files "
            "with data.path."
        )
    return TableData(prepare("memory", MemorySource(from_memory(context.memory), "data in memory"), options, context))
