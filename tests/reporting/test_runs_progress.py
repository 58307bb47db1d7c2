"""The progress of many runs, in a log and in a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from sslplug.reporting import runs_progress
from sslplug.reporting.runs_progress import Counts, RunsProgress

SOME = Counts(total=12, done=3, running=2, failed=1, left=95.4)


@pytest.mark.parametrize(
    ("left", "said"), [(None, "time left unknown"), (0.0, "0 s left"), (99.4, "99 s left"), (610.0, "10 min left")]
)
def test_time_left_in_words(left: float | None, said: str) -> None:
    assert Counts(1, 0, 1, 0, left).time_left == said


def test_a_log_gets_a_line_an_event_and_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(runs_progress.time, "monotonic", lambda: now)
    stream = io.StringIO()
    progress = RunsProgress(stream)
    progress.tell("toy/x infonce, seed 0: done in 4 s.", SOME)
    progress.show(SOME)
    now += 59
    progress.show(SOME)
    assert stream.getvalue() == "toy/x infonce, seed 0: done in 4 s. [3 of 12 done, 2 running, 1 failed, 95 s left]\n"
    now += 1
    progress.show(SOME)
    progress.show(SOME)
    progress.finish()
    assert stream.getvalue().splitlines()[1:] == ["3 of 12 done, 2 running, 1 failed, 95 s left"]


def test_a_terminal_gets_a_bar_below_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(runs_progress, "Console", lambda file, highlight: Console(file=file, force_terminal=True, width=120))
    progress = RunsProgress(stream)
    progress.tell("toy/x infonce, seed 0: done in 4 s.", SOME)
    progress.finish()
    progress.finish()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "toy/x infonce, seed 0: done in 4 s.\n" in plain
    assert "4/12" in plain, "failed runs are no longer to be waited for"
    assert "2 running, 1 failed, 95 s left" in plain
