"""Checkpoints: published by one atomic rename, verified by digests, no pickle.

A checkpoint is the folder ``checkpoints/step-000123`` with ``model.safetensors``, ``optim.safetensors``, ``state.json`` and
``MANIFEST.json`` (sha256 and size of each file, written last). A folder without a valid manifest does not exist for us.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sslplug.errors import RunFolderError

_FILES = ("model.safetensors", "optim.safetensors", "state.json")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds: the model's tensors, the optimiser's tensors, and plain numbers."""

    folder: Path
    model: dict[str, Tensor]
    optim: dict[str, Tensor]
    state: dict[str, Any]


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer once, by its first name (parts of a sum share one encoder)."""
    persistent = set(model.state_dict().keys())
    tensors: dict[str, Tensor] = {}
    tensors.update(model.named_parameters())
    tensors.update({name: buffer for name, buffer in model.named_buffers() if name in persistent})
    return {name: tensor.detach() for name, tensor in tensors.items()}


@torch.no_grad()
def load_model(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into the model; RunFolderError when names or shapes differ."""
    own = model_tensors(model)
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    wrong = [n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape]
    if missing or extra or wrong:
        raise RunFolderError(
            f"{source}: its tensors are not this recipe's: missing {missing[:3]}, unknown {extra[:3]}, other shape {wrong[:3]}. "
            "The recipe or the data changed since it was written; use the run's own recipe.yaml."
        )
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's per-parameter state as flat tensors ``<number>.<name>``."""
    flat: dict[str, Tensor] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                flat[f"{number}.{name}"] = torch.as_tensor(value)
    return flat


def load_optimizer(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Restore what :func:`optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    keep: int,
    best: Mapping[str, Tensor] | None = None,
) -> Path:
    """Publish a checkpoint under ``folder`` (the run's ``checkpoints``) and drop all but the newest ``keep``.

    ``best`` are further model tensors (the best so far, for early stopping), kept under ``best/<name>``.

    Everything is written to a hidden folder, flushed to disk and renamed. A failure (full disk, kill) leaves the former
    checkpoints as they were. Raises RunFolderError when the disk refuses.
    """
    target = folder / f"step-{state['step']:06d}"
    hidden = folder / f".{target.name}-{os.getpid()}"
    try:
        for debris in folder.glob(".step-*"):  # of a process that was killed while it wrote
            shutil.rmtree(debris, ignore_errors=True)
        hidden.mkdir(parents=True)
        # Copies: safetensors refuses tensors that share memory or are not contiguous.
        tensors = model_tensors(model) | {f"best/{name}": tensor for name, tensor in (best or {}).items()}
        copies = {k: v.cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
        save_file(copies, hidden / "model.safetensors")
        save_file({k: v.cpu().contiguous() for k, v in optimizer_tensors(optimizer).items()}, hidden / "optim.safetensors")
        (hidden / "state.json").write_text(json.dumps(dict(state), indent=1))
        manifest = {name: _digest(hidden / name) for name in _FILES}
        (hidden / "MANIFEST.json").write_text(json.dumps(manifest, indent=1))
        for name in (*_FILES, "MANIFEST.json"):
            _flush(hidden / name)
        if target.exists():
            shutil.rmtree(target)
        os.rename(hidden, target)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise RunFolderError(
            f"{target}: the checkpoint could not be written ({error}). Earlier checkpoints are untouched; free space or choose "
            "another folder with --runs, then `sslplug resume` the run."
        ) from error
    for old in published(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def published(folder: Path) -> list[Path]:
    """Published checkpoint folders, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.name.startswith("step-") and path.name[5:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def load(folder: Path) -> Checkpoint:
    """One checkpoint, every digest checked. RunFolderError names the file that is missing or damaged."""
    try:
        manifest = json.loads((folder / "MANIFEST.json").read_text())
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{folder}: MANIFEST.json is missing or unreadable ({error}); this checkpoint is unusable."
        ) from error
    for name in _FILES:
        wanted = manifest.get(name)
        if wanted is None or not (folder / name).is_file() or _digest(folder / name) != wanted:
            raise RunFolderError(f"{folder / name}: missing, or not the file that was written (its sha256 or size differs).")
    return Checkpoint(
        folder,
        load_file(folder / "model.safetensors"),
        load_file(folder / "optim.safetensors"),
        json.loads((folder / "state.json").read_text()),
    )


def newest(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The newest intact checkpoint and the sentences about damaged ones passed over. RunFolderError when there is none."""
    complaints: list[str] = []
    for path in reversed(published(folder)):
        try:
            return load(path), complaints
        except RunFolderError as error:
            complaints.append(str(error))
    raise RunFolderError(
        f"{folder}: no usable checkpoint"
        + (": " + "; ".join(complaints) if complaints else " was ever written")
        + ". Start the run anew with `sslplug train`."
    )


def _digest(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
