"""Comparisons with real processes: nothing is done twice, what was stopped or killed goes on, what dies is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sslplug import stages
from sslplug.cli import run
from sslplug.recipe import read_recipe
from sslplug.reporting.runfolder import at_work, is_held
from sslplug.reporting.runs_progress import RunsProgress
from sslplug.stages.bench import runner
from sslplug.stages.bench.found import FoundRuns
from sslplug.stages.bench.job import Job, Place
from sslplug.stages.bench.matrix import Cell
from sslplug.stages.bench.runner import Ended, Runner
from sslplug.testing.toy import TOY
from sslplug.training import checkpoint

SMALL: dict[str, Any] = {
    "plugin": "toy", "data": {"name": "clusters", "rows": 96, "splits": 1}, "views": "crops",
    "encoder": {"name": "cells", "hidden": 16, "width": 8},
    "method": {"name": "joint", "projector": {"widths": [8]}}, "objective": "infonce",
    "train": {"batch_size": 24, "epochs": 5, "checkpoint_every": 4, "keep": 9},
    "evaluate": {"fractions": [0.5, 1.0], "lightgbm": {"rounds": 5}},
}  # fmt: skip
LONG = {**SMALL["train"], "epochs": 100_000, "log_every": 1}


def recipe(folder: Path, name: str = "tiny", **sections: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps({"name": name, **SMALL, **sections}))
    return file


def bench(runs: Path, *files: Path, options: tuple[str, ...] = ("--seeds", "1")) -> list[str]:
    """The command line of a comparison of recipes as they are."""
    places = ("--recipes", ",".join(map(str, files)), "--runs", str(runs), "--device", "cpu", "--budget", "full")
    return ["bench", "toy", *places, *options]


def folders(runs: Path, name: str = "tiny") -> list[Path]:
    """Run folders by seed: two ids of one second are in no order."""
    files = runs.glob(f"toy/{name}/*/recipe.yaml")
    return [file.parent for file in sorted(files, key=lambda file: (read_recipe(file)["seed"], file))]


def weights(folder: Path, step: int) -> bytes:
    return (folder / "checkpoints" / f"step-{step:06d}" / "model.safetensors").read_bytes()


def interrupted(folder: Path, after: int) -> None:
    """Leaves of a finished run what a kill after a checkpoint would have left."""
    (folder / "metrics.json").unlink()
    (folder / "embeddings.parquet").unlink()
    for path in checkpoint.published(folder / "checkpoints"):
        if int(path.name[5:]) > after:
            shutil.rmtree(path)


def test_what_is_done_is_not_redone_and_what_was_stopped_goes_on(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run made by hand counts; one that was interrupted ends with the bytes of an uninterrupted one."""
    file, runs = recipe(tmp_path), tmp_path / "runs"
    by_hand = ["train", "--plugin", "toy", "--recipe", str(file), "--runs", str(runs), "--device", "cpu"]
    assert run([*by_hand, "--seeds", "2"]) == 0
    first, second = folders(runs)
    whole = weights(second, 20)
    interrupted(second, after=8)
    assert run([*by_hand, "--set", "objective=barlow", "--set", "seed=9"]) == 0  # of another cell: tells nothing about these
    capsys.readouterr()
    words = bench(runs, file, options=("--seeds", "2", "--objectives", "infonce"))
    assert run([*words, "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["done", "stopped"]
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert run(words) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 runs are done already. [1 of 2 done" in said
    assert f"toy/tiny infonce, seed 1: goes on from its checkpoint in {second}" in said
    assert "2 runs: 1 were done before, 1 now, 0 failed" in said
    assert len(folders(runs)) == 3, "no run was made anew"
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert weights(second, 20) == whole
    assert "scores" in json.loads((second / "metrics.json").read_text())
    assert [line["step"] for line in map(json.loads, (second / "log.jsonl").read_text().splitlines()) if "train/lr" in line] == [
        10, 20,
    ]  # fmt: skip
    (log,) = (runs / ".bench").glob("*.log")
    assert log.read_text().startswith(f"$ sslplug resume {second} --device cpu\n")
    assert run(words) == 0, "nothing is left to do"
    assert "2 runs: 2 were done before, 0 now, 0 failed" in " ".join(capsys.readouterr().err.split())


def test_a_run_that_dies_is_told_tried_once_more_and_reported(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dies = recipe(tmp_path, "dies", optim={"lr": 1e30})
    wrong = recipe(tmp_path, "wrong", train={"batch_size": 25, "accumulate": 2})
    words = bench(tmp_path / "runs", dies, wrong, options=("--seeds", "1", "--objectives", "own", "--jobs", "3"))
    assert run(words) == 1
    said = capsys.readouterr().err
    assert said.count("toy/dies infonce, seed 0: died with exit code 1 after") == 2
    assert said.count("it is tried once more") == 1
    assert said.count("toy/wrong infonce, seed 0: died with exit code 2 after") == 1, (
        "a command that is refused stays refused"
    )
    flat = " ".join(said.split())
    assert re.search(
        r"given up. Its last words, from \S+dies,infonce,seed0,[0-9a-f]{12}.log: .*expected finite numbers", flat
    )
    assert "train.batch_size 25 does not split into train.accumulate 2" in flat
    assert "again: sslplug train --plugin toy --recipe" in flat
    assert "2 runs: 0 were done before, 0 now, 2 failed" in flat
    assert "Error: 2 of 2 runs failed" in flat
    assert "Traceback" not in said


def test_a_killed_run_is_tried_again_from_its_checkpoint(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, runs = (
        recipe(tmp_path, train={**SMALL["train"], "epochs": 100, "checkpoint_every": 20, "keep": 2}),
        tmp_path / "runs",
    )
    started: list[Job] = []
    start = runner.start

    def striking(*arguments: Any) -> Job:
        started.append(start(*arguments))
        if len(started) == 1:
            threading.Thread(target=strike, args=(started[0], runs)).start()
        return started[-1]

    monkeypatch.setattr(runner, "start", striking)
    assert run(bench(runs, file, options=("--seeds", "1", "--objectives", "own"))) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "killed by SIGKILL" in said
    assert "goes on from its checkpoint" in said
    assert "1 runs: 0 were done before, 1 now, 0 failed" in said
    (folder,) = folders(runs)
    assert json.loads((folder / "metrics.json").read_text())["steps"] == 400


def strike(job: Job, runs: Path) -> None:
    """Kill a run after its first checkpoint."""
    until = time.monotonic() + 120
    while not list(runs.glob("toy/*/*/checkpoints/step-*")) and time.monotonic() < until:
        time.sleep(0.002)
    job.process.kill()


def test_ctrl_c_loses_nothing(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, runs = recipe(tmp_path, train=LONG), tmp_path / "runs"
    words = bench(runs, file, options=("--seeds", "2", "--jobs", "2", "--objectives", "own"))
    with subprocess.Popen([sys.executable, "-m", "sslplug", *words], stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + 120
        while len(list(runs.glob("toy/tiny/*/log.jsonl"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert all(is_held(folder) for folder in folders(runs))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=120)
    flat = " ".join(said.split())
    assert child.returncode == 130, said
    assert (
        "Stopped by signal 2: 0 of 2 runs are done, 2 are left; those at work are checkpointed. The same command goes on."
        in flat
    )
    assert "Traceback" not in said
    assert len(folders(runs)) == 2
    for folder in folders(runs):
        assert not is_held(folder), "the run is still at work"
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["steps"] == checkpoint.newest(folder / "checkpoints")[0].state["step"] > 0
        assert metrics["finished"] is False
    assert run([*words, "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["stopped", "stopped"]


def test_two_comparisons_share_the_work(toy: str, tmp_path: Path) -> None:
    file, runs = recipe(tmp_path), tmp_path / "runs"
    planned = stages.matrix("toy", recipes=[str(file)], objectives=["infonce"], seeds=1, budget="full")
    place = Place(runs, ("--device", "cpu"), 1)
    ended: list[Ended] = []

    def work() -> None:
        found = FoundRuns(runs, planned.plugins)
        with open(os.devnull, "w") as nowhere:
            ended.append(Runner(planned.cells, found, place, 2, lambda: False, RunsProgress(nowhere)).run())

    both = [threading.Thread(target=work) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(folders(runs)) == 1, "a cell was done twice"
    assert ended == [Ended(before=0, done=1, failed=(), left=0)] * 2, "each waits for what the other does"
    (log,) = (runs / ".bench").glob("*.log")
    assert log.read_text().count("$ sslplug") == 1


def cells(file: Path) -> tuple[Cell, ...]:
    return stages.matrix("toy", recipes=[str(file)], objectives=["infonce"], seeds=1, budget="full").cells


def standing_in(monkeypatch: pytest.MonkeyPatch, code: str) -> list[Job]:
    """Runs are processes that do nothing but this; what was started."""
    jobs: list[Job] = []

    def start(cell: Cell, claim: Any, place: Place, folder: Path | None) -> Job:
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        log = place.file(cell, "log")
        log.touch()
        jobs.append(Job(cell, claim, process, log, 0))
        return jobs[-1]

    monkeypatch.setattr(runner, "start", start)
    return jobs


def test_a_second_ctrl_c_kills(toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import signal, time, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    jobs = standing_in(monkeypatch, deaf)

    def twice() -> None:
        while not jobs:
            time.sleep(0.01)
        time.sleep(0.3)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    threading.Thread(target=twice).start()
    assert run(bench(tmp_path / "runs", recipe(tmp_path), options=("--seeds", "1", "--objectives", "own"))) == 130
    assert [job.process.returncode for job in jobs] == [-signal.SIGKILL]
    assert not jobs[0].claim.is_locked


def test_a_cell_that_another_process_gives_up_is_ours_to_do(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the other one is at work in the run itself; its process would be none of ours."""
    file, runs = recipe(tmp_path), tmp_path / "runs"
    (cell,) = cells(file)
    assert run(["train", *cell.options, "--runs", str(runs), "--device", "cpu", "--no-evaluate"]) == 0
    (folder,) = folders(runs)
    metrics = json.loads((folder / "metrics.json").read_text())
    judging = f"import pathlib; pathlib.Path({str(folder / 'metrics.json')!r}).write_text({json.dumps({**metrics, 'scores': []})!r})"
    jobs = standing_in(monkeypatch, judging)
    monkeypatch.setattr(runner, "_LOOK_ELSEWHERE", 0.2)
    place = Place(runs, (), 1)

    ended: list[Ended] = []

    def work() -> None:
        ended.append(Runner([cell], FoundRuns(runs, {"toy": TOY}), place, 1, lambda: False, RunsProgress()).run())

    with at_work(folder):
        threading.Thread(target=work).start()
        time.sleep(1.0)
        assert not jobs, "a run that another process writes was started"
    until = time.monotonic() + 60
    while not ended and time.monotonic() < until:
        time.sleep(0.05)
    assert ended == [Ended(before=0, done=1, failed=(), left=0)]
    assert capsys.readouterr().err.count("another process is at work on it; waiting.") == 1


def test_where_a_cell_stands_is_told_by_the_runs_themselves(toy: str, tmp_path: Path) -> None:
    file, runs = recipe(tmp_path), tmp_path / "runs"
    (cell,) = cells(file)
    found = FoundRuns(runs, {"toy": TOY})
    assert found.state(cell).word == "new"
    assert run(["train", *cell.options, "--runs", str(runs), "--device", "cpu", "--no-evaluate"]) == 0
    (folder,) = folders(runs)
    assert found.state(cell) == stages_state("stopped", folder), "trained and not judged"
    with at_work(folder):
        assert found.state(cell) == stages_state("busy", folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "scores": []}))
    assert found.state(cell) == stages_state("done", folder), "data without a task has nothing to judge"
    (folder / "metrics.json").write_text('{"scores": [')
    assert found.state(cell) == stages_state("stopped", folder), "a damaged file says nothing"
    for damaged in (folder / "checkpoints").glob("*/model.safetensors"):
        damaged.write_bytes(b"")
    assert found.state(cell).word == "new", "nothing is left to go on from"
    (folder / "recipe.yaml").write_text("plugin: [")
    assert found.state(cell).word == "new"


def test_options_that_came_after_a_run_have_their_defaults(toy: str, tmp_path: Path) -> None:
    file, runs = recipe(tmp_path), tmp_path / "runs"
    (cell,) = cells(file)
    assert run(["train", *cell.options, "--runs", str(runs), "--device", "cpu", "--no-evaluate"]) == 0
    (folder,) = folders(runs)
    text = (folder / "recipe.yaml").read_text()
    assert "  max_steps: 0\n" in text
    (folder / "recipe.yaml").write_text(text.replace("  max_steps: 0\n", "").replace("about: ''", "about: another line"))
    assert FoundRuns(runs, {"toy": TOY}).state(cell).word == "stopped"
    (folder / "recipe.yaml").write_text(text.replace("  max_steps: 0\n", "  max_steps: 7\n"))
    assert FoundRuns(runs, {"toy": TOY}).state(cell).word == "new"


def stages_state(word: Any, folder: Path) -> Any:
    from sslplug.stages.bench.found import State

    return State(word, folder)


@pytest.mark.parametrize(("given", "expected"), [({}, "3"), ({"MKL_NUM_THREADS": "2"}, None)])
def test_jobs_share_the_cores_unless_the_user_says(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen: dict[str, Any] = {}
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: seen.update(options, words=words))
    (cell,) = cells(recipe(tmp_path))
    place = Place(tmp_path / "runs", ("--device", "cpu"), 3)
    claim = place.claim(cell)
    assert claim is not None
    assert place.claim(cell) is None, "another comparison started a cell that is taken"
    runner.start(cell, claim, place, None)
    claim.release()
    assert seen["env"].get("OMP_NUM_THREADS") == expected
    assert seen["env"].get("MKL_NUM_THREADS") == (expected or "2")
    assert seen["words"][1:4] == ["-m", "sslplug", "train"]


def test_one_process_at_a_time_writes_a_run(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    (folder / "metrics.json").unlink()
    with at_work(folder):
        assert run(["resume", str(folder), "--device", "cpu"]) == 1
    assert "another process is at work in this run" in " ".join(capsys.readouterr().err.split())
    assert not (folder / "metrics.json").exists()
    assert run(["resume", str(folder), "--device", "cpu"]) == 0
