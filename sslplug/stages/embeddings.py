"""Embeddings as files, and a trained encoder put to use: ``sslplug embed`` and ``sslplug export``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from sslplug.errors import RunFolderError, UsageError
from sslplug.evaluation import embed as embed_rows
from sslplug.recipe import dump
from sslplug.reporting.runfolder import write_text
from sslplug.stages.session import data_context, open_session, recipe_of_run
from sslplug.training import checkpoint
from sslplug.training.device import choose_device


def write_embeddings(file: Path, rows: np.ndarray) -> None:
    """(n, d) float32 rows as Parquet: ``row``, ``e0`` ... Published by a rename; RunFolderError when the disk refuses."""
    columns = {"row": np.arange(len(rows))} | {f"e{column}": rows[:, column] for column in range(rows.shape[1])}
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), hidden)
        os.replace(hidden, file)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise RunFolderError(
            f"{file}: the embeddings could not be written ({error}); free space or choose another file."
        ) from error


def embed(run: Path, *, data: str | None, overrides: Sequence[str], out: Path, device: str, data_root: Path | None) -> None:
    """Embed data with a run's trained encoder: its own data, or another of the same kind named by ``data`` or overrides.

    Raises UsageError when the new data does not fit the encoder.
    """
    changes = [*([f"data={data}"] if data else []), *overrides]
    resolved, schema = recipe_of_run(run, changes)
    session = open_session(resolved, schema, data_context(data_root, resolved.seed, False), choose_device(device))
    found, _ = checkpoint.newest(run / "checkpoints")
    encoder = session.composed.method.encoder
    assert isinstance(encoder, torch.nn.Module)  # the Method contract
    _load_encoder(encoder, found, session.composed.data.description)
    levels = embed_rows(encoder, session.composed.data.rows(), session.device)
    write_embeddings(out, levels[session.composed.data.level])


def export(run: Path, out: Path) -> None:
    """A folder for use elsewhere: the encoder's weights (safetensors) and the recipe that builds it."""
    resolved, _ = recipe_of_run(run, [])
    found, _ = checkpoint.newest(run / "checkpoints")
    weights = {name: tensor for name, tensor in found.model.items() if name.startswith("encoder.")}
    try:
        out.mkdir(parents=True, exist_ok=True)
        hidden = out / f".encoder.safetensors.{os.getpid()}"
        save_file({name.removeprefix("encoder."): tensor for name, tensor in weights.items()}, hidden)
        os.replace(hidden, out / "encoder.safetensors")
        write_text(out / "recipe.yaml", dump(resolved))
    except OSError as error:
        raise RunFolderError(
            f"{out}: the export could not be written ({error}); free space or choose another folder."
        ) from error


def _load_encoder(encoder: torch.nn.Module, found: checkpoint.Checkpoint, data: Mapping[str, Any]) -> None:
    """Put a checkpoint's encoder to use on ``data``, which its description names. UsageError where they do not fit."""
    weights = {n.removeprefix("encoder."): t for n, t in found.model.items() if n.startswith("encoder.")}
    try:
        checkpoint.load_model(encoder, weights, found.folder)
    except RunFolderError as error:
        own = checkpoint.model_tensors(encoder)
        apart = [name for name in sorted(own.keys() & weights.keys()) if own[name].shape != weights[name].shape]
        shapes = [
            f"{name} would be {tuple(own[name].shape)} and was trained as {tuple(weights[name].shape)}" for name in apart
        ]
        raise UsageError(
            f"Data {data.get('name', 'unnamed')!r} does not fit the encoder of {found.folder.parent.parent}: "
            f"{f'{shapes[0]}.' if shapes else error} Give data with the columns that the encoder was trained on."
        ) from error
