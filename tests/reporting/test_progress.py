"""Progress: plain lines into a file, a bar on a terminal."""

from __future__ import annotations

import io

import pytest

from sslplug.reporting.progress import Progress, say


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_tenth() -> None:
    stream = io.StringIO()
    progress = Progress("toy/first seed 0", 1000, stream=stream)
    for step in range(1, 1001):
        progress.advance(step, {"train/loss": 0.25})
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("toy/first seed 0: step 100 of 1000 (10%) loss 0.2500, ")
    assert lines[-1].startswith("toy/first seed 0: step 1000 of 1000 (100%)")
    assert "\x1b" not in stream.getvalue()


def test_a_resumed_run_counts_on() -> None:
    stream = io.StringIO()
    progress = Progress("toy", 100, 85, stream=stream)
    for step in range(86, 101):
        progress.advance(step, {})
    assert [line.split(" (")[0] for line in stream.getvalue().splitlines()] == [
        "toy: step 95 of 100",
        "toy: step 100 of 100",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress("toy", 10, stream=stream)
    progress.advance(5, {"train/loss": 0.125})
    progress.announce("[note] a line")
    progress.finish()
    progress.finish()
    shown = stream.getvalue()
    assert "5/10" in shown
    assert "0.1250" in shown
    assert "[note] a line" in shown


def test_say_is_literal(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold] stays " + "x" * 200)
    assert capsys.readouterr().err == "[bold] stays " + "x" * 200 + "\n"
