"""Columns of events that grow piece by piece, in memory or on disk, and words that are numbered as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Store:
    """Columns that grow piece by piece: in memory, or in files of ``folder`` that are mapped when finished."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._shapes: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("*.column"):
                old.unlink()

    def append(self, name: str, piece: np.ndarray) -> None:
        """Add rows to a column."""
        rows = self._shapes.get(name, (0, (), piece.dtype))[0]
        self._shapes[name] = (rows + len(piece), piece.shape[1:], piece.dtype)
        if self._folder is None:
            self._pieces.setdefault(name, []).append(piece)
        else:
            with (self._folder / f"{name}.column").open("ab") as file:
                file.write(np.ascontiguousarray(piece).tobytes())

    def finish(self, name: str) -> np.ndarray:
        """The whole column."""
        rows, shape, dtype = self._shapes[name]
        if self._folder is None:
            whole: np.ndarray = np.concatenate(self._pieces.pop(name))
            return whole
        if rows == 0 or 0 in shape:
            return np.empty((rows, *shape), dtype)
        mapped: np.ndarray = np.memmap(self._folder / f"{name}.column", dtype=dtype, mode="r", shape=(rows, *shape))
        return mapped


@dataclass
class Dictionary:
    """Words numbered in the order they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def code(self, column: pa.Array) -> np.ndarray:
        """(k,) int32 numbers; -1 for null and ""."""
        coded = pc.dictionary_encode(column.cast(pa.string()))
        words = [str(word) for word in coded.dictionary.to_pylist()]
        lookup = np.array([-1, *(self.numbers.setdefault(w, len(self.numbers)) if w else -1 for w in words)], np.int32)
        codes: np.ndarray = lookup[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1]
        return codes
