"""Two ranks that really run under torchrun: the one-process run's parameters, one run folder, and no hang on NaN."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sslplug.cli import run

SMALL = (
    "data.rows=96", "data.splits=1", "encoder.hidden=16", "encoder.width=8", "train.batch_size=32", "train.epochs=3",
    "train.log_every=1", 'optim={"name": "sgd", "lr": 0.05}',
)  # fmt: skip
RECIPES = {
    "gathered": ('method={"name": "joint", "projector": {"widths": [8]}}', "objective=infonce"),
    "statistic": ('method={"name": "joint", "projector": {"widths": [8]}}', "objective=vicreg"),
    "mean": (
        'method={"name": "bootstrap", "projector": {"widths": [8]}, "predictor": {"widths": [8]}, "momentum": 0.9}',
        "objective=cosine",
    ),
    "queue": ('method={"name": "momentum_contrast", "projector": {"widths": [8]}, "queue": 64}', "objective=infonce"),
    "patience": (
        'method={"name": "bootstrap", "projector": {"widths": [8]}, "predictor": {"widths": [8]}, "momentum": 0.9}',
        "objective=cosine", "train.patience=1", "train.epochs=6",
    ),
}  # fmt: skip
# One torchrun for all cases: starting ranks costs more than training. The last case is poisoned on the second rank alone.
SCRIPT = """
import dataclasses, json, os, sys
import torch
import sslplug.testing.toy_data as toy_data
from sslplug.cli import run
from sslplug.training.device import process_group

cases, codes = json.loads(sys.argv[1]), []
with process_group(torch.device("cpu")):
    for words in cases[:-1]:
        codes.append(run(words))
    make = toy_data.Clusters.batch
    if os.environ["RANK"] == "1":
        def poisoned(self, rows, order=None):
            found = make(self, rows, order)
            return dataclasses.replace(found, cells=found.cells * float("nan")) if order and order.epoch == 1 else found
        toy_data.Clusters.batch = poisoned
    codes.append(run(cases[-1]))
print("codes", os.environ["RANK"], *codes, flush=True)
"""


def words(runs: Path, case: str) -> list[str]:
    sets = [part for override in (*SMALL, *RECIPES[case], f"name={case}") for part in ("--set", override)]
    return ["train", "--plugin", "toy", "--runs", str(runs), "--device", "cpu", "--no-evaluate", *sets]


def parameters(runs: Path, case: str) -> dict[str, torch.Tensor]:
    (folder,) = (runs / "toy" / case).iterdir()
    found: dict[str, torch.Tensor] = load_file(sorted((folder / "checkpoints").glob("step-*"))[-1] / "model.safetensors")
    return found


def losses(runs: Path, case: str) -> list[float]:
    (folder,) = (runs / "toy" / case).iterdir()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


def test_two_ranks_are_one_process(toy: str, tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(SCRIPT)
    two, one = tmp_path / "two", tmp_path / "one"
    cases = [*[words(two, case) for case in RECIPES], words(tmp_path / "bad", "gathered")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    stdout, stderr = finished([*command, json.dumps(cases)])
    good = " ".join(["0"] * len(RECIPES))
    for rank in (0, 1):
        assert f"codes {rank} {good} 1\n" in stdout, stderr[-3000:]

    for case in RECIPES:
        assert run(words(one, case)) == 0
        left, right = parameters(one, case), parameters(two, case)
        assert left.keys() == right.keys()
        for name in left:
            if case == "queue" and name == "queue":  # the same keys; ranks are joined before views
                left[name], right[name] = (rows[rows[:, 0].argsort()] for rows in (left[name], right[name]))
            torch.testing.assert_close(left[name], right[name], rtol=0, atol=1e-5, msg=lambda text: f"{case} {name}: {text}")
        assert losses(two, case) == pytest.approx(losses(one, case), abs=1e-5), case
        assert any(
            not torch.equal(tensor, start) for tensor, start in zip(left.values(), started(tmp_path, case), strict=True)
        )

    (bad,) = (tmp_path / "bad" / "toy" / "gathered").iterdir()
    assert [path.name for path in (bad / "checkpoints").iterdir()] == ["step-000003"]
    assert "Step 3: loss nan" in stderr
    (folder,) = (two / "toy" / "mean").iterdir()
    events = list(folder.glob("events.out.tfevents.*"))
    assert len(events) == 1, "another rank wrote events too"


def finished(command: list[str]) -> tuple[str, str]:
    """What a command printed; where it hangs, it and the ranks it started are ended."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as child:
        try:
            return child.communicate(timeout=120)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def started(tmp_path: Path, case: str) -> list[torch.Tensor]:
    """The parameters before training."""
    runs = tmp_path / "start" / case
    assert run([*words(runs, case), "--set", "train.epochs=0"]) == 0
    return list(parameters(runs, case).values())
