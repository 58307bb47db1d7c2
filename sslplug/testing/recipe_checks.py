"""Checks of shipped recipes: each resolves, says what it is, and survives being written out and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import yaml

from sslplug.build import recipe_tags
from sslplug.errors import SslplugError
from sslplug.recipe import Resolved, dump, resolve
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable


def resolves(material: Material, name: str) -> str:
    """Every name, option and combination in the recipe is valid.

    Mend: each problem names its dotted path and the nearest word that would do.
    """
    material.recipe(name)
    return ""


def about(material: Material, name: str) -> str:
    """The recipe says in one line what it is.

    Mend: about: the method, its paper, the data, and how long it takes.
    """
    found = str(material.raw_recipe(name).get("about") or "")
    if not found.strip() or "\n" in found.strip():
        return f"about is {found!r}; expected one line."
    return ""


def named(material: Material, name: str) -> str:
    """The recipe is called as its file is, and names this plugin.

    Mend: name: <file name without .yaml>, plugin: <Plugin.name>.
    """
    raw = material.raw_recipe(name)
    for key, expected in (("name", name), ("plugin", material.plugin.name)):
        if raw.get(key, expected) != expected:
            return f"{key} is {raw[key]!r}; expected {expected!r}."
    return ""


def round_trip(material: Material, name: str) -> str:
    """The resolved recipe, written as YAML and read again, resolves to itself.

    Mend: let options serialise to what they were given as (no serialiser that changes a value).
    """
    first = _resolved(material, name)
    raw = yaml.safe_load(dump(first))
    second = resolve(raw, material.schema, f"{name}.yaml", recipe_tags(raw))
    before, after = first.to_dict(), second.to_dict()
    changed = [key for key in before if before[key] != after.get(key)]
    return f"written out and read again, the sections {', '.join(changed)} differ; expected the same." if changed else ""


def _resolved(material: Material, name: str) -> Resolved:
    try:
        return material.recipe(name)
    except SslplugError as error:
        raise NotApplicable(f"it does not resolve; recipe/{name}/resolves says why.") from error


CHECKS: Mapping[str, Callable[[Material, str], str]] = {
    "resolves": resolves,
    "about": about,
    "named": named,
    "round-trip": round_trip,
}
