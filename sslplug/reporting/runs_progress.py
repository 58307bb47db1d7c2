"""How far a comparison of many runs is: a bar when a person looks on, plain lines in a log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_SECONDS = 60.0


@dataclass(frozen=True)
class Counts:
    """How many runs are done, at work and failed, of how many; ``left`` are the seconds to go, None where unknown."""

    total: int
    done: int
    running: int
    failed: int
    left: float | None

    def __str__(self) -> str:
        """The counts as the end of a line."""
        return f"{self.done} of {self.total} done, {self.running} running, {self.failed} failed, {self.time_left}"

    @property
    def time_left(self) -> str:
        """The seconds to go, as a person says them."""
        if self.left is None:
            return "time left unknown"
        return f"{self.left:.0f} s left" if self.left < 100 else f"{self.left / 60:.0f} min left"


class RunsProgress:
    """Progress of many runs on standard error; a terminal gets a bar, anything else a line an event and a line a minute."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._bar: Bar | None = None
        self._told = time.monotonic()

    def tell(self, text: str, counts: Counts) -> None:
        """Something happened."""
        self._told = time.monotonic()
        self._console.print(text if self._console.is_terminal else f"{text} [{counts}]", markup=False, soft_wrap=True)
        self.show(counts)

    def show(self, counts: Counts) -> None:
        """The counts as they stand."""
        if self._console.is_terminal:
            bar = self._bar or self._start_bar()
            text = f"{counts.running} running, {counts.failed} failed, {counts.time_left}"
            bar.update(bar.task_ids[0], total=counts.total, completed=counts.done + counts.failed, text=text)
        elif time.monotonic() - self._told >= _SECONDS:
            self._told = time.monotonic()
            self._console.print(str(counts), markup=False, soft_wrap=True)

    def finish(self) -> None:
        """Takes the bar down; may be called twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start_bar(self) -> Bar:
        columns = (
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
        )
        self._bar = Bar(*columns, console=self._console)
        self._bar.add_task("runs", total=None, text="")
        self._bar.start()
        return self._bar
