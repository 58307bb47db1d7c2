"""From a table's cells to numbers and codes: fitted once on allowed rows, then the same for every row there is.

Letters: n rows, num numeric outputs, cat categorical columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_tabular.data.scaling import Linear, Scaler, Scaling, fit_scaler, load_scaler
from sslplug_tabular.data.types import ColumnType
from sslplug_tabular.data.words import as_days, as_numbers, as_words, plain, tidy

Infinities = Literal["refuse", "missing"]
RESERVED = 2
"""Codes before the known categories: 0 = missing, 1 = unseen or other."""
UNSEEN = 1
_PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}
_AS_IS = Linear(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """A column that becomes numbers: one, or for dates several (days since 1970-01-01 and sine and cosine of its phases)."""

    name: str
    kind: Literal["numeric", "ordinal", "date"]
    outputs: tuple[str, ...]
    scalers: tuple[Scaler, ...]
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class WordColumn:
    """A column that becomes codes: code ``RESERVED + i`` for ``words[i]``."""

    name: str
    kind: Literal["categorical", "boolean"]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TableEncoding:
    """Which columns are used, and how.

    missing     words that mean "no value";  infinities: refused, or taken for missing
    """

    numbers: tuple[NumberColumn, ...]
    words: tuple[WordColumn, ...]
    missing: tuple[str, ...]
    infinities: Infinities

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the table's columns that are used."""
        return (*(column.name for column in self.numbers), *(column.name for column in self.words))

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the num numeric outputs."""
        return tuple(output for column in self.numbers for output in column.outputs)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the cat categorical columns."""
        return tuple(column.name for column in self.words)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Codes of each categorical column, with the reserved ones."""
        return tuple(len(column.words) + RESERVED for column in self.words)

    def decode(self, table: pa.Table, rows: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Unscaled numbers (n, num) float64 with NaN where missing, and codes (n, cat) int32.

        rows  (n,) numbers of the table's rows in the whole data, for messages

        Raises DataError with row, column and value for a cell that its column's kind does not allow.
        """
        values = np.empty((len(rows), len(self.numeric)), np.float64, order="F")  # work goes by column
        codes = np.empty((len(rows), len(self.words)), np.int32, order="F")
        place = 0
        for column in self.numbers:
            cells = tidy(table[column.name], self.missing)
            found = self._numbers(column, cells, rows, where)
            values[:, place : place + len(column.outputs)] = found
            place += len(column.outputs)
        for number, word in enumerate(self.words):
            codes[:, number] = _codes(word, tidy(table[word.name], self.missing))
        return values, codes

    def scale(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scaled (n, num) float32, 0.0 where missing, and (n, num) bool: missing."""
        missing = np.isnan(values)
        numeric = np.zeros(values.shape, np.float32, order="F")
        scalers = [scaler for column in self.numbers for scaler in column.scalers]
        for number, scaler in enumerate(scalers):
            if missing[:, number].any():
                present = ~missing[:, number]
                numeric[present, number] = scaler(values[present, number])
            else:
                numeric[:, number] = scaler(values[:, number])
        return np.ascontiguousarray(numeric), np.ascontiguousarray(missing)

    def _numbers(self, column: NumberColumn, cells: pa.Array, rows: np.ndarray, where: str) -> np.ndarray:
        numbers = _unscaled(column.name, column.kind, column.order, cells, rows, where, self.infinities)
        return np.stack([numbers, *_phases(numbers, len(column.outputs) // 2)], axis=1)

    @property
    def state(self) -> dict[str, Any]:
        """The encoding as values that JSON can hold."""
        return {
            "numbers": [
                {
                    "name": c.name,
                    "kind": c.kind,
                    "outputs": list(c.outputs),
                    "scalers": [scaler.state for scaler in c.scalers],
                    "order": list(c.order),
                }
                for c in self.numbers
            ],
            "words": [{"name": c.name, "kind": c.kind, "words": list(c.words)} for c in self.words],
            "missing": list(self.missing),
            "infinities": self.infinities,
        }


def load_encoding(state: Mapping[str, Any]) -> TableEncoding:
    """The encoding of a ``state``."""
    numbers = tuple(
        NumberColumn(
            c["name"], c["kind"], tuple(c["outputs"]), tuple(load_scaler(s) for s in c["scalers"]), tuple(c["order"])
        )
        for c in state["numbers"]
    )
    words = tuple(WordColumn(c["name"], c["kind"], tuple(c["words"])) for c in state["words"])
    return TableEncoding(numbers, words, tuple(state["missing"]), state["infinities"])


def fit_encoding(
    table: pa.Table,
    rows: np.ndarray,
    types: Sequence[ColumnType],
    *,
    scaler: Scaling,
    most_categories: int,
    missing: tuple[str, ...],
    infinities: Infinities,
    rng: Rng,
    where: str,
    note: Callable[[str], None],
) -> TableEncoding:
    """The encoding of ``types``, from allowed rows alone. ``note`` gets a sentence for what was given up.

    Raises DataError where no column is left to use.
    """
    numbers: list[NumberColumn] = []
    words: list[WordColumn] = []
    for column in types:
        if column.kind == "ignore":
            continue
        cells = tidy(table[column.name], missing)
        if column.kind == "categorical" or column.kind == "boolean":
            words.append(WordColumn(column.name, column.kind, _vocabulary(column, cells, most_categories, note)))
            continue
        found = _unscaled(column.name, column.kind, column.order, cells, rows, where, infinities)
        outputs, scalers = [column.name], [fit_scaler(scaler, found, rng.fork("scaler", column.name))]
        if column.kind == "date":
            timed = bool(np.nanmax(np.abs(found - np.round(found))) > 0)
            for period in [p for p in _PERIODS if p != "day" or timed]:
                outputs += [f"{column.name} (sine of the {period})", f"{column.name} (cosine of the {period})"]
                scalers += [_AS_IS, _AS_IS]
        numbers.append(NumberColumn(column.name, column.kind, tuple(outputs), tuple(scalers), column.order))
    if not numbers and not words:
        why = "; ".join(f"{c.name}: {c.why}" for c in types[:10]) or "there is none beside the target"
        raise DataError(
            f"{where}: no column is left to learn from ({why}). Add one, or keep one with data.types.<name>: numeric or "
            "categorical."
        )
    return TableEncoding(tuple(numbers), tuple(words), missing, infinities)


def _unscaled(
    name: str, kind: str, order: tuple[str, ...], cells: pa.Array, rows: np.ndarray, where: str, infinities: Infinities
) -> np.ndarray:
    """(n,) float64: numbers, days or places in the order, NaN where missing (or where the order lacks the word)."""
    if kind == "ordinal":
        words = as_words(cells)
        place = pc.index_in(words, value_set=pa.array(order, words.type)).cast(pa.float64())
        return np.array(place.to_numpy(zero_copy_only=False), np.float64)
    if kind == "date" and pa.types.is_integer(plain(cells).type):
        raise DataError(f"{where}, column {name!r}: {cells.type}; expected dates as words (2024-05-31) or as a date type.")
    numbers, bad = as_days(cells) if kind == "date" else as_numbers(cells)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where}, row {rows[row] + 1}, column {name!r}: {plain(cells)[row].as_py()!r}; expected a "
            f"{'date' if kind == 'date' else 'number'} ({int(bad.sum())} such). Mend the value, add it to data.missing, or "
            f"set data.types.{name}: categorical."
        )
    infinite = np.isinf(numbers) | (np.abs(numbers) > np.finfo(np.float32).max)
    if infinite.any() and infinities == "refuse":
        row = int(infinite.argmax())
        raise DataError(
            f"{where}, row {rows[row] + 1}, column {name!r}: {numbers[row]} ({int(infinite.sum())} such); expected a finite "
            "number within float32. Mend the value, or set data.infinities: missing."
        )
    numbers[infinite] = np.nan
    return numbers


def _phases(days: np.ndarray, count: int) -> list[np.ndarray]:
    """Sine and cosine of the first ``count`` periods; the year is the mean Gregorian one, counted from 1970-01-01."""
    angles = [2 * np.pi * days / length for length in list(_PERIODS.values())[:count]]
    return [wave(angle) for angle in angles for wave in (np.sin, np.cos)]


def _codes(column: WordColumn, cells: pa.Array) -> np.ndarray:
    """(n,) int32 codes."""
    words = _folded(column.kind, cells)
    found = pc.index_in(words, value_set=pa.array(column.words, words.type))
    place: np.ndarray = found.fill_null(1 - RESERVED).to_numpy(zero_copy_only=False).astype(np.int32) + RESERVED
    place[words.is_null().to_numpy(zero_copy_only=False)] = 0
    return place


def _folded(kind: str, cells: pa.Array) -> pa.Array:
    """The cells as words; truth values without regard to case."""
    words = as_words(cells)
    return pc.utf8_lower(words) if kind == "boolean" else words


def _vocabulary(column: ColumnType, cells: pa.Array, most: int, note: Callable[[str], None]) -> tuple[str, ...]:
    """The ``most`` commonest words (ties: the first in the alphabet), in the order of the alphabet."""
    counts = pc.value_counts(_folded(column.kind, cells).drop_null())
    words, times = counts.field("values").to_pylist(), counts.field("counts").to_numpy()
    if len(words) > most:
        order = sorted(range(len(words)), key=lambda i: (-int(times[i]), words[i]))[:most]
        lost = int(times.sum() - times[order].sum())
        note(
            f"column {column.name!r}: {len(words)} different words; the {most} commonest are kept, the others (in "
            f"{100 * lost / times.sum():.3g} % of its cells) share one code (data.most_categories)"
        )
        words = [words[i] for i in order]
    return tuple(sorted(words))
