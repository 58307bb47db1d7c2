"""Embeddings as files, and a trained encoder put to use: ``sslplug embed``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from sslplug.build import build_data, build_encoder
from sslplug.contracts import DomainData, RankingTask, tasks_of
from sslplug.errors import RunFolderError, UsageError
from sslplug.evaluation import embed as embed_rows
from sslplug.reporting.progress import say
from sslplug.stages.session import data_context, fitted_of_run, recipe_of_run, say_notes
from sslplug.training import checkpoint
from sslplug.training.device import choose_device


def write_levels(file: Path, levels: Mapping[str, np.ndarray], data: DomainData) -> list[Path]:
    """The embeddings of the data's level in ``file``, and those of each other level that a ranking task names in a file beside it
    (:func:`level_file`), with the rows' names where the task knows them. Returns the files."""
    ranked = tasks_of(RankingTask, data.tasks).values()
    names = {task.query: task.query_names for task in ranked} | {task.level: task.candidate_names for task in ranked}
    written = []
    for level in dict.fromkeys([data.level, *names]):
        if level in levels:
            written.append(level_file(file, level, data.level))
            write_embeddings(written[-1], levels[level], names.get(level))
    return written


def level_file(file: Path, level: str, main: str) -> Path:
    """Where a level's embeddings lie: ``file`` for the data's own level, else ``<file>.<level>.parquet``.

    >>> level_file(Path("out/rows.parquet"), "user", "item").name
    'rows.user.parquet'
    """
    return file if level == main else file.with_name(f"{file.stem}.{level}{file.suffix}")


def write_embeddings(file: Path, rows: np.ndarray, names: Sequence[str] | None = None) -> None:
    """(n, d) float32 rows as Parquet: ``row``, ``name`` where rows are named, ``e0`` ... Published by a rename.

    RunFolderError when the disk refuses.
    """
    columns: dict[str, Any] = {"row": np.arange(len(rows))} | ({} if names is None else {"name": list(names)})
    columns |= {f"e{column}": rows[:, column] for column in range(rows.shape[1])}
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


def embed(
    run: Path, *, data: str | None, overrides: Sequence[str], out: Path, device: str, data_root: Path | None
) -> list[Path]:
    """Embed data with a run's trained encoder: its own data, or another of the same kind named by ``data`` or overrides.

    Returns the files: ``out`` for the data's level, one beside it for each other level that a ranking task names.

    New rows are encoded by what the run fitted on its training data (scalers, vocabularies); nothing is fitted anew.
    Raises UsageError when the new data does not fit the encoder.
    """
    changes = [*([f"data={data}"] if data else []), *overrides]
    resolved, _ = recipe_of_run(run, changes)
    where = choose_device(device)
    context = replace(data_context(data_root, resolved.seed, False), fitted=fitted_of_run(run))
    rows = build_data(resolved, context)
    say_notes(rows)
    found, complaints = checkpoint.newest(run / "checkpoints")
    for complaint in complaints:
        say(complaint)
    encoder = build_encoder(resolved, rows.spec, where)
    load_encoder(encoder, encoder_weights(found), str(run), rows.description)
    return write_levels(out, embed_rows(encoder, rows.rows(), where), rows)


def read_embeddings(file: Path) -> np.ndarray:
    """(n, d) float32 rows that :func:`write_embeddings` wrote. RunFolderError where they are missing or damaged."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunFolderError(
            f"{file}: no embeddings can be read there ({error}); `sslplug evaluate` writes them."
        ) from error
    columns = [name for name in table.column_names if name not in ("row", "name")]
    return np.stack([table[name].to_numpy() for name in columns], axis=1)


def encoder_weights(found: checkpoint.Checkpoint) -> dict[str, Tensor]:
    """The encoder's tensors of a checkpoint, by their names in the encoder."""
    return {name.removeprefix("encoder."): t for name, t in found.model.items() if name.startswith("encoder.")}


def load_encoder(encoder: torch.nn.Module, weights: Mapping[str, Tensor], trained: str, data: Mapping[str, Any]) -> None:
    """Put trained weights to use on ``data``, which its description names. UsageError where they do not fit."""
    try:
        checkpoint.load_model(encoder, weights, Path(trained))
    except RunFolderError as error:
        own = checkpoint.model_tensors(encoder)
        apart = [name for name in sorted(own.keys() & weights.keys()) if own[name].shape != weights[name].shape]
        shapes = [
            f"{name} would be {tuple(own[name].shape)} and was trained as {tuple(weights[name].shape)}" for name in apart
        ]
        raise UsageError(
            f"Data {data.get('name', 'unnamed')!r} does not fit the encoder of {trained}: "
            f"{f'{shapes[0]}.' if shapes else error} Give data with the columns that the encoder was trained on."
        ) from error
