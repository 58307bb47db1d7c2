"""Damaged checkpoint files are passed over by their digests, and a step saved again replaces nothing before it is published."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sslplug.errors import RunFolderError
from sslplug.training import checkpoint

FILES = ("model.safetensors", "optim.safetensors", "state.json")


def state(step: int, finished: bool = False) -> dict[str, object]:
    return {
        "epoch": 0, "done": step, "step": step, "rows": 1, "diagnostics": {}, "collapsed": None, "scaler": None, "epoch_loss": "0.1",
        "best_loss": "inf", "best_since": 0, "seconds": 1.0, "finished": finished,
    }  # fmt: skip


def saved(folder: Path, *steps: int, keep: int = 2, finished: bool = False) -> nn.Module:
    """Checkpoints of a model that moves between steps."""
    torch.manual_seed(0)
    model = nn.Linear(8, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in steps:
        optimizer.zero_grad()
        model(torch.ones(2, 8)).square().sum().backward()
        optimizer.step()
        checkpoint.save(folder, model, optimizer, state(step, finished), keep)
    return model


def flip(file: Path, other: Path) -> None:
    content = bytearray(file.read_bytes())
    place = random.randrange(len(content))
    content[place] ^= 1 << random.randrange(8)
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "flipped": flip,
    "truncated": lambda file, other: file.write_bytes(file.read_bytes()[:-1]),
    "grown": lambda file, other: file.write_bytes(file.read_bytes() + b"\0"),
    "emptied": lambda file, other: file.write_bytes(b""),
    "swapped": lambda file, other: shutil.copy(other, file),
    "removed": lambda file, other: file.unlink(),
    "a folder": lambda file, other: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_the_checkpoint_before_it_taken(tmp_path: Path, name: str, damage: str) -> None:
    saved(tmp_path, 1, 2)
    before, newest = checkpoint.published(tmp_path)
    DAMAGES[damage](newest / name, before / name)
    found, complaints = checkpoint.newest(tmp_path)
    assert found.state["step"] == 1
    assert complaints == [f"{newest / name}: missing, or not the file that was written (its sha256 or size differs)."]


@pytest.mark.parametrize("damage", ["truncated", "emptied", "swapped", "removed"])
def test_a_damaged_manifest_makes_a_checkpoint_unusable(tmp_path: Path, damage: str) -> None:
    saved(tmp_path, 1, 2)
    before, newest = checkpoint.published(tmp_path)
    DAMAGES[damage](newest / "MANIFEST.json", before / "MANIFEST.json")
    assert checkpoint.newest(tmp_path)[0].state["step"] == 1


def test_a_step_saved_again_stands_beside_the_former_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 1, 2)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "rename", full)
        with pytest.raises(RunFolderError, match="No space left"):
            saved(tmp_path, 2, finished=True)
    assert [path.name for path in checkpoint.published(tmp_path)] == ["step-000001", "step-000002"]
    assert checkpoint.newest(tmp_path)[0].state["finished"] is False
    saved(tmp_path, 2, finished=True)
    assert [path.name for path in checkpoint.published(tmp_path)] == ["step-000001", "step-000002-2"]
    assert checkpoint.newest(tmp_path)[0].state["finished"] is True
    saved(tmp_path, 2, finished=True)
    assert [path.name for path in checkpoint.published(tmp_path)] == ["step-000001", "step-000002-3"]
    saved(tmp_path, 3, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000003"], "nothing else is left, hidden or not"


def test_an_optimiser_of_other_parameters_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    found, _ = checkpoint.newest(tmp_path)
    optimizer = torch.optim.Adam(nn.Linear(3, 3).parameters())
    with pytest.raises(RunFolderError, match=r"tensor '0\.exp_avg' of shape \(8, 8\) belongs to none of this recipe's 2"):
        checkpoint.load_optimizer(optimizer, found.optim, found.folder)
    with pytest.raises(RunFolderError, match="'x.step'"):
        checkpoint.load_optimizer(optimizer, {"x.step": torch.tensor(1)}, found.folder)


def test_a_loss_that_is_not_finite_comes_back_from_the_state(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    odd = {**state(1), "diagnostics": {"diag/x": float("nan")}, "epoch_loss": "0.1234567890123456789", "best_loss": "inf"}
    checkpoint.save(tmp_path, model, torch.optim.SGD(model.parameters()), odd, 2)
    found = checkpoint.newest(tmp_path)[0].state
    assert found["diagnostics"]["diag/x"] != found["diagnostics"]["diag/x"]
    assert (found["epoch_loss"], found["best_loss"]) == (0.1234567890123456789, float("inf"))
    assert json.loads((tmp_path / "step-000001" / "state.json").read_text())["epoch_loss"] == "0.1234567890123456789"
