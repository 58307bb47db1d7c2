"""A user's table in a file: Parquet, or text whose cells are kept as words until somebody says what they mean.

Text is UTF-8 with a first line of names. What is handled is said as a harmless fault; everything else is told with its row.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from sslplug.contracts.reading import Faults, Reading, Refused
from sslplug.contracts.text_blocks import SEPARATORS, beginning, heading, quoted, tidy, utf8


@dataclass(frozen=True, eq=False)
class Table:
    """A table as read.

    file     as the user named it
    content  n rows; columns of text files hold words, null where a cell is empty
    rows     (n,) int64: the number of each row in the file, from 1 without the heading
    """

    file: str
    content: pa.Table
    rows: np.ndarray

    def __len__(self) -> int:
        return int(self.content.num_rows)

    def wrong(
        self,
        kind: str,
        places: np.ndarray,
        column: str | None,
        expected: str,
        mend: str,
        found: Callable[[int], str] | None = None,
        harmless: bool = False,
    ) -> Faults:
        """Faults of the rows at ``places``, a mask (n,) or row places. ``found`` takes a place; by default it shows the cell."""
        places = np.flatnonzero(places) if places.dtype == bool else places
        shown = found or (lambda place: cell(self.content[column], place))
        return Faults(kind, self.file, lambda k: shown(int(places[k])), expected, mend, self.rows[places], column, harmless)


def cell(column: Any, place: int) -> str:
    """A cell as a sentence shows it."""
    value = column[place].as_py()
    if value is None or value == "":
        return "an empty cell"
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(text) if isinstance(value, str) else text


def read_table(path: Path, separator: str = ",", quotes: bool = True) -> Reading[Table]:
    """The table in a file: ``.parquet``, or text with ``separator`` between cells, which ``quotes`` may hold together.

    Refused where nothing can be read at all; rows with too few or too many cells are told and left out.
    """
    if path.suffix == ".parquet":
        content = _parquet(path)
        kept = yield from named_columns(content.column_names, str(path))
        return Table(str(path), content.select(kept), np.arange(1, content.num_rows + 1))
    try:
        with path.open("rb") as stream:
            return (yield from read_text(stream, str(path), separator, quotes))
    except OSError as error:
        raise Refused(
            Faults("unreadable", str(path), f"a file that cannot be read ({error.strerror})", "a table", "Check the path.")
        ) from error


def table_pieces(
    path: Path, each: Callable[[Table], Reading[None]], rows: int = 1 << 18, block: int = 1 << 24
) -> Reading[None]:
    """Read a ``.parquet`` or ``.csv`` file of any length: ``each`` is handed its rows piece by piece, in order, one piece at least.

    rows  of a piece of Parquet;  block: bytes of a piece of text
    """
    if path.suffix != ".parquet":
        with path.open("rb") as stream:
            yield from text_pieces(stream, str(path), each, block=block)
        return
    try:
        file = parquet.ParquetFile(path)
        kept = yield from named_columns(file.schema_arrow.names, str(path))
        done = 0
        for batch in file.iter_batches(batch_size=rows):
            content = plain_words(pa.Table.from_batches([batch]).select(kept))
            yield from each(Table(str(path), content, np.arange(done + 1, done + batch.num_rows + 1)))
            done += batch.num_rows
        if not done:
            yield from each(
                Table(str(path), plain_words(file.schema_arrow.empty_table().select(kept)), np.zeros(0, np.int64))
            )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def named_columns(names: Sequence[str], file: str) -> Reading[list[int]]:
    """Places of the columns that have a name of their own; a name that comes twice and an empty one are told."""
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        yield Faults(
            "repeated-column", file, f"two columns named {name!r}", "each name once", "Rename one of them.", column=name
        )
    if "" in names:
        yield Faults(
            "unnamed-column",
            file,
            f"column {names.index('') + 1} without a name",
            "a name for each column",
            "It is left out; an index that was written along needs no column.",
            harmless=True,
        )
    return [place for place, name in enumerate(names) if name and names.index(name) == place]


def require(table: Table, *names: str, hint: str) -> Reading[bool]:
    """Whether the table has these columns; each one that it lacks is told. ``hint`` says where a column may be named."""
    missing = [name for name in names if name not in table.content.column_names]
    for name in missing:
        yield Faults(
            "missing-column",
            table.file,
            f"no such column; it has {', '.join(table.content.column_names)}",
            "a column of this name",
            hint,
            column=name,
        )
    return not missing


def _parquet(path: Path) -> pa.Table:
    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    return plain_words(table)


def _unreadable(path: Path, error: Exception) -> Refused:
    return Refused(
        Faults("unreadable", str(path), f"no readable Parquet file ({tidy(error)})", "a Parquet file", "Write it again.")
    )


def plain_words(content: pa.Table) -> pa.Table:
    """The table with every column of words as large strings: dictionaries are written out, views copied."""
    for place, field in enumerate(content.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_string_view(kind):
            kind = pa.large_string()
        if kind != field.type:
            content = content.set_column(place, field.name, content[field.name].cast(kind))
    return content


def read_text(
    stream: IO[bytes], file: str, separator: str = ",", quotes: bool = True, names: Sequence[str] | None = None
) -> Reading[Table]:
    """The whole table of an opened text; see :func:`text_pieces`."""
    pieces: list[Table] = []

    def keep(piece: Table) -> Reading[None]:
        pieces.append(piece)
        yield from ()

    yield from text_pieces(stream, file, keep, separator, quotes, names)
    return Table(file, pa.concat_tables([p.content for p in pieces]), np.concatenate([p.rows for p in pieces]))


def text_pieces(
    stream: IO[bytes],
    file: str,
    each: Callable[[Table], Reading[None]],
    separator: str = ",",
    quotes: bool = True,
    names: Sequence[str] | None = None,
    block: int = 1 << 24,
) -> Reading[None]:
    """Read a text of any length, some ``block`` bytes at a time: ``each`` is handed piece by piece, in order, one at least.

    names  of the columns, where the first line is no heading
    """
    begun, row = False, 0
    columns = list(names) if names is not None else []
    kept = list(range(len(columns)))
    for content in _blocks(stream, file, quotes, block):
        if not begun:
            content = (yield from beginning(content, file)).lstrip(b"\r\n")
        content = yield from utf8(content, file, row - (not begun and names is None))
        content = yield from quoted(content, file, quotes, row - (not begun and names is None))
        if not begun and names is None:
            columns = yield from heading(file, content, separator, quotes)
            kept = yield from named_columns(columns, file)
            content = content[content.find(b"\n") + 1 :] if b"\n" in content else b""
        begun = True
        table, rows, end = yield from _parsed(content, file, separator, quotes, columns, row)
        yield from each(Table(file, table.select(kept), rows))
        row = end


def _blocks(stream: IO[bytes], file: str, quotes: bool, block: int) -> Iterator[bytes]:
    """The content, cut behind a line whose quotes are closed."""
    rest = b""
    try:
        while True:
            more = stream.read(block)
            if not more:
                yield rest  # the first one may be empty: an empty file is told, too
                return
            rest += more
            cut = rest.rfind(b"\n") + 1
            while cut and quotes and rest.count(b'"', 0, cut) % 2:
                cut = rest.rfind(b"\n", 0, cut - 1) + 1
                if len(rest) - cut > block:
                    cut = 0
            if not cut and len(rest) > 2 * block:  # a quote that is never closed: told behind
                cut = rest.rfind(b"\n") + 1
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise Refused(
            Faults(
                "unreadable", file, f"a file that cannot be read ({tidy(error)})", "a whole file", "Get or write it again."
            )
        ) from error


def _parsed(
    content: bytes, file: str, separator: str, quotes: bool, names: Sequence[str], row: int
) -> Reading[tuple[pa.Table, np.ndarray, int]]:
    """The cells of some lines as words, the number of each row, and that of the last one; ``row`` rows came before."""
    places = [str(place) for place in range(len(names))]
    if not content.strip(b"\r\n"):
        empty = {place: pa.array([], pa.large_string()) for place in places}
        return pa.table(empty).rename_columns(list(names)), np.zeros(0, np.int64), row
    short: list[tuple[int, int]] = []

    def note(bad: Any) -> str:
        short.append((int(bad.number), int(bad.actual_columns)))
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(use_threads=False, column_names=places, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, quote_char='"' if quotes else False, invalid_row_handler=note, newlines_in_values=quotes
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.large_string()), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowException as error:
        raise Refused(
            Faults(
                "unreadable",
                file,
                f"no readable table ({tidy(error)})",
                f"{SEPARATORS.get(separator, repr(separator))} between cells, as many cells in every line",
                "Write it again.",
            )
        ) from error
    rows = np.arange(1, table.num_rows + len(short) + 1)
    widths = {width for _, width in short}
    if len(short) > 1 and not table.num_rows and len(widths) == 1:
        raise Refused(
            Faults(
                "heading-of-other-width",
                file,
                f"{len(names)} names in the first line and {widths.pop()} cells in every row",
                "a name for each cell",
                "Mend the first line; a separator at the end of a line is a cell, too.",
            )
        )
    if short:
        yield Faults(
            "ragged-row",
            file,
            lambda k: f"{short[k][1]} of {len(names)} cells",
            f"as many cells as the first line, with {SEPARATORS.get(separator, repr(separator))} between them",
            "Mend the row, and put quotes around cells that hold the separator." if quotes else "Mend the row.",
            [row + number for number, _ in short],
        )
        rows = np.delete(rows, [number - 1 for number, _ in short])
    return table.rename_columns(list(names)), row + rows, row + table.num_rows + len(short)


def mask(array: Any) -> np.ndarray:
    """(n,) bool of a pyarrow array of booleans; null is False."""
    return np.asarray(pc.fill_null(array, False), bool)
