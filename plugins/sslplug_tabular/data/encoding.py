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

from sslplug.contracts import Faults, Reading, Refused, collected
from sslplug.contracts.tables import Table
from sslplug.randomness import Rng
from sslplug_tabular.data.foreign import DECIMAL_COMMA, THOUSANDS, UNIT, foreign_dates, matching
from sslplug_tabular.data.scaling import Linear, Scaler, Scaling, fit_scaler, load_scaler
from sslplug_tabular.data.source import not_finite
from sslplug_tabular.data.types import ColumnType
from sslplug_tabular.data.words import as_days, as_numbers, as_words, looks_like_date, plain, tidy

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

    def decode(self, part: Table) -> Reading[tuple[np.ndarray, np.ndarray]]:
        """Unscaled numbers (n, num) float64 with NaN where missing, and codes (n, cat) int32.

        A cell that its column's kind does not allow is told, and counts as missing.
        """
        rows = len(part)
        values = np.empty((rows, len(self.numeric)), np.float64, order="F")  # work goes by column
        codes = np.empty((rows, len(self.words)), np.int32, order="F")
        place = 0
        for column in self.numbers:
            numbers = yield from _unscaled(part, column.name, column.kind, column.order, self.missing, self.infinities)
            found = np.stack([numbers, *_phases(numbers, len(column.outputs) // 2)], axis=1)
            values[:, place : place + len(column.outputs)] = found
            place += len(column.outputs)
        for number, word in enumerate(self.words):
            codes[:, number] = _codes(word, tidy(part.content[word.name], self.missing))
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
    part: Table,
    types: Sequence[ColumnType],
    *,
    scaler: Scaling,
    most_categories: int,
    missing: tuple[str, ...],
    infinities: Infinities,
    rng: Rng,
    note: Callable[[str], None],
) -> Reading[TableEncoding]:
    """The encoding of ``types``, from allowed rows alone. ``note`` gets a sentence for what was given up.

    Cells that cannot be read are left to :meth:`TableEncoding.decode` to tell. Refused where no column is left to use.
    """
    yield from ()
    numbers: list[NumberColumn] = []
    words: list[WordColumn] = []
    for column in types:
        if column.kind == "ignore":
            continue
        if column.kind == "categorical" or column.kind == "boolean":
            cells = tidy(part.content[column.name], missing)
            words.append(WordColumn(column.name, column.kind, _vocabulary(column, cells, most_categories, note)))
            continue
        found = collected(_unscaled(part, column.name, column.kind, column.order, missing, infinities))[1]
        known = found[~np.isnan(found)]
        outputs, scalers = (
            [column.name],
            [fit_scaler(scaler, found, rng.fork("scaler", column.name)) if len(known) else _AS_IS],
        )
        if column.kind == "date":
            timed = bool(np.any(known != np.round(known)))
            for period in [p for p in _PERIODS if p != "day" or timed]:
                outputs += [f"{column.name} (sine of the {period})", f"{column.name} (cosine of the {period})"]
                scalers += [_AS_IS, _AS_IS]
        numbers.append(NumberColumn(column.name, column.kind, tuple(outputs), tuple(scalers), column.order))
    if not numbers and not words:
        why = "; ".join(f"{c.name}: {c.why}" for c in types[:10]) or "there is none beside the target"
        raise Refused(
            Faults(
                "no-column",
                part.file,
                f"no column is left to learn from ({why})",
                "at least one column of numbers or words",
                "Add one, or keep one with data.types.<name>: numeric or categorical.",
            )
        )
    return TableEncoding(tuple(numbers), tuple(words), missing, infinities)


def _unscaled(
    part: Table, name: str, kind: str, order: tuple[str, ...], missing: tuple[str, ...], infinities: Infinities
) -> Reading[np.ndarray]:
    """(n,) float64: numbers, days or places in the order, NaN where missing (or where the order lacks the word)."""
    cells = tidy(part.content[name], missing)
    if kind == "ordinal":
        words = as_words(cells)
        place = pc.index_in(words, value_set=pa.array(order, words.type)).cast(pa.float64())
        return np.array(place.to_numpy(zero_copy_only=False), np.float64)
    numbers, bad = as_days(cells) if kind == "date" else as_numbers(cells)
    if bad.any():
        yield from _told(part, name, kind, plain(cells), bad)
    infinite = np.isinf(numbers) | (np.abs(numbers) > np.finfo(np.float32).max)
    if infinite.any() and infinities == "refuse":
        yield not_finite(part, infinite, name)
    numbers[infinite] = np.nan
    return numbers


def _told(part: Table, name: str, kind: str, cells: pa.Array, bad: np.ndarray) -> Reading[None]:
    """The faults of cells that are no numbers or dates, by what they are instead."""
    words = as_words(cells)
    or_words = f"or set data.types.{name}: categorical."
    if kind == "date":
        iso, other = bad & looks_like_date(words), bad & foreign_dates(words)
        forms = [
            ("impossible-date", iso, "a date of the calendar", "Mend it or leave the cell empty."),
            (
                "date-format",
                other & ~iso,
                "a date as 2024-05-31 or 2024-05-31 17:00",
                f"Write it so, {or_words}",
            ),
        ]
        rest, what = bad & ~iso & ~other, "not-a-date"
    else:
        thousands = bad & matching(words, THOUSANDS)
        comma = bad & matching(words, DECIMAL_COMMA)
        if (comma & ~thousands).any():
            thousands &= ~comma
        united = bad & matching(words, UNIT)
        forms = [
            (
                "thousands-separator",
                thousands,
                "a number without marks between its thousands",
                f"Take them away, {or_words}",
            ),
            (
                "decimal-comma",
                comma & ~thousands,
                "a number with a decimal point",
                f"Write a point for the comma, {or_words}",
            ),
            (
                "number-with-unit",
                united & ~comma & ~thousands,
                "a number",
                f"Name the unit in the heading, {or_words}",
            ),
        ]
        rest, what = bad & ~thousands & ~comma & ~united, "not-a-number"
    mend = f"Mend the value, add it to data.missing, {or_words}"
    forms.append((what, rest, "a date" if kind == "date" else "a number", mend))
    for form, places, expected, how in forms:
        if places.any():
            yield part.wrong(form, places, name, expected, how)


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
