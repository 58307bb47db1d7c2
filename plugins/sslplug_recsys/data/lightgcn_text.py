"""LightGCN's text format: one line a user, ``user item item ...``, numbers from 0. Rows are lines, from 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, attempt, finished
from sslplug_recsys.data.corpus import PARTS, TEST, TRAIN, VAL, Corpus, apart

SPARSEST = 100
"""Numbers may be so many times as high as there are users or items; higher ones are ids that do not count anything."""
WANTED = "whole numbers from 0 with blanks between them: the user, then its items"


@dataclass(frozen=True, eq=False)
class Lines:
    """(e,) int64 users and items of a file in its order, and the (e,) lines they stand on."""

    file: str
    user: np.ndarray
    item: np.ndarray
    line: np.ndarray


def read_lines(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(e,) int64 users and items of a file, in its order. Raises DataError with file and line, see :func:`reading_of_lines`."""
    lines = finished(reading_of_lines(file))
    return lines.user, lines.item


def reading_of_lines(file: Path) -> Reading[Lines]:
    """The lines of a file; those that are not whole numbers, and a user's second line, are told and left out."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Refused(
            Faults("unreadable", str(file), f"no such file that can be read ({error.strerror})", WANTED, "Check the path.")
        ) from error
    if content.startswith(b"\xef\xbb\xbf"):
        yield Faults(
            "byte-order-mark", str(file), "a byte order mark", "plain text", "It is passed over.", [1], harmless=True
        )
        content = content[3:]
    users: dict[int, int] = {}
    sizes: list[int] = []
    rows: list[np.ndarray] = []
    odd: list[tuple[str, int, str]] = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            values = np.array(parts, dtype=np.int64)
        except (ValueError, OverflowError) as error:
            wrong = next((part for part in parts if not part.lstrip("-").isdecimal()), None)
            kind = (
                "number-too-long" if wrong is None else ("wrong-delimiter" if set(wrong) & set(",;|:") else "not-a-number")
            )
            odd.append((kind, number, str(error) if wrong is None else repr(wrong[:60])))
            continue
        if values.min() < 0:
            odd.append(("negative-number", number, f"number {int(values.min())}"))
            continue
        user = int(values[0])
        if user in users:
            odd.append(("user-on-two-lines", number, f"user {user}, who was on line {users[user]} already"))
            continue
        users[user] = number
        rows.append(values[1:])
        sizes.append(len(values) - 1)
    mends = {
        "wrong-delimiter": "Write blanks between the numbers, or give a table with a heading (CSV).",
        "not-a-number": "Mend the line, or give ids as words in a table with a heading (CSV).",
        "number-too-long": "Give ids as words in a table with a heading (CSV).",
        "negative-number": "Users and items count from 0.",
        "user-on-two-lines": "Join the lines.",
    }
    for kind, mend in mends.items():
        told = [(number, found) for what, number, found in odd if what == kind]
        if told:
            yield Faults(kind, str(file), _found([found for _, found in told]), WANTED, mend, [number for number, _ in told])
    if not rows:
        raise Refused(
            Faults("empty-file", str(file), "no line that can be read; the file is empty", WANTED, "Write it again.")
        )
    names, lines, counts = (np.array(one, np.int64) for one in (list(users), list(users.values()), sizes))
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        yield Faults(
            "user-without-item",
            str(file),
            lambda k: f"user {names[empty[k]]} without an item",
            "items after the user",
            "It is kept, and is told of by no pair of this file.",
            lines[empty],
            harmless=True,
        )
    return Lines(str(file), np.repeat(names, counts), np.concatenate(rows), np.repeat(lines, counts))


def _found(words: list[str]) -> Callable[[int], str]:
    return lambda k: words[k]


def read_parts(name: str, files: Mapping[str, Path], users: int = 0, items: int = 0) -> Corpus:
    """See :func:`reading_of_parts`. Raises DataError with the first fault that is not harmless; the others are noted."""
    notes: list[str] = []
    corpus = finished(reading_of_parts(name, files, users, items), notes)
    return replace(corpus, notes=tuple(notes))


def reading_of_parts(name: str, files: Mapping[str, Path], users: int = 0, items: int = 0) -> Reading[Corpus]:
    """A published split: ``files`` is {"train": ..., "test": ...} and perhaps "val".

    users, items  known sizes, at least; larger numbers in the files enlarge them
    """
    number = {"train": TRAIN, "val": VAL, "test": TEST}
    read: dict[str, Lines] = {}
    for what, file in files.items():
        lines = yield from attempt(reading_of_lines(file))
        if lines is not None:
            read[what] = lines
    if len(read) < len(files) or not any(len(lines.user) for lines in read.values()):
        raise Refused(
            Faults("no-interaction", name, f"no interaction in {', '.join(map(str, files.values()))}", WANTED, "Give some.")
        )
    user, item = (np.concatenate([getattr(lines, what) for lines in read.values()]) for what in ("user", "item"))
    part = np.concatenate([np.full(len(lines.user), number[what], np.int8) for what, lines in read.items()])
    for what, numbers in (("user", user), ("item", item)):
        most, different = int(numbers.max()), len(np.unique(numbers))
        if most > SPARSEST * (different + 1000):
            raise Refused(
                Faults(
                    "numbers-too-high",
                    next(lines.file for lines in read.values() if most in getattr(lines, what)),
                    f"that the highest {what} number is {most}, but only {different} {what}s are named",
                    "numbers that count from 0",
                    "Give ids as words instead, in a table with a header (CSV, TSV, Parquet).",
                )
            )
    yield from _together(read, user, item, part)
    return Corpus(name, max(users, int(user.max()) + 1), max(items, int(item.max()) + 1), user, item, part=part)


def _together(read: Mapping[str, Lines], user: np.ndarray, item: np.ndarray, part: np.ndarray) -> Reading[None]:
    """Pairs that stand twice, in one part or in two."""
    leaking, opening = apart(user, item, part)
    repeated = (opening != np.arange(len(user))) & ~leaking
    start = 0
    for lines in read.values():
        own = np.arange(start, start + len(lines.user))
        start += len(lines.user)
        for kind, where, harmless in (("pair-in-two-parts", leaking, False), ("repeated-item", repeated, True)):
            places = own[where[own]]
            if len(places):
                yield Faults(
                    kind,
                    lines.file,
                    _pair(user, item, places, "again" if harmless else "", part, opening),
                    "each item once" if harmless else "parts that share no pair",
                    "It counts once." if harmless else "Remove it from one of the files.",
                    lines.line[places - own[0]],
                    harmless=harmless,
                )


def _pair(
    user: np.ndarray, item: np.ndarray, places: np.ndarray, again: str, part: np.ndarray, opening: np.ndarray
) -> Callable[[int], str]:
    def found(k: int) -> str:
        place = places[k]
        where = again or f"who are in the {PARTS[part[opening[place]]]} part too"
        return f"user {user[place]} and item {item[place]} {where}"

    return found
