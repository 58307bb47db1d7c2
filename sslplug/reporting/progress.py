"""How far a run is: a bar when a person looks on, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_SHARE = 0.1
_SECONDS = 30.0


class Progress:
    """One run's progress on standard error. Shows nothing before the first step.

    title   what runs;  total  its optimiser steps;  done  steps done before a resume
    stream  where to write; a terminal gets a bar, anything else a line every tenth of the run or half a minute
    """

    def __init__(self, title: str, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._title, self._total, self._first, self._step = title, max(total, 1), done, done
        self._stream = stream or sys.stderr
        self._console = Console(file=self._stream, highlight=False)
        self._bar: Bar | None = None
        self._told = (done / self._total, time.monotonic())
        self._began = time.monotonic()

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """``step`` steps are done; the loss among ``values`` is shown."""
        self._step = step
        loss = f"loss {values['train/loss']:.4f}" if "train/loss" in values else ""
        if self._console.is_terminal:
            bar = self._bar or self._start_bar()
            bar.update(bar.task_ids[0], completed=step, loss=loss)
            return
        share, now = step / self._total, time.monotonic()
        if share >= self._told[0] + _SHARE or now - self._told[1] >= _SECONDS or step >= self._total:
            self._told = (share, now)
            self.announce(
                f"{self._title}: step {step} of {self._total} ({share:.0%}) {loss}, {self._left(now)}".replace(" ,", ",")
            )

    def announce(self, text: str) -> None:
        """A line of text, above the bar where there is one."""
        self._console.print(text, markup=False, soft_wrap=True)

    def finish(self) -> None:
        """Takes the bar down; may be called twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start_bar(self) -> Bar:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}", markup=False),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=self._console)
        self._bar.add_task(self._title, total=self._total, completed=self._first, loss="")
        self._bar.start()
        return self._bar

    def _left(self, now: float) -> str:
        speed = (self._step - self._first) / max(now - self._began, 1e-9)
        return f"{(self._total - self._step) / speed:.0f} s left" if speed > 0 else "time left unknown"


def say(text: str) -> None:
    """A line of plain text on standard error, outside of any run."""
    Console(file=sys.stderr, highlight=False).print(text, markup=False, soft_wrap=True)
