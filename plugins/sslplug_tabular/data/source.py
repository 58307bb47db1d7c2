"""Where a table's rows come from: memory, or a Parquet file read piece by piece. Both look the same from here on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from sslplug.contracts import Faults, Reading
from sslplug.contracts.tables import Table, mask
from sslplug_tabular.data.reading import refuse_repeats, unreadable, without_views
from sslplug_tabular.data.words import as_words, is_number, plain

PIECE = 65_536
"""Rows of a Parquet file that are decoded at once."""


class TableSource(Protocol):
    """A table of n rows, in pieces."""

    @property
    def where(self) -> str:
        """How messages call it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns."""
        ...

    @property
    def rows(self) -> int:
        """n."""
        ...

    @property
    def starts(self) -> np.ndarray:
        """(pieces + 1,) int64: piece p holds the rows ``starts[p]:starts[p + 1]``."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        ...

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns, all rows."""
        ...

    def piece(self, number: int, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """One piece in parts: (number of the part's first row, its rows)."""
        ...

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> Reading[pa.Table]:
        """The given rows (ascending), some columns. Where decoding the rest would come late, ``finite`` looks for infinities
        in all rows on the way."""
        ...

    def told(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of rows in the file, from 1 on, as sentences name them."""
        ...


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A table in memory: one piece. ``numbers``: of its rows in the file, from 1 on, where some are left out."""

    table: pa.Table
    where: str
    numbers: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`TableSource`."""
        return tuple(self.table.column_names)

    @property
    def rows(self) -> int:
        """See :class:`TableSource`."""
        return int(self.table.num_rows)

    @property
    def starts(self) -> np.ndarray:
        """See :class:`TableSource`."""
        return np.array([0, self.rows], np.int64)

    @cached_property
    def sha256(self) -> str:
        """Digest of names, values and missing cells; it does not depend on the format that the table was read from, but on
        whether a column holds words or numbers."""
        digest = hashlib.sha256(f"{self.rows}".encode())
        for name in self.names:
            array = plain(pa.concat_arrays([plain(chunk) for chunk in self.table[name].chunks] or [pa.array([])]))
            digest.update(f"\x1e{name}\x1e".encode())
            if is_number(array.type):
                numbers = np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
                numbers[np.isnan(numbers)] = np.nan  # NaN and null are both missing; one bit pattern for them
                digest.update(numbers.tobytes())
                continue
            digest.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
            nested = pa.types.is_nested(array.type) or pa.types.is_binary(array.type)
            words = pa.array(map(str, array.to_pylist())) if nested else as_words(array)
            words = words.cast(pa.large_string()).fill_null("")
            digest.update(pc.binary_length(words).to_numpy().tobytes())
            _, ends, content = words.buffers()
            bounds = np.frombuffer(ends, np.int64)[words.offset : words.offset + len(words) + 1]
            digest.update(b"" if content is None else content[int(bounds[0]) : int(bounds[-1])])
        return digest.hexdigest()

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See :class:`TableSource`."""
        return self.table.select(list(names))

    def piece(self, number: int, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """See :class:`TableSource`."""
        yield 0, self.columns(names)

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> Reading[pa.Table]:
        """See :class:`TableSource`."""
        yield from ()
        return self.columns(names).take(pa.array(rows))

    def told(self, rows: np.ndarray) -> np.ndarray:
        """See :class:`TableSource`."""
        return rows + 1 if self.numbers is None else self.numbers[rows]


@dataclass(frozen=True, eq=False)
class ParquetSource:
    """A Parquet file of any size: a piece is a row group, of which ``PIECE`` rows are decoded at once.

    Nothing stays open, so that loader processes may share it.
    """

    path: Path

    def __post_init__(self) -> None:
        refuse_repeats(self.names, self.where)

    @property
    def where(self) -> str:
        """See :class:`TableSource`."""
        return str(self.path)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """See :class:`TableSource`."""
        return tuple(self._open().schema_arrow.names)

    @property
    def rows(self) -> int:
        """See :class:`TableSource`."""
        return int(self.starts[-1])

    @cached_property
    def starts(self) -> np.ndarray:
        """See :class:`TableSource`."""
        metadata = self._open().metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    @cached_property
    def sha256(self) -> str:
        """Digest of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See :class:`TableSource`."""
        with self._readable():
            return without_views(self._open().read(columns=list(names)))

    def piece(self, number: int, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """See :class:`TableSource`."""
        start = int(self.starts[number])
        with self._readable():
            for batch in self._open().iter_batches(PIECE, row_groups=[number], columns=list(names)):
                yield start, without_views(pa.Table.from_batches([batch]))
                start += batch.num_rows

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> Reading[pa.Table]:
        """See :class:`TableSource`. Reads the whole file once."""
        found = []
        for number in range(len(self.starts) - 1):
            for start, part in self.piece(number, names):
                if finite:
                    yield from infinities(Table(self.where, part, self.told(np.arange(start, start + part.num_rows))))
                low, high = np.searchsorted(rows, (start, start + part.num_rows))
                if high > low:
                    found.append(part.take(pa.array(rows[low:high] - start)))
        return pa.concat_tables(found).combine_chunks()

    def told(self, rows: np.ndarray) -> np.ndarray:
        """See :class:`TableSource`."""
        return rows + 1

    def _open(self) -> parquet.ParquetFile:
        with self._readable():
            return parquet.ParquetFile(self.path, pre_buffer=False)

    def _readable(self) -> _Readable:
        return _Readable(self.path)


def parts_of(source: TableSource, names: Sequence[str]) -> Iterator[Table]:
    """All rows of some columns, part by part, with their numbers in the file."""
    for piece in range(len(source.starts) - 1):
        for start, part in source.piece(piece, names):
            yield Table(source.where, part, source.told(np.arange(start, start + part.num_rows)))


def infinities(part: Table) -> Reading[None]:
    """Tells the infinite cells of a part of a table."""
    for name in part.content.column_names:
        if pa.types.is_floating(part.content[name].type):
            infinite = mask(pc.is_inf(part.content[name]))
            if infinite.any():
                yield not_finite(part, infinite, name)


def not_finite(part: Table, places: np.ndarray, name: str) -> Faults:
    """The fault of numbers that no float32 can hold."""
    return part.wrong(
        "not-finite", places, name, "a finite number within float32", "Mend the value, or set data.infinities: missing."
    )


@dataclass(frozen=True)
class _Readable:
    """Turns what the Parquet reader complains of into a sentence."""

    path: Path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (pa.ArrowException, OSError)):
            raise unreadable(self.path, error) from error
