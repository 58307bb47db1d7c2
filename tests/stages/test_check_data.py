"""``sslplug check PLUGIN --data``: every fault with its row, grouped and counted; the exit code says whether training would start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslplug import stages
from sslplug.cli import run
from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug.reporting.fault_report import FaultReport
from sslplug.testing import toy, toy_files

Shown = pytest.CaptureFixture[str]
FEW = ["--set", "train.batch_size=8"]


def table(folder: Path, changes: dict[int, str] | None = None, rows: int = 24) -> Path:
    """A sound table of three columns; ``changes`` names the lines of some rows, counted from 1."""
    values = np.random.Generator(np.random.Philox(key=3)).normal(size=(rows, 3)).round(3)
    lines = [",".join(map(str, row)) for row in values]
    for row, line in (changes or {}).items():
        lines[row - 1] = line
    file = folder / "mine.csv"
    file.write_text("\n".join(["a,b,c", *lines]) + "\n")
    return file


def test_a_sound_file_would_be_trained_on(toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path)
    assert run(["check", "toy", "--data", str(file), *FEW]) == 0
    assert capsys.readouterr().out == f"{file}: training would start; no fault.\n"


def test_every_fault_is_told_under_its_kind(toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path, {2: "1,x,3", 5: "1,2", 7: "1,,3", 9: "inf,2,3", 11: "1,y,3"})
    assert run(["check", "toy", "--data", str(file), *FEW]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith(" ")] == [
        "ragged-row: 1, training would refuse",
        "not-finite: 1, training would refuse",
        "not-a-number: 2, training would refuse",
        "incomplete-row: 1, training goes on",
        f"{file}: training would refuse it for 4 faults, and 1 fault that training goes on with.",
    ]
    assert f"  {file}, row 5: found 2 of 3 cells; expected as many cells as the first line" in said[1]
    assert f"  {file}, row 2, column 'b': found 'x'; expected a number" in said[5]
    assert f"  {file}, row 11, column 'b': found 'y'; expected a number" in said[6]


def test_training_refuses_with_the_first_fault_that_the_check_tells(toy_plugin: str, tmp_path: Path) -> None:
    file = table(tmp_path, {7: "1,,3", 9: "1,x,3", 11: "1,y,3"})
    options, context = toy_files.FileOptions(path=file), DataContext(None, tmp_path, 0)
    told = list(toy_files.faults_of_files(options, context))
    first = next(fault for fault in told if not fault.harmless)
    with pytest.raises(DataError) as refused:
        toy_files.build_files(options, context)
    assert str(refused.value).startswith(str(first))


def test_harmless_faults_are_told_and_pass(toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path, {7: "1,,3", 8: ",,3"})
    assert run(["check", "toy", "--data", str(file), *FEW]) == 0
    shown = capsys.readouterr()
    assert "incomplete-row: 2, training goes on" in shown.out
    assert shown.out.endswith("training would start; 2 faults that training goes on with.\n")
    assert run([
        "train", "--plugin", "toy", "--data", str(file), *FEW, "--set", "train.epochs=1", "--runs", str(tmp_path / "runs"),
        "--no-evaluate", "--device", "cpu",
    ]) == 0  # fmt: skip
    assert "row 7" in capsys.readouterr().err


def test_the_rest_is_counted(toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path, dict.fromkeys(range(3, 12), "1,x,3"))
    assert run(["check", "toy", "--data", str(file), "--limit", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "not-a-number: 9, training would refuse"
    assert "row 3" in said[1]
    assert "row 4" in said[2]
    assert said[3] == "  and 7 more of this kind"
    assert len(said) == 5


def test_what_only_building_finds_is_a_fault(toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path, rows=6)
    assert run(["check", "toy", "--data", str(file), *FEW]) == 1
    said = capsys.readouterr().out
    assert said.startswith("unusable: 1, training would refuse\n")
    assert "Batch size 8 on 1 ranks for 6 rows" in said


def test_data_that_checks_itself_is_built(toy_plugin: str, capsys: Shown) -> None:
    assert run(["check", "toy", "--data", "clusters", "--set", "data.rows=16"]) == 1  # the recipe's batch is larger
    assert run(["check", "toy", "--data", "clusters"]) == 0
    assert capsys.readouterr().out.endswith("clusters: training would start; no fault.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "no-such-thing"],
        ["--data", "FILE", "--set", "data.colour=red"],
        ["--data", "FILE", "--target", "a"],  # the toy's files have no target
        ["--data", "FILE", "--recipe", "no-such-recipe"],
        ["--target", "a"],
        ["--set", "data.rows=20"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments: list[str], toy_plugin: str, tmp_path: Path, capsys: Shown) -> None:
    file = table(tmp_path)
    assert run(["check", "toy", *[str(file) if word == "FILE" else word for word in arguments]]) == 2
    assert capsys.readouterr().err.startswith("Error: ")


def test_no_more_than_the_limit_is_held(monkeypatch: pytest.MonkeyPatch, toy_plugin: str, tmp_path: Path) -> None:
    """A million faults are counted, never collected."""

    def endless(options: Any, context: Any) -> Any:
        held = report_of.copy()
        for row in range(100_000):
            yield Fault("k", "f", row, None, "a", "b", "c")
            assert all(len(kind.shown) <= 3 for report in held for kind in report.kinds.values())

    report_of: list[FaultReport] = []
    made = FaultReport.__init__

    def remember(self: FaultReport, data: str, limit: int) -> None:
        made(self, data, limit)
        report_of.append(self)

    monkeypatch.setattr(FaultReport, "__init__", remember)
    files = replace(toy.TOY.data["files"], faults=endless)
    monkeypatch.setattr(toy, "TOY", replace(toy.TOY, data={**toy.TOY.data, "files": files}))
    file = table(tmp_path)
    overrides = ["data.name=files", f'data.path="{file}"']
    report = stages.check_data("toy", None, overrides, named="mine", limit=3, data_root=None)
    assert report.refused == 100_000
    assert len(list(report.lines())) == 1 + 3 + 1 + 1
