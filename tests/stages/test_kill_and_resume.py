"""Runs that are really killed: the resumed run ends with the very bytes of an uninterrupted one."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sslplug.cli import run

MAIN = "from sslplug.cli import main; main()"
METHODS = {
    "joint": (),
    "bootstrap": (
        'method={"name": "bootstrap", "projector": {"widths": [8]}, "predictor": {"widths": [8]}, "momentum": 0.9}',
        'objective={"name": "cosine"}',
    ),
    "momentum_contrast": ('method={"name": "momentum_contrast", "projector": {"widths": [8]}, "queue": 100}',),
}
SMALL = (
    "data.rows=160", "data.splits=2", "encoder.hidden=16", "encoder.width=8", "train.batch_size=40", "train.epochs=40",
    "train.log_every=3", "train.observe_every=50", "train.checkpoint_every=7",
)  # fmt: skip


def words(runs: Path, method: str) -> list[str]:
    sets = [part for override in (*SMALL, *METHODS[method]) for part in ("--set", override)]
    return ["train", "--plugin", "toy", "--runs", str(runs), "--device", "cpu", "--no-evaluate", *sets]


def folder_in(runs: Path) -> Path:
    (found,) = [file.parent for file in runs.rglob("recipe.yaml")]
    return found


def struck(runs: Path, method: str, number: int) -> tuple[Path, int, str]:
    """A training in a process of its own, struck by a signal some moments after its first checkpoint."""
    with subprocess.Popen([sys.executable, "-c", MAIN, *words(runs, method)], stderr=subprocess.PIPE, text=True) as child:
        wanted = random.randrange(1, 25)
        until = time.monotonic() + 120
        while len(list(runs.glob("toy/*/*/checkpoints/step-*"))) == 0 or logged(runs) < wanted:
            assert child.poll() is None, "the run ended before it was struck"
            assert time.monotonic() < until, "no checkpoint within two minutes"
            time.sleep(0.002)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    return folder_in(runs), child.returncode, said


def logged(runs: Path) -> int:
    return sum(file.read_text().count("\n") for file in runs.glob("toy/*/*/log.jsonl"))


def history(folder: Path, name: str) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if name in line]


def final(folder: Path) -> bytes:
    return (folder / "checkpoints" / "step-000160" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("method", "number"),
    [("joint", signal.SIGKILL), ("momentum_contrast", signal.SIGKILL), ("bootstrap", signal.SIGTERM)],
)
def test_a_struck_run_resumes_to_the_same_bytes(toy: str, tmp_path: Path, method: str, number: signal.Signals) -> None:
    folder, code, said = struck(tmp_path / "struck", method, number)
    newest = max(int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*"))
    assert newest < 160
    (folder / "checkpoints" / ".step-000007-1").mkdir()  # as a kill amid a checkpoint leaves it
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert newest % 7 == 0
    else:
        assert code == 143
        assert f"Stopped by signal 15 after step {newest} of 160; the state is checkpointed." in " ".join(said.split())
        assert f"sslplug resume {folder}" in said
        assert "Traceback" not in said
        assert json.loads((folder / "metrics.json").read_text())["finished"] is False
    assert run(["resume", str(folder), "--device", "cpu", "--no-evaluate"]) == 0
    assert run(words(tmp_path / "whole", method)) == 0
    whole = folder_in(tmp_path / "whole")
    assert final(folder) == final(whole)
    for name in ("train/loss", "diag/rankme"):
        assert history(folder, name) == history(whole, name)
    assert [step for step, _ in history(folder, "train/loss")] == [*range(3, 160, 3), 160]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["steps"], metrics["finished"]) == (160, True)
    assert not list((folder / "checkpoints").glob(".*")), "debris of a killed checkpoint is left"


def test_a_finished_run_stays_as_it_is(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    assert run(["resume", str(folder), "--device", "cpu"]) == 0
    assert "finished at step 12; nothing is left to do" in " ".join(capsys.readouterr().err.split())
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_killed_before_its_evaluation_is_judged_by_resume(toy: str, judged: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = metrics.pop("scores")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert run(["resume", str(folder), "--device", "cpu"]) == 0
    again = json.loads((folder / "metrics.json").read_text())
    assert [{**row, "seconds": 0} for row in again["scores"]] == [{**row, "seconds": 0} for row in scores]
    assert (again["steps"], again["training_seconds"]) == (
        metrics["steps"],
        pytest.approx(metrics["training_seconds"], abs=0.5),
    )
