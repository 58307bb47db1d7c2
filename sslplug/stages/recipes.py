"""From what a user typed to a checked recipe."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslplug import discovery
from sslplug.build import recipe_tags, schema_of
from sslplug.contracts import Plugin
from sslplug.errors import RecipeError, UsageError, meant
from sslplug.recipe import Resolved, Schema, apply_overrides, read_recipe, resolve

_PUBLISHED_FOR = ("data", "views", "encoder", "method", "objective")


def schema(plugin: str) -> Schema:
    """What recipes of ``plugin`` may say."""
    return schema_of(discovery.load(plugin))


def written(plugin: Plugin, recipe: str | None) -> tuple[dict[str, Any], str]:
    """What the recipe called ``recipe`` says (a file's path, or the name of one that ships; None: the default), and its source.

    Raises UsageError for a name that does not exist, RecipeError for a file that holds no recipe.
    """
    name = recipe or plugin.default_recipe
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UsageError(f"Recipe file {path} does not exist. `sslplug recipes {plugin.name}` lists those that ship.")
        return read_recipe(path), str(path)
    shipped = discovery.recipes_of(plugin)
    if name not in shipped:
        raise UsageError(
            f"Plugin {plugin.name!r} ships no recipe {name!r}.{meant(name, shipped)} It has {', '.join(sorted(shipped))}. "
            "Name one of these, or a .yaml file."
        )
    with importlib.resources.as_file(shipped[name]) as file:
        return read_recipe(file), f"{name}.yaml"


def chosen(plugin: Plugin, recipe: str | None, overrides: Sequence[str], schema: Schema) -> Resolved:
    """The recipe that :func:`written` finds, with overrides.

    Published figures belong to the recipe's own data and method: overrides of these leave them out.
    Raises UsageError for a name that does not exist, RecipeError for a recipe that cannot be used.
    """
    raw, source = written(plugin, recipe)
    if any(re.split(r"[.=]", override)[0].strip() in _PUBLISHED_FOR for override in overrides):
        evaluate = raw.get("evaluate")
        if isinstance(evaluate, dict):
            evaluate.pop("published", None)
    return checked(raw, overrides, schema, source)


def checked(raw: dict[str, Any], overrides: Sequence[str], schema: Schema, source: str) -> Resolved:
    """A raw recipe with overrides, resolved; its plugin must be the schema's."""
    raw = apply_overrides(raw, overrides)
    if raw.get("plugin", schema.plugin) != schema.plugin:
        raise RecipeError(
            source, [("plugin", f"is {raw['plugin']!r}, but plugin {schema.plugin!r} was asked for; name one of the two.")]
        )
    return resolve(raw, schema, source, recipe_tags(raw))
