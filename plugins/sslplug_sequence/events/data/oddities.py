"""What training goes on with but the owner of events may not have meant: times that cannot be, fields that say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sslplug.contracts import Faults, Reading
from sslplug.contracts.oddities import NO_WORDS, far_sentinels, spelt_alike
from sslplug_sequence.events.data.table import EventTable

DAY = 86_400.0
NAMES_SHARE = 0.95
"""A category with this share of different words names its events."""
FEWEST_FOR_NAMES = 20


def strange_events(table: EventTable, file: str, entity: str, when: str, shortest: int, longest: int) -> Reading[None]:
    """Faults that are harmless: strange times, entities of few or many events, fields and words that say nothing."""
    assert table.rows is not None  # a file was read
    rows = table.rows
    yield from _times(table, file, when, rows)
    for kind, places, expected, mend in (
        ("few-events", table.lengths < shortest, f"{shortest} events or more (data.shortest)", "It is not trained on."),
        (
            "many-events",
            table.lengths > longest,
            f"{longest} events or fewer (data.longest)",
            "Only the last ones are used.",
        ),
    ):
        chosen = np.flatnonzero(places & (table.lengths > 0))
        if len(chosen):
            yield _told(
                kind,
                file,
                entity,
                rows[table.offsets[chosen]],
                _counted(table, chosen),
                expected,
                mend,
            )
    for column, (name, words) in enumerate(table.values.items()):
        yield from _category(table, file, name, np.asarray(table.codes[:, column]), words, rows)
    for column, name in enumerate(table.numeric):
        yield from _number(file, name, np.asarray(table.numbers[:, column]), rows)


def _counted(table: EventTable, chosen: np.ndarray) -> Callable[[int], str]:
    return lambda k: f"entity {table.entities[chosen[k]]!r} with {_events(int(table.lengths[chosen[k]]))}"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _told(
    kind: str,
    file: str,
    column: str,
    rows: np.ndarray | None,
    found: str | Callable[[int], str],
    expected: str,
    mend: str,
) -> Faults:
    """A harmless fault, its rows in the file's order where its words do not depend on them."""
    ordered = np.sort(rows) if rows is not None and isinstance(found, str) else rows
    return Faults(kind, file, found, expected, mend, ordered, column, harmless=True)


def _times(table: EventTable, file: str, name: str, rows: np.ndarray) -> Reading[None]:
    when = np.asarray(table.time)
    dated = table.unit == "days"
    if dated:
        ahead = when > time.time() / DAY + 1
        if ahead.any():
            mend = "It is read so; is the year right, or a stand-in for no end?"
            yield _told("future-time", file, name, rows[ahead], "a time in the future", "a time that was", mend)
    below = when <= 0 if dated else when < 0
    if below.any() and below.mean() < 0.05:
        found = "1970 or before, where the others are later" if dated else "a negative time, where the others are not"
        mend = "It is read so; does it stand for no time? Then leave it empty."
        yield _told(
            "zero-time" if dated else "negative-time", file, name, rows[below], found, "a time like the others", mend
        )


def _category(
    table: EventTable, file: str, name: str, codes: np.ndarray, words: tuple[str, ...], rows: np.ndarray
) -> Reading[None]:
    given = int((codes >= 0).sum())
    if len(words) < 2:
        found, kind = ("no value at all", "empty-field") if not words else (f"only the word {words[0]!r}", "constant-field")
        yield _told(kind, file, name, None, found, "a field that differs between events", "It is used, and tells nothing.")
        return
    if given >= FEWEST_FOR_NAMES and len(words) >= NAMES_SHARE * given:
        found = f"{len(words)} different words in {given} events"
        mend = "Each is a category of its own; leave the column out by naming the others in data.columns.categories."
        yield _told("names-of-events", file, name, None, found, "categories that come again", mend)
        return
    lower = np.array([word.lower() in NO_WORDS for word in words])
    alike = spelt_alike(words)
    unlike = np.array([word in alike for word in words])
    for kind, chosen, expected, mend in (
        (
            "word-for-missing",
            lower,
            "a category, or an empty cell",
            "It counts as a category; empty the cell if it is none.",
        ),
        (
            "categories-alike",
            unlike,
            "one spelling of each category",
            "They are kept apart; write them alike if they are one.",
        ),
    ):
        places = np.flatnonzero((codes >= 0) & chosen[codes])
        if len(places):
            places = places[np.argsort(rows[places])]
            yield _told(kind, file, name, rows[places], _word(kind, codes[places], words, alike), expected, mend)


def _word(kind: str, codes: np.ndarray, words: tuple[str, ...], alike: dict[str, str]) -> Callable[[int], str]:
    def found(k: int) -> str:
        word = words[int(codes[k])]
        return f"{word!r} beside {alike[word]!r}" if kind == "categories-alike" else repr(word)

    return found


def _number(file: str, name: str, values: np.ndarray, rows: np.ndarray) -> Reading[None]:
    known = values[~np.isnan(values)]
    if not len(known) or (len(known) == len(values) > 1 and (known == known[0]).all()):
        found, kind = (
            (f"{known[0]:g} in every event", "constant-field") if len(known) else ("no number at all", "empty-field")
        )
        yield _told(kind, file, name, None, found, "a field that differs between events", "It is used, and tells nothing.")
        return
    for _, places, others in far_sentinels(values.astype(np.float64)):
        value = float(values[places][0])
        mend = "It counts as a number; empty the cell if it means that there is none."
        yield _told(
            "number-for-missing", file, name, rows[places], f"{value:g}", f"a number near the others, {others}", mend
        )
