"""The command line that trains a recipe's runs again: the shipped recipe, and what was set apart from it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.contracts import Plugin
from sslplug.errors import UsageError
from sslplug.recipe import CHOICE_SECTIONS, Schema, apply_overrides
from sslplug.stages.recipes import checked, chosen

_APART = ("plugin", "name", "about", "seed")


def training_command(recipe: Mapping[str, Any], seeds: Sequence[int], run: Path) -> str:
    """``sslplug train ...`` whose recipe comes to ``recipe``, for ``seeds``; what others published is left aside.

    The options that differ from the shipped recipe of this name are set, which is checked by resolving the command. Where that
    is not possible (the plugin is not installed, the recipe is the user's own, options are of another version) the command
    names the recipe in the run folder ``run``. Seeds that are not in a row take a command each row.
    """
    words = ["sslplug", "train", "--plugin", str(recipe["plugin"]), "--recipe"]
    found = _overrides(recipe)
    if found is None:
        own, start = [str(run / "recipe.yaml")], None
    else:
        own, start = [str(recipe["name"])], found[1]
        own += [part for override in found[0] for part in ("--set", override)]
    commands = []
    for first, count in _rows(sorted(seeds)):
        where = [] if first == start else ["--set", f"seed={first}"]
        many = ["--seeds", str(count)] if count > 1 else []
        commands.append(shlex.join([*words, *own, *where, *many]))
    return " && ".join(commands)


def _overrides(recipe: Mapping[str, Any]) -> tuple[list[str], int] | None:
    """(overrides, the seed without any) that make the shipped recipe of this name into ``recipe``; None where none do.

    First the components that were chosen otherwise, then their options; where that does not resolve, or comes to something
    else, every section that differs as a whole.
    """
    try:
        plugin = discovery.load(str(recipe["plugin"]))
        if recipe["name"] not in discovery.recipes_of(plugin):
            return None
        schema = schema_of(plugin)
        own = _resolved(plugin, schema, recipe, [])
        # Options that came after the run have their defaults.
        wanted, shipped = _said(checked(dict(recipe), [], schema, "the run's recipe").to_dict()), _said(own)
    except UsageError:
        return None
    names = [
        f"{section}={_text(wanted[section]['name'])}"
        for section in CHOICE_SECTIONS
        if section in wanted and shipped.get(section, {}).get("name") != wanted[section]["name"]
    ]
    whole = [f"{key}={_text(wanted.get(key))}" for key in {**wanted, **shipped} if wanted.get(key) != shipped.get(key)]
    for attempt in (names, whole):
        try:
            found = _said(_resolved(plugin, schema, recipe, attempt))
            more = [f"{path}={_text(value)}" for key in found for path, value in _leaves(found[key], wanted.get(key), key)]
            if _said(_resolved(plugin, schema, recipe, [*attempt, *more])) == wanted:
                return [*attempt, *more], int(own["seed"])
        except UsageError:
            continue
    return None


def _resolved(plugin: Plugin, schema: Schema, recipe: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The shipped recipe with overrides, as plain data."""
    return chosen(plugin, str(recipe["name"]), overrides, schema).to_dict()


def _said(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run: the recipe without its names, its seed and what others published."""
    found = {key: value for key, value in recipe.items() if key not in _APART}
    if isinstance(found.get("evaluate"), Mapping):
        found["evaluate"] = {key: value for key, value in found["evaluate"].items() if key != "published"}
    return found


def _leaves(own: Any, wanted: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of every option below ``path`` that differs; a list is one value."""
    if isinstance(own, Mapping) and isinstance(wanted, Mapping) and own.keys() == wanted.keys():
        for key in own:
            yield from _leaves(own[key], wanted[key], f"{path}.{key}")
    elif own != wanted:
        yield path, wanted


def _text(value: Any) -> str:
    """A value as ``--set`` takes it: a word as it is where it reads back to itself, else JSON, which is YAML too."""
    if isinstance(value, str):
        try:
            if value and apply_overrides({}, [f"x={value}"]) == {"x": value}:
                return value
        except UsageError:
            pass
    return json.dumps(value, ensure_ascii=False)


def _rows(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """[(first, how many)] of seeds in a row.

    >>> _rows([0, 1, 2, 5])
    [(0, 3), (5, 1)]
    """
    found: list[tuple[int, int]] = []
    for seed in seeds:
        if found and sum(found[-1]) == seed:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((seed, 1))
    return found
