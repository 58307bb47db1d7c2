"""Something that several checks need: made once, and broken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Broken(Exception):
    """What is wrong with a part, as the sentence of the check that owns it: what was found and what was expected."""


class NotApplicable(Exception):
    """A check that says nothing about this plugin; the sentence says why."""


class Once(Generic[T]):
    """What ``make`` gives, made when it is first asked for.

    One check owns it and reports what making it raised. Every other check that needs it is not applicable then, so that one
    fault is one failure, however many checks stand on the broken part. ``owner`` is that check's id.
    """

    def __init__(self, make: Callable[[], T], owner: str) -> None:
        self._make, self._owner = make, owner
        self._made: list[T] = []
        self._error: Exception | None = None

    def own(self) -> T:
        """The thing; raises whatever making it raised, the same each time."""
        if self._error is not None:
            raise self._error
        if not self._made:
            try:
                self._made.append(self._make())
            except Exception as error:
                self._error = error
                raise
        return self._made[0]

    def lend(self) -> T:
        """The thing; NotApplicable where making it failed, which the owner reports."""
        try:
            return self.own()
        except NotApplicable:
            raise
        except Exception as error:
            raise NotApplicable(f"what it needs cannot be made; {self._owner} says why.") from error
