"""Checks of shipped recipes: each resolves, and survives being written out and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import yaml

from sslplug.build import recipe_tags
from sslplug.recipe import dump, resolve
from sslplug.testing.material import Material


def resolves(material: Material, name: str) -> str:
    """Every name, option and combination in the recipe is valid (a RecipeError tells all problems)."""
    resolved = material.recipe(name)
    return "" if resolved.about else "the recipe has no 'about'; say in one line what it is."


def round_trip(material: Material, name: str) -> str:
    """The resolved recipe, written as YAML and read again, resolves to itself."""
    first = material.recipe(name)
    raw = yaml.safe_load(dump(first))
    second = resolve(raw, material.schema, f"{name}.yaml", recipe_tags(raw))
    before, after = first.to_dict(), second.to_dict()
    changed = [key for key in before if before[key] != after.get(key)]
    return f"written out and read again, the sections {', '.join(changed)} differ." if changed else ""


CHECKS: Mapping[str, Callable[[Material, str], str]] = {"resolves": resolves, "round-trip": round_trip}
