"""A table of one's own: from a file, whole or streamed, or from memory."""

from __future__ import annotations

from pyarrow import parquet

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug_tabular.data.options import FileOptions, MemoryOptions
from sslplug_tabular.data.prepare import prepare
from sslplug_tabular.data.reading import from_memory, read_table, suffix_of
from sslplug_tabular.data.source import MemorySource, ParquetSource
from sslplug_tabular.data.streaming import StreamedTable
from sslplug_tabular.data.table_data import TableData

STREAM_BYTES = 2 * 2**30
"""A Parquet file whose columns unpack to more is streamed, unless ``data.stream`` says otherwise."""


def build_files(options: FileOptions, context: DataContext) -> TableData | StreamedTable:
    """A table in a file; a relative path is looked up from here, then below the data root."""
    places = [options.path] + ([context.root / options.path] if context.root is not None else [])
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise DataError(f"data.path: {' and '.join(map(str, places))} do not exist; give a file with a table.")
    packed = suffix_of(path) == ".parquet"
    if options.stream and not packed:
        raise UsageError(f"data.stream: {path} is no Parquet file; only Parquet is read piece by piece. Convert it.")
    if packed and path.is_file() and (options.stream or (options.stream is None and _unpacked(path) > STREAM_BYTES)):
        source = ParquetSource(path)
        largest = int((source.starts[1:] - source.starts[:-1]).max(initial=0))
        note = f"streamed: {len(source.starts) - 1} row groups of at most {largest} rows; sha256 is that of the file"
        return StreamedTable(prepare(path.name, source, options, context, notes=[note]))
    table = read_table(path, options.separator)
    return TableData(prepare(path.name, MemorySource(table, str(path)), options, context))


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
