"""LightGCN's text format: one line a user, ``user item item ...``, numbers from 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sslplug.errors import DataError
from sslplug_recsys.data.corpus import TEST, TRAIN, VAL, Corpus

SPARSEST = 100
"""Numbers may be so many times as high as there are users or items; higher ones are ids that do not count anything."""


def read_lines(file: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """(e,) int64 users and items of a file, in its order, and how many lines name a user without an item.

    Raises DataError with file and line for words that are no numbers, negative numbers, and a user on two lines.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected a text with one line a user: user item item ...")
    users: dict[int, int] = {}
    sizes: list[int] = []
    rows: list[np.ndarray] = []
    empty = 0
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            parts = line.split()
            if not parts:
                continue
            try:
                values = np.array(parts, dtype=np.int64)
            except (ValueError, OverflowError) as error:
                raise DataError(f"{file}, line {number}: {error}; expected whole numbers: user item item ...") from error
            if values.min() < 0:
                raise DataError(f"{file}, line {number}: number {int(values.min())}; users and items count from 0.")
            user = int(values[0])
            if user in users:
                raise DataError(f"{file}, line {number}: user {user} was on line {users[user]} already; join the lines.")
            users[user] = number
            empty += len(values) == 1
            rows.append(values[1:])
            sizes.append(len(values) - 1)
    if not rows:
        raise DataError(f"{file} is empty; expected one line a user: user item item ...")
    user_column = np.repeat(np.fromiter(users, np.int64, len(users)), sizes)
    return user_column, np.concatenate(rows), empty


def read_parts(name: str, files: Mapping[str, Path], users: int = 0, items: int = 0) -> Corpus:
    """A published split: ``files`` is {"train": ..., "test": ...} and perhaps "val".

    users, items  known sizes, at least; larger numbers in the files enlarge them
    """
    number = {"train": TRAIN, "val": VAL, "test": TEST}
    user, item, part, notes = [], [], [], []
    for what, file in files.items():
        whose, wanted, empty = read_lines(file)
        user.append(whose)
        item.append(wanted)
        part.append(np.full(len(whose), number[what], np.int8))
        if empty:
            notes.append(f"{file.name}: {empty} users without an item")
    joined, things = np.concatenate(user), np.concatenate(item)
    if not len(joined):
        raise DataError(f"{name}: no interaction in {', '.join(str(file) for file in files.values())}.")
    for what, numbers in (("user", joined), ("item", things)):
        most, different = int(numbers.max()), len(np.unique(numbers))
        if most > SPARSEST * (different + 1000):
            raise DataError(
                f"{name}: the highest {what} number is {most}, but only {different} {what}s are named; expected numbers that count "
                "from 0. Give ids as words instead, in a table with a header (CSV, TSV, Parquet)."
            )
    return Corpus(
        name,
        max(users, int(joined.max()) + 1),
        max(items, int(things.max()) + 1),
        joined,
        things,
        part=np.concatenate(part),
        notes=tuple(notes),
    )
