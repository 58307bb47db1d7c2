"""The matrix of a comparison: plugin x recipe x objective x seed, and what of it cannot work, with the reason.

By default a plugin's default recipe is trained with every objective that can stand in place of its own. For an objective that
cannot, a recipe of the same plugin takes its place, on the default recipe's data and judged as it is: one that was written
for this objective, else, for an objective that compares views, one that compares views. On data that is not its own it is
called <recipe>-on-<data>. Nothing is decided here that ``sslplug train`` would decide otherwise: a combination is refused where
the recipe check refuses it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.contracts import Plugin
from sslplug.errors import RecipeError
from sslplug.recipe import Resolved, Schema
from sslplug.recipe_places import places
from sslplug.stages.bench.budget import Budget, cuts
from sslplug.stages.recipes import chosen, written

OWN = "own"
"""Stands for the loss of a recipe that names no objective, or several."""

_TABLE = "objective"
_VIEWS = "score:views"


@dataclass(frozen=True)
class Cell:
    """One run to be made.

    recipe     as ``sslplug train --recipe`` takes it
    overrides  as ``--set`` takes them, the seed among them
    resolved   what they come to
    """

    plugin: str
    recipe: str
    objective: str
    overrides: tuple[str, ...]
    resolved: Resolved

    @cached_property
    def digest(self) -> str:
        """What tells this cell from all others: a hash of all that its recipe says."""
        return hashlib.sha256(content(self.resolved.to_dict()).encode()).hexdigest()

    @property
    def label(self) -> str:
        """The cell in words."""
        return f"{self.plugin}/{self.resolved.name} {self.objective}, seed {self.resolved.seed}"

    @property
    def options(self) -> list[str]:
        """What follows ``sslplug train`` to make this run, but where runs and data lie."""
        return ["--plugin", self.plugin, "--recipe", self.recipe, *(w for o in self.overrides for w in ("--set", o))]


@dataclass(frozen=True)
class Refused:
    """A combination that is never attempted, and why."""

    plugin: str
    recipe: str
    objective: str
    reason: str

    @property
    def label(self) -> str:
        """The combination in words."""
        return f"{self.plugin}/{self.recipe} {self.objective}"


@dataclass(frozen=True)
class _Row:
    """A recipe with one objective, before seeds."""

    recipe: str
    objective: str
    overrides: tuple[str, ...]
    resolved: Resolved


def expand(
    plugin: Plugin, recipes: Sequence[str], objectives: Sequence[str], seeds: int, budget: Budget
) -> tuple[list[Cell], list[Refused]]:
    """The cells of a plugin, seed by seed, and what was refused.

    recipes     names or files; none: the default recipe and what takes its place
    objectives  names, :data:`OWN` among them; none: what each recipe says, and every objective of engine and plugin

    Raises UsageError for a recipe that does not exist, RecipeError for one that cannot be used as it is.
    """
    schema = schema_of(plugin)
    rows: list[_Row] = []
    refused: list[Refused] = []
    for recipe in recipes or [plugin.default_recipe]:
        for made in _of_recipe(plugin, schema, recipe, objectives, stand_in=not recipes):
            (rows if isinstance(made, _Row) else refused).append(made)  # type: ignore[arg-type]
    cells: dict[str, Cell] = {}
    for seed in range(seeds):
        for row in rows:
            own = (*row.overrides, *cuts(budget, row.resolved), f"seed={row.resolved.seed + seed}")
            cell = Cell(plugin.name, row.recipe, row.objective, own, chosen(plugin, row.recipe, own, schema))
            cells.setdefault(cell.digest, cell)
    return list(cells.values()), refused


def in_turn(cells: Sequence[Cell]) -> list[Cell]:
    """Seed by seed, and within a seed a cell of each plugin in turn: soon there is a whole comparison with fewer seeds, and
    soon it is known what each plugin's runs cost."""
    first: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    ranks: Counter[tuple[str, int]] = Counter()
    for cell in cells:  # a plugin's cells come seed by seed
        seed = cell.resolved.seed - first.setdefault(cell.plugin, cell.resolved.seed)
        places.append((seed, ranks[cell.plugin, seed]))
        ranks[cell.plugin, seed] += 1
    return [cells[number] for number in sorted(range(len(cells)), key=places.__getitem__)]


def content(recipe: Mapping[str, Any]) -> str:
    """What makes two runs the same: everything a resolved recipe says, but its line of meaning. As a line of text."""
    return json.dumps({key: value for key, value in recipe.items() if key != "about"}, sort_keys=True)


def _of_recipe(
    plugin: Plugin, schema: Schema, recipe: str, objectives: Sequence[str], stand_in: bool
) -> Iterator[_Row | Refused]:
    """A recipe with its own objective and with all others."""
    raw, _ = written(plugin, recipe)
    known = places(raw, schema, _TABLE)
    own = next(iter(known.values())) if len(known) == 1 else OWN
    base = chosen(plugin, recipe, (), schema)
    if not objectives or own in objectives or OWN in objectives:
        yield _Row(recipe, own, (), base)
    for objective in objectives or sorted(schema.tables[_TABLE]):
        if objective in (own, OWN):
            continue
        found = _placed(plugin, schema, recipe, objective, known)
        if isinstance(found, Refused) and stand_in:
            found = _stand_in(plugin, schema, raw, recipe, objective) or found
        yield found


def _placed(plugin: Plugin, schema: Schema, recipe: str, objective: str, known: Mapping[str, str]) -> _Row | Refused:
    """A recipe with another objective in the one place where it chooses one."""
    if len(known) > 1:
        where = " and ".join(f"{path} ({name})" for path, name in known.items())
        reason = f"the recipe names objectives at {where}; write a recipe that says which one gives way."
        return Refused(plugin.name, recipe, objective, reason)
    change = f"{next(iter(known), _TABLE)}={objective}"
    try:
        return _Row(recipe, objective, (change,), chosen(plugin, recipe, (change,), schema))
    except RecipeError as error:
        reason = " ".join(f"{path}: {sentence}" for path, sentence in error.problems)
        return Refused(plugin.name, recipe, objective, reason)


def _stand_in(plugin: Plugin, schema: Schema, default: Mapping[str, Any], instead_of: str, objective: str) -> _Row | None:
    """Another shipped recipe with this objective, on the default recipe's data and judged as it is; None: there is none."""
    found = []
    for recipe in discovery.recipes_of(plugin):
        raw, _ = written(plugin, recipe)
        known = places(raw, schema, _TABLE)
        if recipe == instead_of or len(known) != 1:
            continue
        ((place, own),) = known.items()
        if own != objective and not (_compares_views(own, schema) and _compares_views(objective, schema)):
            continue
        changes = [f"{place}={objective}"] if own != objective else []
        if _json(raw, "data") != _json(default, "data"):
            data = default["data"]
            changes += [
                f"data={_json(default, 'data')}",
                f"name={recipe}-on-{data if isinstance(data, str) else data['name']}",
            ]
        if _json(raw, "evaluate") != _json(default, "evaluate"):
            changes.append(f"evaluate={_json(default, 'evaluate')}")
        # Rather one written for the objective, rather the objective of a whole recipe, rather one that changes less.
        found.append(((own != objective, place != _TABLE, len(changes), recipe), recipe, tuple(changes)))
    for _, recipe, overrides in sorted(found):
        try:
            return _Row(recipe, objective, overrides, chosen(plugin, recipe, overrides, schema))
        except RecipeError:
            continue
    return None


def _json(raw: Mapping[str, Any], section: str) -> str:
    """A section as an override gives it, without the figures that others published for this recipe."""
    value = raw.get(section, {})
    return json.dumps({k: v for k, v in value.items() if k != "published"} if isinstance(value, Mapping) else value)


def _compares_views(objective: str, schema: Schema) -> bool:
    """Whether an objective compares views, and so can stand in place of another that does."""
    component = schema.tables[_TABLE].get(objective)
    return component is not None and _VIEWS in component.provides(component.options())
