"""A run opened for work: its recipe, plugin, data and finished objects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sslplug import discovery
from sslplug.build import Composed, build_data, compose, schema_of
from sslplug.contracts import DataContext
from sslplug.errors import RunFolderError
from sslplug.recipe import Resolved, Schema, read_recipe
from sslplug.stages.recipes import checked


def data_context(data_root: Path | None, seed: int, download: bool) -> DataContext:
    """Where data comes from: the option, else SSLPLUG_DATA; downloads go to SSLPLUG_CACHE or the user's cache folder."""
    root = data_root or (Path(os.environ["SSLPLUG_DATA"]) if os.environ.get("SSLPLUG_DATA") else None)
    cache = Path(os.environ.get("SSLPLUG_CACHE", Path.home() / ".cache" / "sslplug"))
    return DataContext(root, cache, seed, download)


@dataclass(frozen=True)
class Session:
    """All objects of one run."""

    resolved: Resolved
    schema: Schema
    composed: Composed
    device: torch.device


def open_session(resolved: Resolved, schema: Schema, context: DataContext, device: torch.device) -> Session:
    """Build data and model of a resolved recipe."""
    data = build_data(resolved, context)
    return Session(resolved, schema, compose(resolved, schema, data, device), device)


def recipe_of_run(run: Path, overrides: Sequence[str]) -> tuple[Resolved, Schema]:
    """The resolved recipe a run folder holds, with overrides. RunFolderError when the folder is no run."""
    file = run / "recipe.yaml"
    if not file.is_file():
        raise RunFolderError(f"{run}: no recipe.yaml there; expected a run folder as `sslplug train` makes it.")
    raw = read_recipe(file)
    plugin = raw.get("plugin")
    if not isinstance(plugin, str):
        raise RunFolderError(f"{file}: names no plugin; expected the resolved recipe that `sslplug train` wrote.")
    schema = schema_of(discovery.load(plugin))
    return checked(raw, overrides, schema, str(file)), schema
