"""An exported encoder put to use with sslplug: rows are encoded as its training data was, and the program embeds them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from sslplug import discovery
from sslplug.build import build_data, schema_of
from sslplug.contracts import Embedding, View
from sslplug.errors import UsageError
from sslplug.evaluation import embed
from sslplug.exporting.archive import load_program
from sslplug.exporting.leaves import leaves
from sslplug.exporting.manifest import read_manifest
from sslplug.recipe import read_recipe
from sslplug.stages.recipes import checked
from sslplug.stages.session import data_context, say_notes

Program = Callable[..., Mapping[str, Tensor]]


@dataclass(frozen=True)
class ExportedEncoder:
    """The programs of a folder that ``sslplug export`` wrote.

    manifest   what the folder says of itself
    programs   {role: program}, each called with the tensors that the manifest names: ``program(**tensors) -> {level: tensor}``
    """

    folder: Path
    manifest: Mapping[str, Any]
    programs: Mapping[str, Program]

    def embed(
        self, memory: Any = None, *, overrides: Sequence[str] = (), data_root: Path | None = None
    ) -> dict[str, np.ndarray]:
        """{level: (n, d) float32} for every row of data of the kind that the encoder was trained on, in the data's order.

        memory     a table or array, for plugins with the data component ``memory``; None: the recipe's own data
        overrides  ``data.option=value`` words, as ``sslplug embed --set`` takes them: ``data.path=new.csv``

        Rows are encoded by what the training data fitted. Raises UsageError and DataError where the data does not fit.
        """
        recipe = read_recipe(self.folder / "recipe.yaml")
        schema = schema_of(discovery.load(str(recipe["plugin"])))
        changes = list(overrides) if memory is None else [*_from_memory(recipe, schema.tables["data"]), *overrides]
        resolved = checked(recipe, changes, schema, str(self.folder / "recipe.yaml"))
        fitted = json.loads((self.folder / "fitted.json").read_text(encoding="utf-8"))
        context = replace(data_context(data_root, resolved.seed, False), memory=memory, fitted=fitted)
        data = build_data(resolved, context)
        say_notes(data)
        return self.embed_views(data.rows())

    def embed_views(self, views: Iterable[View]) -> dict[str, np.ndarray]:
        """The same for clean views, as a plugin's data yields them."""
        return embed(_AsEncoder(self), views, "cpu")

    def __call__(self, view: View) -> Mapping[str, Tensor]:
        """{level: (n, d)} of one view."""
        if view.role not in self.programs:
            raise UsageError(
                f"{self.folder}: has no program for views of role {view.role!r}; it has {', '.join(map(repr, self.programs))}."
            )
        described = next(one for one in self.manifest["programs"] if one["role"] == view.role)
        found = {path: value for path, value in leaves(view).items() if isinstance(value, Tensor)}
        missing = [one["path"] for one in described["inputs"] if one["path"] not in found]
        if missing:
            raise UsageError(
                f"{self.folder}: the program reads {missing[0]}, which these rows do not have; they have {', '.join(found)}. "
                "Give rows of the data that the encoder was trained on."
            )
        return self.programs[view.role](**{one["name"]: found[one["path"]] for one in described["inputs"]})


class _AsEncoder(nn.Module):
    """An exported encoder where an encoder is asked for."""

    def __init__(self, exported: ExportedEncoder) -> None:
        super().__init__()
        self.exported = exported

    def forward(self, view: View) -> Embedding:
        return Embedding(self.exported(view))


def load_encoder(folder: Path | str) -> ExportedEncoder:
    """The encoder in a folder that ``sslplug export`` wrote; every file's sha256 is compared with the manifest first.

    No code of the plugin's encoders or methods is needed; ``embed`` needs the plugin for its data.
    Raises RunFolderError where a file is missing, changed or no program, UsageError where no program was exported.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if not manifest["programs"]:
        raise UsageError(f"{folder}: holds no program. {manifest['program_left_out']}")
    programs = {one["role"]: load_program(folder / one["file"]).module() for one in manifest["programs"]}
    return ExportedEncoder(folder, manifest, programs)


def _from_memory(recipe: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """The recipe's data as the plugin's ``memory``, with the options that both have."""
    if "memory" not in known:
        raise UsageError(
            f"Plugin {recipe['plugin']!r} reads no tables from memory; name files with overrides=['data.path=...'] instead."
        )
    section = recipe["data"] if isinstance(recipe["data"], Mapping) else {"name": recipe["data"]}
    fields = known["memory"].options.model_fields
    if section["name"] == "memory":
        return []
    written = [f"data.{key}={json.dumps(value)}" for key, value in section.items() if key in fields and key != "name"]
    return ["data.name=memory", *written]
