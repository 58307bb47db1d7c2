"""The monitor: lines that survive crashes and resumes, and the same numbers in TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sslplug.errors import RunFolderError
from sslplug.reporting.monitor import Monitor


def lines(folder: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line, parse_constant=pytest.fail) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]


def events(folder: Path, name: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, round(event.value, 6)) for event in accumulator.Scalars(name)]


def test_a_line_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path, tensorboard=False)
    monitor.scalars(1, {"train/loss": 0.5})
    monitor.scalars(2, {"train/loss": float("nan"), "diag/rankme": 3})
    assert lines(tmp_path) == [{"step": 1, "train/loss": 0.5}, {"step": 2, "train/loss": None, "diag/rankme": 3.0}]
    monitor.close()
    monitor.close()
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl"]


def test_tensorboard_holds_the_same_numbers(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    for step in range(1, 6):
        monitor.scalars(step, {"train/loss": 1 / step, "perf/samples_per_s": 10.0 * step})
    monitor.close()
    assert events(tmp_path, "train/loss") == [(step, round(1 / step, 6)) for step in range(1, 6)]
    assert events(tmp_path, "perf/samples_per_s")[-1] == (5, 50.0)


def test_resume_drops_the_future_that_is_repeated(tmp_path: Path) -> None:
    first = Monitor(tmp_path)
    for step in range(1, 8):
        first.scalars(step, {"train/loss": float(step)})
    first.close()
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 8, "train/lo')  # the power went
    second = Monitor(tmp_path, resume_step=4)
    assert len(lines_or_torn(tmp_path)) == 8  # nothing is touched before the first number
    for step in (5, 6):
        second.scalars(step, {"train/loss": 10.0 * step})
    second.close()
    expected = [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 50.0), (6, 60.0)]
    assert [(line["step"], line["train/loss"]) for line in lines(tmp_path)] == expected
    assert events(tmp_path, "train/loss") == expected


def lines_or_torn(folder: Path) -> list[str]:
    return (folder / "log.jsonl").read_text().splitlines()


def test_an_idle_monitor_leaves_no_file(tmp_path: Path) -> None:
    Monitor(tmp_path, resume_step=3).close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"log.jsonl: cannot be written \(No such file or directory\)"):
        Monitor(tmp_path / "gone").scalars(1, {"a": 1.0})
