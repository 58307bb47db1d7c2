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

from sslplug.errors import DataError
from sslplug_tabular.data.reading import refuse_repeats, without_views
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

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> pa.Table:
        """The given rows (ascending), some columns. Where decoding the rest would come late, ``finite`` looks for infinities
        in all rows on the way."""
        ...


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A table in memory: one piece."""

    table: pa.Table
    where: str

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

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> pa.Table:
        """See :class:`TableSource`."""
        return self.columns(names).take(pa.array(rows))


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

    def take(self, rows: np.ndarray, names: Sequence[str], finite: bool) -> pa.Table:
        """See :class:`TableSource`. Reads the whole file once."""
        found = []
        for number in range(len(self.starts) - 1):
            for start, part in self.piece(number, names):
                if finite:
                    refuse_infinities(part, start, self.where)
                low, high = np.searchsorted(rows, (start, start + part.num_rows))
                if high > low:
                    found.append(part.take(pa.array(rows[low:high] - start)))
        return pa.concat_tables(found).combine_chunks()

    def _open(self) -> parquet.ParquetFile:
        with self._readable():
            return parquet.ParquetFile(self.path, pre_buffer=False)

    def _readable(self) -> _Readable:
        return _Readable(self.path)


def refuse_infinities(part: pa.Table, start: int, where: str) -> None:
    """DataError that names the first infinite cell of a part that begins at row ``start``."""
    for name in part.column_names:
        if pa.types.is_floating(part[name].type):
            infinite = pc.is_inf(part[name])
            if pc.any(infinite).as_py():
                row = int(infinite.to_numpy().argmax())
                raise DataError(
                    f"{where}, row {start + row + 1}, column {name!r}: {part[name][row].as_py()}; expected a finite number. "
                    "Mend the value, or set data.infinities: missing."
                )


@dataclass(frozen=True)
class _Readable:
    """Turns what the Parquet reader complains of into a sentence."""

    path: Path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (pa.ArrowException, OSError)):
            reason = "".join(c if c.isprintable() else "?" for c in str(error))[:300]
            raise DataError(f"{self.path}: not a readable Parquet file ({reason}); get or write it again.") from error
