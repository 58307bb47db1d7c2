"""Recipes: what a run is made of, in words. Pure mechanism: which components exist comes in as a :class:`Schema`.

Read a file (``read_recipe``), override parts of it (``apply_overrides``), check it as a whole (``resolve``), write it out
with every default (``dump``). Names in a recipe are names in tables, never import paths: a recipe cannot execute code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sslplug.contracts import Choice, Options
from sslplug.errors import RecipeError
from sslplug.recipe_check import Checker, Node, nearest
from sslplug.recipe_describe import ComponentRow, OptionRow, describe, json_schema
from sslplug.recipe_fit import misfits
from sslplug.recipe_types import Picked, Resolved, Schema, dump
from sslplug.recipe_yaml import CHOICE_SECTIONS, apply_overrides, read_recipe

__all__ = [
    "CHOICE_SECTIONS",
    "ComponentRow",
    "OptionRow",
    "Picked",
    "Resolved",
    "Schema",
    "apply_overrides",
    "describe",
    "dump",
    "json_schema",
    "pick",
    "read_recipe",
    "resolve",
]

_PLAIN = ("plugin", "name", "about", "seed")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def resolve(raw: Mapping[str, Any], schema: Schema, source: str, tags: frozenset[str] = frozenset()) -> Resolved:
    """The checked recipe: every name known, every option typed, every default filled in, all parts fitting together.

    source  what to call the recipe in errors; its file name is the recipe's name where it gives none
    tags    tags granted from outside the components: ``labels`` where the train section names a task

    Raises RecipeError with all problems at once.
    """
    checker = Checker(schema)
    known = (*_PLAIN, *CHOICE_SECTIONS, *schema.sections)
    problems = [(str(key), f"unknown section. {nearest(str(key), known)}") for key in raw if key not in known]
    problems += _plain_problems(raw, schema)
    nodes: dict[str, Node] = {}
    for section in CHOICE_SECTIONS:
        if raw.get(section) is not None:
            node = checker.choice(section, raw[section], section)
            if node is not None:
                nodes[section] = node
        elif section != "objective":
            choices = nearest("", schema.tables.get(section, {}))
            problems.append((section, f"is missing; choose a component of this plugin. {choices}"))
    sections: dict[str, Options] = {}
    for section, model in schema.sections.items():
        given = raw.get(section)
        options = checker.options(model, {} if given is None else given, section)
        if options is not None:
            sections[section] = options
    problems += checker.problems
    if all(section in nodes or (section == "objective" and raw.get(section) is None) for section in CHOICE_SECTIONS):
        problems += misfits(nodes, schema, tags)
    if problems:
        raise RecipeError(source, problems)
    picked = {section: node.picked for section, node in nodes.items()}
    name = raw.get("name") or _name_of(source)
    return Resolved(schema.plugin, raw.get("seed") or 0, name, raw.get("about") or "", picked, sections)


def pick(choice: Choice, table: str, schema: Schema) -> Picked:
    """The component and checked options of a choice nested in another component's options.

    Raises RecipeError like ``resolve``.
    """
    checker = Checker(schema)
    node = checker.choice(table, {"name": choice.name, **choice.given()}, table)
    if node is None:
        raise RecipeError(f"{table} {choice.name!r}", checker.problems)
    return node.picked


def _plain_problems(raw: Mapping[str, Any], schema: Schema) -> list[tuple[str, str]]:
    """What is wrong with the sections that hold one value."""
    problems = []
    if "plugin" not in raw:
        problems.append(("plugin", f"is missing; add 'plugin: {schema.plugin}'."))
    elif raw["plugin"] != schema.plugin:
        problems.append(("plugin", f"found {raw['plugin']!r}; this recipe is read for plugin {schema.plugin!r}."))
    seed = raw.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        problems.append(("seed", f"found {seed!r}; expected a whole number from 0 to 2**63 - 1."))
    for key in ("name", "about"):
        if not isinstance(raw.get(key, ""), str):
            problems.append((key, f"found {raw[key]!r}; expected text."))
    name = raw.get("name")
    if isinstance(name, str) and name and not _NAME.fullmatch(name):
        problems.append(("name", f"found {name!r}; it names a folder: expected letters, digits, '.', '_' and '-'."))
    return problems


def _name_of(source: str) -> str:
    """A recipe's name after the file it came from."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", PurePath(source).stem).strip("-.") or "recipe"
