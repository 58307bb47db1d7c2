"""Whatever goes wrong in a stage ends in one sentence that names it, the right exit code, and an intact run folder."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sslplug.cli import run
from sslplug.testing import toy_data
from sslplug.training import checkpoint

QUICK = (
    "data.rows=96", "data.splits=1", "encoder.hidden=16", "encoder.width=8", "method.projector.widths=[8]",
    "train.batch_size=32", "train.epochs=3",
)  # fmt: skip


def train(runs: Path, *overrides: str) -> int:
    sets = [part for override in (*QUICK, *overrides) for part in ("--set", override)]
    return run(["train", "--plugin", "toy", "--runs", str(runs), "--device", "cpu", "--no-evaluate", *sets])


def folder_in(runs: Path) -> Path:
    (found,) = [file.parent for file in runs.rglob("recipe.yaml")]
    return found


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def steps(folder: Path) -> list[int]:
    return [int(path.name[5:]) for path in checkpoint.published(folder / "checkpoints")]


def test_a_rate_that_diverges(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, 'optim={"name": "sgd", "lr": 1e30}') == 1
    text = said(capsys)
    assert "Error: Step 1: loss nan" in text
    assert (
        "expected finite numbers. Nothing was updated and the state before this step is checkpointed. Lower optim.lr" in text
    )
    assert steps(folder_in(tmp_path)) == [1]
    found, _ = checkpoint.newest(folder_in(tmp_path) / "checkpoints")
    assert all(bool(tensor.isfinite().all()) for tensor in found.model.values())


def test_a_row_that_is_infinite(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = toy_data.Clusters.batch

    def poisoned(self: toy_data.Clusters, rows: np.ndarray, order: toy_data.Order | None = None) -> toy_data.ToyBatch:
        batch = make(self, rows, order)
        hit = (batch.numbers == 17)[:, None, None]
        return dataclasses.replace(batch, cells=batch.cells.masked_fill(hit, float("inf")))

    monkeypatch.setattr(toy_data.Clusters, "batch", poisoned)
    assert train(tmp_path) == 1
    text = said(capsys)
    assert "expected finite numbers" in text
    assert "or look for NaN in the data." in text
    assert len(steps(folder_in(tmp_path))) == 1


def test_spoilt_running_means_are_not_checkpointed(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = toy_data.Clusters.batch

    def poisoned(self: toy_data.Clusters, rows: np.ndarray, order: toy_data.Order | None = None) -> toy_data.ToyBatch:
        batch = make(self, rows, order)
        return dataclasses.replace(batch, cells=batch.cells * np.nan) if order and order.epoch == 1 else batch

    monkeypatch.setattr(toy_data.Clusters, "batch", poisoned)
    assert train(tmp_path, "method.projector.widths=[8, 8]", "method.projector.norm=batch", "train.checkpoint_every=2") == 1
    assert "Nothing was updated and earlier checkpoints stand." in said(capsys)
    assert steps(folder_in(tmp_path)) == [2]


@pytest.mark.parametrize(
    ("log_every", "sentence"),
    [
        (100, "step-000008: the checkpoint could not be written"),
        (1, "log.jsonl: cannot be written (File too large); free space"),
    ],
)
def test_a_full_disk(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], log_every: int, sentence: str) -> None:
    """Files may not grow beyond 2 kB once the first checkpoint is there: the system itself refuses the second."""
    save = checkpoint.save
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def first_fits(*arguments: object, **named: object) -> Path:
        found: Path = save(*arguments, **named)  # type: ignore[arg-type]
        resource.setrlimit(resource.RLIMIT_FSIZE, (900, former[1]))
        return found

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint, "save", first_fits)
            assert (
                train(
                    tmp_path / "full", "train.checkpoint_every=4", f"train.log_every={log_every}", "train.observe_every=100"
                )
                == 1
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)
    text = said(capsys)
    assert sentence in text
    assert "defect" not in text
    folder = folder_in(tmp_path / "full")
    assert steps(folder) == [4]
    assert not [path for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")]
    assert train(tmp_path / "whole") == 0
    assert resumed(folder) == 0
    names = [path / "checkpoints" / "step-000009" / "model.safetensors" for path in (folder, folder_in(tmp_path / "whole"))]
    assert names[0].read_bytes() == names[1].read_bytes()


def resumed(folder: Path) -> int:
    return run(["resume", str(folder), "--device", "cpu", "--no-evaluate"])


Spoil = Callable[[Path], object]


def tear(name: str) -> Spoil:
    def torn(folder: Path) -> None:
        for file in folder.glob(name):
            file.write_bytes(file.read_bytes()[:-9])

    return torn


@pytest.mark.parametrize(
    ("words", "spoil", "code", "sentence"),
    [
        (["evaluate", "RUN"], tear("checkpoints/*/model.safetensors"), 1, "no usable checkpoint"),
        (["embed", "RUN", "-o", "OUT"], tear("checkpoints/*/MANIFEST.json"), 1, "MANIFEST.json is missing or unreadable"),
        (["export", "RUN", "-o", "OUT"], tear("checkpoints/*/optim.safetensors"), 1, "its sha256 or size differs"),
        (["evaluate", "RUN"], tear("metrics.json"), 1, "metrics.json: is damaged"),
        (["compare", "RUN"], tear("metrics.json"), 1, "metrics.json: is damaged"),
        (["compare", "RUN"], lambda run: (run / "metrics.json").write_text('{"format": 1, "finished": true, "scores": [{"task": 1}]}'), 1, "scores cannot be read"),
        (["compare", "RUN"], lambda run: (run / "metrics.json").write_text('{"format": 2}'), 1, "is of format 2, this version reads 1"),
        (["compare", "RUN"], lambda run: (run / "metrics.json").write_text("{}"), 1, "No judged run below"),
        (["evaluate", "RUN"], lambda run: (run / "metrics.json").unlink(), 1, "the run did not finish; `sslplug resume"),
        (["resume", "RUN"], lambda run: shutil.rmtree(run / "checkpoints"), 1, "no usable checkpoint was ever written"),
        (["resume", "RUN"], lambda run: (run / "recipe.yaml").unlink(), 1, "no recipe.yaml there; expected a run folder"),
        (["resume", "RUN"], lambda run: (run / "recipe.yaml").write_text("seed: 1\n"), 1, "names no plugin"),
        (["evaluate", "RUN", "--set", "optim.lr=1"], lambda run: None, 2, "only evaluate.* can change here"),
        (["evaluate", "RUN", "--set", "evaluate.fraction=[1.0]"], lambda run: None, 2, "'fractions'"),
        (["evaluate", "RUN", "--set", "evaluate.probes=[{name: logistc}]"], lambda run: None, 2, "'logistic'"),
        (["embed", "RUN", "-o", "OUT", "--set", "data.cells=5"], lambda run: None, 2, "Give data with the columns that the encoder was trained on"),
    ],
)  # fmt: skip
def test_damaged_runs_and_wrong_words(
    toy: str,
    judged: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    spoil: Spoil,
    code: int,
    sentence: str,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    spoil(folder)
    names = {"RUN": str(folder), "OUT": str(tmp_path / "out")}
    assert run([names.get(word, word) for word in words]) == code
    text = said(capsys)
    assert sentence in text
    assert "defect" not in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["resume", "evaluate", "export", "embed", "compare"])
def test_a_run_folder_that_is_not_there(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    out = ["-o", str(tmp_path / "out")] if command in ("export", "embed") else []
    assert run([command, str(tmp_path / "none"), *out]) == 1
    text = said(capsys)
    assert f"{tmp_path / 'none'}: " in text
    assert "defect" not in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--plugin", "toi"], "There is no plugin named 'toi'. Did you mean 'toy'?"),
        (
            ["--plugin", "toy", "--recipe", "crops"],
            "Plugin 'toy' ships no recipe 'crops'. Did you mean 'crops-infonce'? It has crops-infonce",
        ),
        (["--plugin", "toy", "--recipe", "none.yaml"], "Recipe file none.yaml does not exist."),
        (["--plugin", "toy", "--set", "optim.lrr=1"], "optim.lrr: unknown"),
        (["--plugin", "toy", "--set", "train.batch_size=30", "--set", "train.accumulate=4"], "30 does not split into"),
        (["--plugin", "toy", "--set", "train.labels=klass"], "no labelled task 'klass'; this data has cluster"),
        (
            ["--plugin", "toy", "--set", "train.labels=cluster", "--set", "train.split=5"],
            "train.split: 5, but task 'cluster' has 5",
        ),
    ],
)
def test_wrong_use_of_train(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run(["train", "--runs", str(tmp_path), *words]) == 2
    text = said(capsys)
    assert sentence in text
    assert not list(tmp_path.rglob("checkpoints")), "nothing may be trained"


def test_a_damaged_metrics_file_is_made_anew_by_resume(toy: str, judged: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    before = json.loads((folder / "metrics.json").read_text())
    tear("metrics.json")(folder)
    assert run(["resume", str(folder), "--device", "cpu"]) == 0
    after = json.loads((folder / "metrics.json").read_text())
    assert after.keys() == before.keys()
    assert (after["steps"], after["diagnostics"]) == (before["steps"], before["diagnostics"])
    assert [row["value"] for row in after["scores"]] == [row["value"] for row in before["scores"]]
