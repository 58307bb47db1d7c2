"""A trained encoder put to use: ``sslplug embed``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslplug.build import build_data, build_encoder
from sslplug.errors import RunFolderError, UsageError
from sslplug.evaluation import embed as embed_rows
from sslplug.reporting.progress import say
from sslplug.stages.embedding_files import origin_of, write_levels
from sslplug.stages.session import data_context, fitted_of_run, own_data, recipe_of_run, say_notes
from sslplug.training import checkpoint
from sslplug.training.device import choose_device


def embed(
    run: Path, *, data: str | None, overrides: Sequence[str], out: Path, device: str, data_root: Path | None
) -> list[Path]:
    """Embed data with a run's trained encoder: its own data, or another of the same kind named by ``data`` or overrides.

    Returns the files: ``out`` for the data's level, one beside it for each other level that a ranking task names.

    New rows are encoded by what the run fitted on its training data (scalers, vocabularies); nothing is fitted anew, and no label
    is read. The run's own data is read as it was trained on, so its rows say which part of the split they are in.
    Raises UsageError when the new data does not fit the encoder.
    """
    changes = [*([f"data={data}"] if data else []), *overrides]
    resolved, _ = recipe_of_run(run, changes)
    where = choose_device(device)
    context = data_context(data_root, resolved.seed, False)
    rows = build_data(resolved, replace(context, fitted=fitted_of_run(run))) if changes else own_data(run, resolved, context)
    say_notes(rows)
    found, complaints = checkpoint.newest(run / "checkpoints")
    for complaint in complaints:
        say(complaint)
    encoder = build_encoder(resolved, rows.spec, where)
    weights = encoder_weights(found)
    load_encoder(encoder, weights, str(run), rows.description)
    origin = origin_of(weights, (run / "recipe.yaml").read_text(encoding="utf-8"))
    return write_levels(out, embed_rows(encoder, rows.rows(), where), rows, origin)


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
