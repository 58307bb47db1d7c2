"""What is wrong with a user's own data, every malformed row of it: the findings of ``sslplug check PLUGIN --data``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a file.

    kind      a short stable name of the kind of fault, "not-a-number";  file: as the user named it
    row       the row's number, counted from 1 without the heading, or None for the whole file;  column: its name or None
    found, expected, mend   three halves of sentences: what is there, what should be, what to do next
    harmless  training would go on, and ``mend`` says what becomes of the row or cell; otherwise it would refuse the file
    """

    kind: str
    file: str
    row: int | None
    column: str | None
    found: str
    expected: str
    mend: str
    harmless: bool = False

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column!r}"
        return f"{self.file}{row}{column}: found {self.found}; expected {self.expected}. {self.mend}"
