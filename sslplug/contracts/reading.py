"""A reading: one walk over a user's file that serves both who trains on it and who checks it.

A reading is a generator. It yields what is wrong in groups of equal faults and returns what was read. ``finished`` refuses with the
first fault that training cannot go on with, and notes what is harmless; ``listed`` tells every fault. No rule is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from sslplug.contracts.fault import Fault
from sslplug.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Faults:
    """One kind of fault in one column of one file, in any number of rows: found by array arithmetic, told row by row when asked.

    rows   (k,) rows counted from 1 without the heading, or None: the whole file
    found  what is there: a sentence's half, or a function of the place in ``rows``
    The other fields are those of :class:`Fault`.
    """

    kind: str
    file: str
    found: str | Callable[[int], str]
    expected: str
    mend: str
    rows: np.ndarray | Sequence[int] | None = None
    column: str | None = None
    harmless: bool = False

    def __len__(self) -> int:
        return 1 if self.rows is None else len(self.rows)

    def __iter__(self) -> Iterator[Fault]:
        for place in range(len(self)):
            row = None if self.rows is None else int(self.rows[place])
            found = self.found if isinstance(self.found, str) else self.found(place)
            yield Fault(self.kind, self.file, row, self.column, found, self.expected, self.mend, self.harmless)

    def __str__(self) -> str:
        more = f" ({len(self)} such rows)" if len(self) > 1 else ""
        return f"{next(iter(self))}{more}"


Reading: TypeAlias = Generator[Faults, None, T]
"""Yields :class:`Faults`, returns what was read; raises :class:`Refused` where it cannot go on."""


class Refused(DataError):
    """Raised inside a reading by a fault behind which nothing more can be read."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        super().__init__(str(faults))


def finished(reading: Reading[T], notes: list[str] | None = None) -> T:
    """What was read. Raises DataError with the first fault that is not harmless; the harmless ones are said in ``notes``."""
    while True:
        try:
            faults = next(reading)
        except StopIteration as end:
            read: T = end.value
            return read
        if len(faults) and not faults.harmless:
            raise Refused(faults)
        if len(faults) and notes is not None:
            notes.append(str(faults))


def attempt(reading: Reading[T]) -> Reading[T | None]:
    """The same reading inside a larger one: where it is refused, its fault is told and the larger one goes on with None."""
    try:
        return (yield from reading)
    except Refused as refused:
        yield refused.faults
        return None


def collected(reading: Reading[T]) -> tuple[list[Faults], T]:
    """The faults and what was read, for who tells them later or not at all."""
    told: list[Faults] = []
    while True:
        try:
            told.append(next(reading))
        except StopIteration as end:
            return told, end.value


def listed(reading: Reading[object]) -> Iterator[Fault]:
    """Every fault, in the order in which it is found."""
    told = attempt(reading)
    for faults in told:
        yield from faults
