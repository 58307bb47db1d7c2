"""What an engineer would feed a boosted tree that knows no sequence network. Label-free, and meant to be hard to beat.

Of entities: the aggregates of the CoLES baseline (Babaev et al. 2022: count, sum, mean and deviation of the numbers, overall and
by category, counts of categories), with extremes, first and last values, slopes, time gaps and, where asked for, counts of pairs
of successive categories. Of events: the last events, gaps, and what came so far.
"""

from __future__ import annotations

import numpy as np

from sslplug.contracts import RawFeatures
from sslplug_sequence.events.data.table import Encoding, EventTable

MOST_CODES = 300
"""Counts of a field's most frequent codes; rarer ones are left to the field's number of distinct codes."""
MOST_BY_CATEGORY = 4
"""Numbers are summed up by category where there are at most so many numeric fields."""
PREVIOUS = 4
"""How many of the last events an event's own features hold."""


def entity_table(table: EventTable, encoding: Encoding, start: np.ndarray, bigrams: int) -> RawFeatures:
    """(n, f) aggregates of each entity's events from ``start`` on; NaN where an entity has nothing to tell.

    bigrams  that many of the most frequent pairs of successive codes of the first categorical field are counted
    """
    rows, offsets, owner = _used(table, start)
    n, length = len(start), np.diff(offsets)
    time = np.asarray(table.time[rows])
    columns: list[np.ndarray] = [length.astype(np.float64), *_times(time, offsets, owner)]
    numbers = np.asarray(table.numbers[rows], np.float64)
    for column in range(numbers.shape[1]):
        columns += _summary(numbers[:, column], time, owner, n)
    categorical: list[int] = []
    codes = _encoded(table, encoding, rows)
    for field, size in enumerate(encoding.spec().categories.values()):
        code = codes[:, field]
        counts = _table(owner, code, n, size)
        kept = min(size, MOST_CODES)
        columns += [counts[:, 1:kept], (counts > 0).sum(1).astype(np.float64)]
        if numbers.shape[1] <= MOST_BY_CATEGORY:
            for column in range(numbers.shape[1]):
                columns += _by_category(numbers[:, column], owner, code, n, size, kept)
        categorical.append(sum(1 if block.ndim == 1 else block.shape[1] for block in columns))
        columns.append(_at(code.astype(np.float64), offsets[1:] - 1, length))
        if field == 0 and bigrams:
            columns.append(_pairs(code, owner, n, size, bigrams))
    return RawFeatures(np.column_stack(columns).astype(np.float32), tuple(categorical))


def event_table(table: EventTable, encoding: Encoding, start: np.ndarray) -> RawFeatures:
    """(m, f) what is known at each event: its fields, those of the events before it, gaps, and shares of categories so far."""
    rows, offsets, owner = _used(table, start)
    place = np.arange(len(rows)) - offsets[:-1][owner]
    time = np.asarray(table.time[rows])
    gap = np.diff(time, prepend=time[:1])
    gap[place == 0] = np.nan
    codes = _encoded(table, encoding, rows)
    columns: list[np.ndarray] = []
    for field in range(codes.shape[1]):
        columns += [_lagged(codes[:, field].astype(np.float64), place, lag) for lag in range(PREVIOUS)]
    categorical = tuple(range(len(columns)))
    elapsed = time - time[offsets[:-1].clip(max=max(len(time) - 1, 0))][owner] if len(time) else time
    columns += [_lagged(gap, place, lag) for lag in range(PREVIOUS)]
    columns += [place.astype(np.float64), elapsed, elapsed / np.maximum(place, 1), np.asarray(table.numbers[rows])]
    for field, size in enumerate(encoding.spec().categories.values()):
        if size <= 64:
            once = np.zeros((len(rows), size - 1), np.float32)
            once[np.arange(len(rows)), codes[:, field] - 1] = 1.0
            so_far = np.cumsum(once, 0, dtype=np.float64)
            before = np.concatenate([np.zeros((1, size - 1)), so_far])[offsets[:-1]]
            columns.append((so_far - before[owner]) / (place + 1)[:, None])
    return RawFeatures(np.column_stack(columns).astype(np.float32), categorical)


def _used(table: EventTable, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers of the events from ``start`` on, their offsets by entity, and the entity of each."""
    length = table.offsets[1:] - start
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    owner = np.repeat(np.arange(len(start)), length)
    return np.arange(offsets[-1]) + (start - offsets[:-1])[owner], offsets, owner


def _encoded(table: EventTable, encoding: Encoding, rows: np.ndarray) -> np.ndarray:
    stored = np.asarray(table.codes[rows])
    lookups = encoding.lookups(table)
    return (
        np.stack([lookup[stored[:, c] + 1] for c, lookup in enumerate(lookups)], 1) if lookups else stored.astype(np.int64)
    )


def _at(values: np.ndarray, place: np.ndarray, length: np.ndarray) -> np.ndarray:
    """``values[place]``, NaN for entities without events."""
    found = np.full(len(place), np.nan)
    found[length > 0] = values[place[length > 0]]
    return found


def _times(time: np.ndarray, offsets: np.ndarray, owner: np.ndarray) -> list[np.ndarray]:
    """First and last time, duration; mean, deviation, least, greatest and last of the gaps; events at the time of another."""
    n, length = len(offsets) - 1, np.diff(offsets)
    first, last = _at(time, offsets[:-1], length), _at(time, offsets[1:] - 1, length)
    inner = np.flatnonzero(np.diff(owner) == 0)
    gap, of = np.diff(time)[inner], owner[:-1][inner]
    moments = _moments(gap, of, n)
    least, greatest = _extremes(gap, of, n)
    newest = np.full(n, np.nan)
    newest[of] = gap  # the last one written stays
    return [first, last, last - first, *moments, least, greatest, newest, np.bincount(of, gap == 0, n)]


def _moments(values: np.ndarray, owner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation by owner, NaN without values."""
    count = np.bincount(owner, minlength=n).astype(np.float64)
    some = np.where(count > 0, count, np.nan)
    mean = np.bincount(owner, values, n) / some
    rest = values - mean[owner]
    return mean, np.sqrt(np.bincount(owner, rest**2, n) / some)


def _extremes(values: np.ndarray, owner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest by owner (ascending), NaN without values."""
    least, greatest = np.full(n, np.nan), np.full(n, np.nan)
    if len(values):
        present, first = np.unique(owner, return_index=True)
        least[present] = np.minimum.reduceat(values, first)
        greatest[present] = np.maximum.reduceat(values, first)
    return least, greatest


def _summary(values: np.ndarray, time: np.ndarray, owner: np.ndarray, n: int) -> list[np.ndarray]:
    """Count, sum, mean, deviation, least, greatest, first, last and slope over time of the given values of one field."""
    known = np.flatnonzero(~np.isnan(values))
    x, t, of = values[known], time[known], owner[known]
    mean, deviation = _moments(x, of, n)
    first, last = np.full(n, np.nan), np.full(n, np.nan)
    first[of[::-1]] = x[::-1]
    last[of] = x
    centre, spread = _moments(t, of, n)
    count = np.bincount(of, minlength=n)
    covariance = np.bincount(of, (t - centre[of]) * (x - mean[of]), n) / np.maximum(count, 1)
    slope = np.divide(covariance, spread**2, out=np.full(n, np.nan), where=spread > 0)
    total = np.bincount(of, x, n)
    return [count.astype(np.float64), total, mean, deviation, *_extremes(x, of, n), first, last, slope]


def _table(owner: np.ndarray, code: np.ndarray, n: int, size: int) -> np.ndarray:
    """(n, size) counts of codes by owner."""
    return np.bincount(owner * size + code, minlength=n * size).reshape(n, size).astype(np.float64)


def _by_category(values: np.ndarray, owner: np.ndarray, code: np.ndarray, n: int, size: int, kept: int) -> list[np.ndarray]:
    """Sum, mean and deviation of one number in each category, (n, kept - 1) each."""
    known = ~np.isnan(values)
    cell = (owner * size + code)[known]
    mean, deviation = _moments(values[known], cell, n * size)
    total = np.bincount(cell, values[known], n * size)
    return [block.reshape(n, size)[:, 1:kept] for block in (total, mean, deviation)]


def _pairs(code: np.ndarray, owner: np.ndarray, n: int, size: int, most: int) -> np.ndarray:
    """(n, at most ``most``) counts of the most frequent pairs of successive codes."""
    inner = np.flatnonzero(np.diff(owner) == 0)
    pair = code[inner] * size + code[inner + 1]
    total = np.bincount(pair, minlength=size * size)
    chosen = np.argsort(-total, kind="stable")[:most]
    column = np.full(size * size, -1)
    column[chosen] = np.arange(len(chosen))
    kept = column[pair] >= 0
    return _table(owner[inner][kept], column[pair][kept], n, len(chosen))


def _lagged(values: np.ndarray, place: np.ndarray, lag: int) -> np.ndarray:
    """The value ``lag`` events earlier in the same sequence, NaN where there is none."""
    moved = np.full(len(values), np.nan)
    if lag < len(values):
        moved[lag:] = values[: len(values) - lag]
    moved[place < lag] = np.nan
    return moved
