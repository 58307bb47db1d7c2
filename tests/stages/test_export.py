"""``sslplug export`` on the toy plugin: what the folder holds, and that nothing half written or wrong is ever published."""

from __future__ import annotations

import copy
import errno
import importlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sslplug
from sslplug.cli import run
from sslplug.errors import RunFolderError, UsageError
from sslplug.exporting import onnx_form
from sslplug.exporting.manifest import read_manifest
from sslplug.exporting.program import NotTraceable
from sslplug.stages import export
from sslplug.stages.embedding_files import read_embeddings

module = importlib.import_module("sslplug.stages.export")  # the package shows the function under this name
FILES = {
    "encoder.pt2",
    "encoder.onnx",
    "encoder.safetensors",
    "fitted.json",
    "manifest.json",
    "model-card.md",
    "recipe.yaml",
}


@pytest.fixture(scope="module")
def exported(judged: tuple[Path, Path], toy_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first judged run, exported. Only to be read: copy to change."""
    out = tmp_path_factory.mktemp("exported") / "deep" / "encoder"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(toy_site))
        export(judged[0], out, data_root=None, onnx=True)
    return out


def visible(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def left(folder: Path) -> list[str]:
    """Everything beside the run, hidden files too."""
    return sorted(file.name for file in folder.iterdir())


def test_the_folder_is_whole(exported: Path) -> None:
    assert visible(exported) == FILES
    assert set(read_manifest(exported)["files"]) == FILES - {"manifest.json"}


def test_the_program_gives_the_embeddings_of_the_run(toy: str, exported: Path, judged: tuple[Path, Path]) -> None:
    loaded = sslplug.load_encoder(exported)
    found = loaded.embed()
    kept = read_embeddings(judged[0] / "embeddings.parquet")
    np.testing.assert_allclose(found["row"], kept, atol=1e-5 * np.abs(kept).max())
    assert found["cell"].shape[1] == 8
    other = loaded.embed(overrides=["data.rows=200"])
    assert other["row"].shape == (200, 8)


def test_the_manifest_says_how_to_call_the_program(exported: Path) -> None:
    (described,) = read_manifest(exported)["programs"]
    program = torch.export.load(exported / described["file"]).module()
    sizes = {"n1": 3}
    tensors = {
        one["name"]: torch.ones([sizes.get(n, n) for n in one["shape"]], dtype=getattr(torch, one["dtype"]))
        for one in described["inputs"]
    }
    found = program(**tensors)
    shapes = {one["name"]: tuple(eval(str(n), {}, sizes) for n in one["shape"]) for one in described["outputs"]}
    assert {level: tuple(rows.shape) for level, rows in found.items()} == shapes
    assert described["parity"]["encoder.pt2"]["largest_difference"] <= 1e-5
    assert described["parity"]["encoder.onnx"]["bound"] == 1e-5
    assert described["parity"]["encoder.pt2"]["views"] >= 3


def test_the_model_card(exported: Path, judged: tuple[Path, Path]) -> None:
    card = (exported / "model-card.md").read_text(encoding="utf-8")
    metrics = json.loads((judged[0] / "metrics.json").read_text())
    manifest = read_manifest(exported)
    for part in ("Data", "Training", "Results", "Diagnostics", "Use", "Limits", "Recipe"):
        assert f"\n## {part}\n" in card
    assert metrics["data"]["sha256"] in card
    assert manifest["recipe_sha256"] in card
    assert (exported / "recipe.yaml").read_text().strip() in card
    first = next(s for s in metrics["scores"] if s["features"] == "raw" and s["probe"] == "lightgbm")
    assert first["task"] in card
    assert "lightgbm on raw" in card
    assert "pretrained minus this" in card
    assert "Licence: none is stated." in card
    assert 'torch.export.load("encoder.pt2").module()(' in card
    assert f"{metrics['diagnostics']['diag/rankme']:.4g}" in card
    assert "was not judged" not in card


def test_a_loss_and_a_collapse_are_in_the_card(toy: str, judged: tuple[Path, Path], tmp_path: Path, quick: None) -> None:
    shutil.copytree(judged[0], tmp_path / "run")
    file = tmp_path / "run" / "metrics.json"
    metrics = json.loads(file.read_text())
    for score in metrics["scores"]:
        if score["features"] == "pretrained":
            score["value"] -= 0.5
            score["without"] = [value - 0.5 for value in score["without"]]
    file.write_text(json.dumps({**metrics, "collapsed": "Collapsed: every row is the same."}))
    export(tmp_path / "run", tmp_path / "out", data_root=None, onnx=False)
    card = (tmp_path / "out" / "model-card.md").read_text()
    assert "**Collapsed.** every row is the same." in card
    assert "**The run collapsed; its embeddings say little of the rows.**" in card
    assert "LOSES to" in card or "cannot be told from" in card
    assert "0.5" in card


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without programs, which take seconds: for what is not about them."""
    monkeypatch.setattr(module, "_programs", lambda *given: [])


@pytest.mark.parametrize("name", ["encoder.pt2", "fitted.json", "model-card.md", "encoder.onnx"])
def test_a_changed_file_is_found(exported: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    changed = bytearray((tmp_path / "copy" / name).read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "copy" / name).write_bytes(changed)
    with pytest.raises(RunFolderError, match=f"{name}: missing, or not the file that was exported"):
        sslplug.load_encoder(tmp_path / "copy")


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text('{"format": 1}'),
        lambda file: file.write_text('{"format": 9, "files": {}}'),
    ],
)
def test_a_damaged_manifest_is_told(exported: Path, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    damage(tmp_path / "copy" / "manifest.json")
    with pytest.raises(RunFolderError, match=r"manifest\.json: (missing or damaged|has format 9)"):
        sslplug.load_encoder(tmp_path / "copy")


def test_rows_of_another_role_are_refused(exported: Path) -> None:
    from sslplug.contracts import View

    loaded = sslplug.load_encoder(exported)
    with pytest.raises(UsageError, match="no program for views of role 'other'"):
        loaded(View({}, role="other"))
    with pytest.raises(UsageError, match=r"reads data\.cells, which these rows do not have"):
        loaded(View({"row": torch.ones(2)}))


def test_a_program_that_says_something_else_is_not_published(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true = module.traced

    def broken(encoder: torch.nn.Module, *given: Any) -> Any:
        other = copy.deepcopy(encoder)
        for weight in other.parameters():
            weight.mul_(1.001)
        return true(other, *given)

    monkeypatch.setattr(module, "traced", broken)
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "out"), "--no-onnx"]) == 1
    said = capsys.readouterr().err
    assert "encoder.pt2 differs from the trained encoder: level " in said
    assert "Nothing was published" in said
    assert left(tmp_path) == []


def test_an_encoder_that_torch_cannot_trace(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*given: Any) -> Any:
        raise NotTraceable("Encoder 'cells' cannot become a program: torch.export says: no.")

    monkeypatch.setattr(module, "traced", refuse)
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert (
        "Encoder 'cells' cannot become a program: torch.export says: no. Not written: encoder.pt2 and encoder.onnx." in said
    )
    assert f"`sslplug embed {judged[0]}`" in said
    assert visible(tmp_path / "out") == FILES - {"encoder.pt2", "encoder.onnx"}
    assert "No program was written: Encoder 'cells' cannot" in (tmp_path / "out" / "model-card.md").read_text()
    with pytest.raises(UsageError, match="holds no program. Encoder 'cells'"):
        sslplug.load_encoder(tmp_path / "out")


def test_without_the_packages_onnx_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_form, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(onnx_form.NoOnnx, match=r"onnxscript not installed \(pip install 'sslplug\[onnx\]'\)"):
        onnx_form.onnx_form(None)  # type: ignore[arg-type]


def test_an_earlier_export_is_replaced_and_a_strange_folder_is_not(
    toy: str, judged: tuple[Path, Path], exported: Path, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported, tmp_path / "out")
    assert run(["export", str(judged[1]), "-o", str(tmp_path / "out")]) == 0
    assert visible(tmp_path / "out") == FILES - {"encoder.pt2", "encoder.onnx"}  # nothing of the old one is left
    assert read_manifest(tmp_path / "out")["seed"] == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "mine")]) == 2
    assert "is there already and sslplug did not write it" in capsys.readouterr().err
    assert left(tmp_path / "mine") == ["thesis.txt"]
    assert left(tmp_path) == ["mine", "out"]


@pytest.mark.parametrize("last", ["encoder.safetensors", "model-card.md", "manifest.json"])
def test_a_full_disk_publishes_nothing(
    toy: str,
    judged: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
    capsys: pytest.CaptureFixture[str],
    last: str,
) -> None:
    opened = Path.open

    def full(self: Path, *given: Any, **named: Any) -> Any:
        if last in self.name and ".encoder." not in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(self, *given, **named)

    monkeypatch.setattr(Path, "open", full)
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "out")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert left(tmp_path) == []


def test_a_place_that_cannot_be_written(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("a file")
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_text() == "a file"
