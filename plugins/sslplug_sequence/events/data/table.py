"""Event tables as compact columns, and what is fitted on them: vocabularies, scalers, the unit of time gaps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sslplug.errors import DataError
from sslplug_sequence.events.spec import EventSpec, GapScale

CHUNK = 1 << 20
"""Events looked at in one piece, where columns may be larger than memory."""


@dataclass(frozen=True)
class EventTable:
    """All events of all entities, ordered by entity and time. Columns may lie on disk (``np.memmap``).

    entities    (n,) names of the entities
    offsets     (n + 1,) int64: entity i holds the events ``offsets[i]:offsets[i + 1]``
    time        (m,) float64
    codes       (m, c) int32: numbers of ``values``, -1 missing
    values      {categorical field: its values as words}, in column order
    numbers     (m, f) float32, NaN missing
    numeric     names of the numeric fields
    labels      (n,) int64 (-1: none) or float64 (NaN: none), or None
    unit        the unit of time, for reports
    sha256      of the content;  notes: what was mended on reading
    rows        (m,) the row of each event in a user's file, or None
    """

    name: str
    entities: np.ndarray
    offsets: np.ndarray
    time: np.ndarray
    codes: np.ndarray
    values: Mapping[str, tuple[str, ...]]
    numbers: np.ndarray
    numeric: tuple[str, ...]
    unit: str
    sha256: str
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """(n,) events of each entity."""
        return np.diff(self.offsets)


def content_hash(*parts: np.ndarray | str) -> str:
    """sha256 of arrays and words, in chunks."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
            continue
        digest.update(f"{part.dtype.str}{part.shape}".encode())
        for start in range(0, len(part), CHUNK):
            digest.update(np.ascontiguousarray(part[start : start + CHUNK]).tobytes())
    return digest.hexdigest()


def make_table(
    name: str,
    entities: np.ndarray,
    owner: np.ndarray,
    time: np.ndarray,
    categories: Mapping[str, np.ndarray],
    numbers: Mapping[str, np.ndarray],
    unit: str,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] = (),
    notes: Sequence[str] = (),
) -> EventTable:
    """A table from columns in memory, in any order. Sorted by entity and time; simultaneous events keep their order.

    owner       (m,) number of each event's entity, 0..n-1
    categories  {field: (m,) words or whole numbers}; "" and None are missing
    """
    order = np.lexsort((time, owner))
    coded = {field: _coded(column) for field, column in categories.items()}
    m = len(time)
    codes = np.stack([c for c, _ in coded.values()], 1)[order] if coded else np.empty((m, 0), np.int32)
    columns = [np.asarray(column, np.float32) for column in numbers.values()]
    values = np.stack(columns, 1)[order] if columns else np.empty((m, 0), np.float32)
    if np.isinf(values).any():
        field = list(numbers)[int(np.isinf(values).any(0).argmax())]
        raise DataError(f"{name}: column {field!r} holds an infinity; give finite numbers, or NaN for a missing one.")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(entities)))]).astype(np.int64)
    ordered = np.asarray(time, np.float64)[order]
    words = {field: words for field, (_, words) in coded.items()}
    digest = content_hash(repr(words), offsets, ordered, codes, values)
    table = EventTable(
        name, entities, offsets, ordered, codes, words, values, tuple(numbers), unit, digest, labels, classes, tuple(notes)
    )
    late = int((np.diff(np.asarray(owner)) == 0)[np.diff(time) < 0].sum()) if m > 1 else 0
    if late:
        table = replace(table, notes=(*table.notes, f"{late} events stood after a later one and were sorted by time"))
    return table


def _coded(column: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(m,) int32 numbers of the distinct words in order, -1 for "" and None; whole numbers are words in their own order."""
    if column.dtype == object:
        column = np.array(["" if value is None else str(value) for value in column])
    distinct, codes = np.unique(column, return_inverse=True)
    words = [str(word) for word in distinct]
    shift = int(bool(words) and words[0] == "")
    return codes.reshape(-1).astype(np.int32) - np.int32(shift), tuple(words[shift:])


@dataclass(frozen=True)
class Encoding:
    """How words become codes and numbers become scaled numbers; fitted on allowed entities alone.

    vocabulary  {field: known words by frequency}: word r gets code r + 2, all others 1
    mean, std   of each numeric field, after sign(x) log(1 + |x|) where the field is in ``logarithmic``
    """

    vocabulary: Mapping[str, tuple[str, ...]]
    numeric: tuple[str, ...]
    logarithmic: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    missing: bool
    gap: GapScale
    clip: float = 6.0

    def to_json(self) -> dict[str, Any]:
        """Values that JSON can hold."""
        return {
            "vocabulary": {field: list(words) for field, words in self.vocabulary.items()},
            "numeric": list(self.numeric),
            "logarithmic": list(self.logarithmic),
            "mean": list(self.mean),
            "std": list(self.std),
            "missing": self.missing,
            "gap": [self.gap.unit, self.gap.mean, self.gap.std],
            "clip": self.clip,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Encoding:
        """What ``to_json`` wrote."""
        return cls(
            {field: tuple(words) for field, words in state["vocabulary"].items()},
            tuple(state["numeric"]),
            tuple(state["logarithmic"]),
            tuple(state["mean"]),
            tuple(state["std"]),
            bool(state["missing"]),
            GapScale(*state["gap"]),
            float(state["clip"]),
        )

    def spec(self) -> EventSpec:
        """What views and encoders must know."""
        return EventSpec(
            {field: len(words) + 2 for field, words in self.vocabulary.items()}, self.numeric, self.missing, self.gap
        )

    def lookups(self, table: EventTable) -> list[np.ndarray]:
        """For each categorical field of ``table``, an array that maps its stored code + 1 to the encoded one."""
        if tuple(table.values) != tuple(self.vocabulary) or table.numeric != self.numeric:
            raise DataError(
                f"{table.name} has the fields {(*table.values, *table.numeric)}; the encoder was trained on "
                f"{(*self.vocabulary, *self.numeric)}. Give data with those columns."
            )
        found = []
        for field, words in table.values.items():
            rank = {word: number + 2 for number, word in enumerate(self.vocabulary[field])}
            found.append(np.array([1, *(rank.get(word, 1) for word in words)], np.int64))
        return found

    def scaled(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k, f) float32 scaled numbers, 0 where missing, clipped at ``clip`` deviations; and which were given."""
        given = ~np.isnan(numbers)
        values = _transformed(numbers, self.numeric, self.logarithmic)
        values = (values - np.asarray(self.mean)) / np.asarray(self.std)
        values = np.clip(np.where(given, values, 0.0), -self.clip, self.clip)
        return values.astype(np.float32), given


def _transformed(numbers: np.ndarray, names: Sequence[str], logarithmic: Sequence[str]) -> np.ndarray:
    values = numbers.astype(np.float64)
    columns = [names.index(field) for field in logarithmic]
    values[:, columns] = np.sign(values[:, columns]) * np.log1p(np.abs(values[:, columns]))
    return values


def fit(table: EventTable, allowed: np.ndarray, logarithmic: Sequence[str], vocabulary: int) -> Encoding:
    """The encoding of ``table`` from the events of ``allowed`` entities; at most ``vocabulary`` words a field.

    Reads the columns in chunks, so that they may be larger than memory. Ties in frequency are broken by the word.
    """
    unknown = [field for field in logarithmic if field not in table.numeric]
    if unknown:
        raise DataError(f"{table.name}: no numeric field {unknown[0]!r} to take logarithms of; it has {table.numeric}.")
    inside = np.zeros(len(table.entities), bool)
    inside[allowed] = True
    counts = [np.zeros(len(words) + 1, np.int64) for words in table.values.values()]
    width = len(table.numeric)
    total, squares, known = np.zeros(width), np.zeros(width), np.zeros(width)
    gaps: list[np.ndarray] = []
    lost = False
    every = max(len(table.time) // CHUNK // 4, 1)
    for number, rows in enumerate(_chunks(table, inside)):
        codes = table.codes[rows]
        for column, count in enumerate(counts):
            count += np.bincount(codes[:, column] + 1, minlength=len(count))
        values = _transformed(table.numbers[rows], table.numeric, logarithmic)
        given = ~np.isnan(values)
        lost |= not bool(given.all())
        values = np.where(given, values, 0.0)
        known += given.sum(0)
        total += values.sum(0)
        squares += (values**2).sum(0)
        if number % every == 0:
            time = table.time[rows]
            same = np.diff(np.searchsorted(table.offsets, rows, side="right")) == 0
            gaps.append(np.diff(time)[same])
    mean = total / np.maximum(known, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(known, 1) - mean**2, 0.0))
    std = np.where(std > 1e-6 * (1 + np.abs(mean)), std, 1.0)
    words = {
        field: _ranked(names, count[1:], vocabulary)
        for (field, names), count in zip(table.values.items(), counts, strict=True)
    }
    scale = _gap_scale(np.concatenate(gaps) if gaps else np.empty(0))
    return Encoding(words, table.numeric, tuple(logarithmic), tuple(mean.tolist()), tuple(std.tolist()), lost, scale)


def _ranked(words: Sequence[str], counts: np.ndarray, most: int) -> tuple[str, ...]:
    """Words that occur, the most frequent first."""
    order = sorted(range(len(words)), key=lambda code: (-int(counts[code]), words[code]))
    return tuple(words[code] for code in order if counts[code])[:most]


def _chunks(table: EventTable, inside: np.ndarray) -> Any:
    """Row numbers of the events of allowed entities, at most CHUNK at a time."""
    for start in range(0, len(table.time), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(table.time)))
        yield rows[inside[np.searchsorted(table.offsets, rows, side="right") - 1]]


def _gap_scale(gaps: np.ndarray) -> GapScale:
    """Unit: the median positive gap."""
    positive = gaps[gaps > 0]
    unit = float(np.median(positive)) if len(positive) else 1.0
    logs = np.log1p(gaps / unit)
    std = float(logs.std()) if len(logs) else 1.0
    return GapScale(unit, float(logs.mean()) if len(logs) else 0.0, std if std > 1e-6 else 1.0)
