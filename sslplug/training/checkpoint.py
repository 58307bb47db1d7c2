"""Checkpoints: published by one atomic rename, verified by digests, no pickle.

A checkpoint is the folder ``checkpoints/step-000123`` with ``model.safetensors``, ``optim.safetensors``, ``state.json`` and
``MANIFEST.json`` (sha256 and size of each file, written last). A folder without a valid manifest does not exist for us.
The same step saved again (a resumed run that ends where it was stopped) becomes ``step-000123-2`` before the former is dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sslplug.errors import RunFolderError

_FILES = ("model.safetensors", "optim.safetensors", "state.json")
_NAME = re.compile(r"step-(\d{6,})(?:-(\d+))?")
_LONGEST_STATE = 2**20
"""Bytes of ``state.json``; what the loop writes is about a thousand."""
_Count = Annotated[int, Field(ge=0, lt=2**53)]


class _State(BaseModel):
    """What ``state.json`` holds: where the loop stands, as plain numbers."""

    epoch: _Count
    done: _Count
    step: _Count
    rows: _Count
    diagnostics: dict[str, float]
    collapsed: str | None
    scaler: dict[str, Any] | None
    epoch_loss: float
    best_loss: float
    best_since: _Count
    seconds: float = 0.0
    finished: bool


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


def load_optimizer(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor], source: Path) -> None:
    """Restore what :func:`optimizer_tensors` gave. RunFolderError where it belongs to other parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, _, name = key.partition(".")
        known = number.isdecimal() and name and int(number) < len(parameters)
        if not known or value.shape not in (torch.Size(), parameters[int(number)].shape):
            raise RunFolderError(
                f"{source}: its optimiser's tensor {key!r} of shape {tuple(value.shape)} belongs to none of this recipe's "
                f"{len(parameters)} parameters. The recipe or the data changed since it was written; use the run's own recipe.yaml."
            )
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

    Everything is written to a hidden folder, flushed to disk and renamed to a name that nobody has, then what is no longer kept
    is renamed away and removed. A failure or a kill at any instant leaves the former checkpoints as they were. Raises
    RunFolderError when the disk refuses.
    """
    former = published(folder)
    again = [path for path in former if _place(path)[0] == state["step"]]
    name = f"step-{state['step']:06d}"
    target = folder / (f"{name}-{_place(again[-1])[1] + 1}" if again else name)
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
        _flush(hidden)
        os.rename(hidden, target)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise RunFolderError(
            f"{target}: the checkpoint could not be written ({error}). Earlier checkpoints are untouched; free space or choose "
            "another folder with --runs, then `sslplug resume` the run."
        ) from error
    older = [path for path in former if path not in again]
    for old in (*again, *older[: max(len(older) + 1 - keep, 0)]):
        # Renamed away first: a kill amid the removal must not leave half a checkpoint under a published name. One that cannot
        # be removed takes room and does no harm.
        gone = folder / f".{old.name}-{os.getpid()}"
        with suppress(OSError):
            os.rename(old, gone)
            shutil.rmtree(gone, ignore_errors=True)
    return target


def published(folder: Path) -> list[Path]:
    """Published checkpoint folders, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_place)


def _place(path: Path) -> tuple[int, int]:
    """A published folder's step, and how many times that step had been saved with it."""
    found = _NAME.fullmatch(path.name)
    assert found is not None  # published() gives no others
    return int(found[1]), int(found[2] or 1)


def load(folder: Path) -> Checkpoint:
    """One checkpoint, every digest checked. RunFolderError names the file that is missing, damaged or not a checkpoint's."""
    try:
        manifest = json.loads((folder / "MANIFEST.json").read_text())
        wanted = {name: (str(manifest[name]["sha256"]), int(manifest[name]["bytes"])) for name in _FILES}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise RunFolderError(
            f"{folder}: MANIFEST.json is missing or unreadable ({error!r}); this checkpoint is unusable."
        ) from error
    for name, (digest, size) in wanted.items():
        file = folder / name
        # The size first: a file that grew to a terabyte is refused without being read.
        if not file.is_file() or file.stat().st_size != size or _digest(file)["sha256"] != digest:
            raise RunFolderError(f"{file}: missing, or not the file that was written (its sha256 or size differs).")
    if wanted["state.json"][1] > _LONGEST_STATE:
        raise RunFolderError(f"{folder / 'state.json'}: {wanted['state.json'][1]} bytes; no training writes that.")
    try:
        state = _State.model_validate_json((folder / "state.json").read_bytes()).model_dump()
        return Checkpoint(folder, load_file(folder / "model.safetensors"), load_file(folder / "optim.safetensors"), state)
    except (OSError, SafetensorError, ValidationError) as error:
        first = " ".join(str(error).split())[:200]
        raise RunFolderError(f"{folder}: its files hold no checkpoint ({first}); this checkpoint is unusable.") from error


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
    with path.open("rb") as content:
        return {"sha256": hashlib.file_digest(content, "sha256").hexdigest(), "bytes": content.tell()}


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
