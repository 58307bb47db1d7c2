"""Train on a table or array in memory, embed others with what came of it: for programs, not for the command line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sslplug import discovery
from sslplug.build import build_data, build_encoder, schema_of
from sslplug.contracts import Plugin
from sslplug.errors import UsageError
from sslplug.evaluation import embed
from sslplug.recipe import Resolved, Schema
from sslplug.stages.embeddings import encoder_weights, load_encoder
from sslplug.stages.recipes import checked, chosen
from sslplug.stages.session import data_context, fitted_text, keep_fitted, open_session, say_notes
from sslplug.stages.train import keep_outcome, loop_run, new_folder, reporting, total_steps
from sslplug.training import checkpoint
from sslplug.training.device import choose_device
from sslplug.training.loop import TrainOptions
from sslplug.training.loop import train as train_loop


@dataclass(frozen=True)
class Trained:
    """A trained encoder as plain values, which pickle and need no run folder.

    recipe     the resolved recipe, as plain data
    fitted     what the training data fitted, as JSON
    weights    the encoder's parameters and buffers by name
    width      columns of its embeddings
    steps      optimiser steps taken
    collapsed  a sentence where the embeddings collapsed, else ""
    """

    recipe: Mapping[str, Any]
    fitted: str
    weights: Mapping[str, np.ndarray]
    width: int
    steps: int
    collapsed: str


def fit_memory(
    memory: Any,
    rows: int,
    *,
    plugin: str,
    recipe: str | None,
    overrides: Sequence[str],
    device: str,
    runs: Path | None,
    verbose: bool,
) -> Trained:
    """Train a recipe of ``plugin`` on ``memory``, which has ``rows`` rows; keep the run folder only where ``runs`` is given.

    The recipe's data gives way to the plugin's ``memory``; options that both know are kept. A batch larger than the table
    becomes the whole table. Raises what ``sslplug train`` raises; an interrupt ends training at once.
    """
    loaded = discovery.load(plugin)
    schema = schema_of(loaded)
    resolved = _resolved(loaded, recipe, overrides, schema, rows)
    context = replace(data_context(None, resolved.seed, False), memory=memory)
    with ExitStack() as stack:
        place = runs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sslplug-")))
        session = open_session(resolved, schema, context, choose_device(device))
        folder = new_folder(resolved, place)
        data = session.composed.data
        keep_fitted(folder, data)
        if verbose:
            say_notes(data)
        title, total = f"{resolved.plugin}/{resolved.name}", total_steps(session)
        reporter = stack.enter_context(reporting(folder, title, 0, total, False, log=runs is not None, show=verbose))
        outcome = train_loop(loop_run(session, folder, reporter, lambda: False))
        keep_outcome(session, folder, outcome)
        weights = encoder_weights(checkpoint.newest(folder / "checkpoints")[0])
    encoder = session.composed.method.encoder
    return Trained(
        resolved.to_dict(),
        fitted_text(data),
        {name: tensor.numpy().copy() for name, tensor in weights.items()},
        int(encoder.dims[data.level]),  # type: ignore[index, union-attr]
        outcome.step,
        outcome.collapsed or "",
    )


def embed_memory(trained: Trained, memory: Any, *, device: str, verbose: bool) -> np.ndarray:
    """(n, width) float32: the embeddings of another table's rows, in their order, encoded by what training fitted."""
    schema = schema_of(discovery.load(trained.recipe["plugin"]))
    resolved = checked(dict(trained.recipe), [], schema, "the trained encoder's recipe")
    where = choose_device(device)
    context = replace(data_context(None, resolved.seed, False), memory=memory, fitted=json.loads(trained.fitted))
    data = build_data(resolved, context)
    if verbose:
        say_notes(data)
    encoder = build_encoder(resolved, data.spec, where)
    weights = {name: torch.from_numpy(array) for name, array in trained.weights.items()}
    load_encoder(encoder, weights, "this transformer", data.description)
    return embed(encoder, data.rows(), where)[data.level]


def _resolved(plugin: Plugin, recipe: str | None, overrides: Sequence[str], schema: Schema, rows: int) -> Resolved:
    """The recipe on data from memory, its batch no larger than the table."""
    if "memory" not in plugin.data:
        raise UsageError(
            f"Plugin {plugin.name!r} has no data component 'memory', so it reads no tables from memory; it has "
            f"{', '.join(sorted(plugin.data))}. Use `sslplug train`, or a plugin that has it."
        )
    written = chosen(plugin, recipe, [], schema).picked["data"]
    known = plugin.data["memory"].options.model_fields
    given = written.options.model_dump(mode="json", include=written.options.model_fields_set & set(known))
    kept = [] if written.name == "memory" else ["data.name=memory", *(f"data.{k}={json.dumps(v)}" for k, v in given.items())]
    changes = [*kept, *overrides]
    resolved = chosen(plugin, recipe, changes, schema)
    options = resolved.sections["train"]
    assert isinstance(options, TrainOptions)  # the schema says so
    if options.batch_size <= rows:
        return resolved
    size = rows // options.accumulate * options.accumulate
    return chosen(plugin, recipe, [*changes, f"train.batch_size={size}"], schema)
