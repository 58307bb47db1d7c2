"""A run opened for work: its recipe, plugin, data and finished objects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sslplug import discovery
from sslplug.build import Composed, build_data, compose, schema_of
from sslplug.contracts import DataContext, DomainData
from sslplug.errors import PluginError, RunFolderError
from sslplug.recipe import Resolved, Schema, read_recipe
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import write_text
from sslplug.reporting.sums import prove, record
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
    """The resolved recipe a run folder holds, with overrides. RunFolderError when the folder is no run, or holds links.

    ``sslplug train`` makes no links. One in a folder from elsewhere could lead what is written or dropped there out of it.
    """
    for path in (run / "recipe.yaml", *run.glob("*"), *(run / "checkpoints").glob("*")):
        if path.is_symlink():
            raise RunFolderError(
                f"{path}: is a link; a run folder holds its own files. Put the file it leads to in its place."
            )
    file = run / "recipe.yaml"
    if not file.is_file():
        raise RunFolderError(f"{run}: no recipe.yaml there; expected a run folder as `sslplug train` makes it.")
    raw = read_recipe(file)
    plugin = raw.get("plugin")
    if not isinstance(plugin, str):
        raise RunFolderError(f"{file}: names no plugin; expected the resolved recipe that `sslplug train` wrote.")
    schema = schema_of(discovery.load(plugin))
    return checked(raw, overrides, schema, str(file)), schema


def fitted_text(data: DomainData) -> str:
    """What the data fitted, as the JSON that run folders keep. PluginError where JSON cannot hold it."""
    try:
        return json.dumps(dict(data.fitted), allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        name = data.description.get("name", "unnamed")
        raise PluginError(
            f"Data {name!r}: JSON cannot hold what it fitted ({error}); the plugin must give plain finite numbers, words, "
            "lists and dicts as DomainData.fitted."
        ) from error


def keep_fitted(run: Path, data: DomainData) -> None:
    """Write what the data fitted to the run folder, for new data to be encoded by."""
    write_text(run / "fitted.json", fitted_text(data))
    record(run, [run / "fitted.json"])


def fitted_of_run(run: Path) -> Mapping[str, Any]:
    """What :func:`keep_fitted` wrote. RunFolderError where it is missing or damaged."""
    file = run / "fitted.json"
    remedy = (
        "without the scalers and vocabularies of the training data nothing new can be encoded. Restore it, or train anew."
    )
    prove(file, remedy)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{file}: missing or damaged ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{file}: holds a {type(content).__name__}; expected an object of named values.")
    return content


def own_data(run: Path, resolved: Resolved, context: DataContext) -> DomainData:
    """A run's own data as it was trained on; where that has changed since, its rows encoded by what training fitted."""
    fitted = fitted_of_run(run)
    data = build_data(resolved, context)
    if json.loads(fitted_text(data)) == fitted:
        return data
    name = data.description.get("name", "The data")
    say(f"{name} has changed since {run} was trained: its rows are new, and in no split.")
    return build_data(resolved, replace(context, fitted=fitted))


def say_notes(data: DomainData) -> None:
    """Print what the data found and handled."""
    for note in data.description.get("notes", ()):
        say(f"{data.description.get('name', 'data')}: {note}")
