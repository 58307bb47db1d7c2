"""Checks of the plugin as a table of contents: what it names, claims, imports, and says about itself."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, RootModel, ValidationError

from sslplug.contracts import API, Component, Options, Plugin
from sslplug.discovery import GROUP, recipes_of
from sslplug.errors import meant
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable

TRAITS = {
    "labels": "views bring the target 'label' when the order asks for labels",
    "beats-untrained": "60 steps of the default recipe improve a linear probe, and embeddings keep their spread",
    "shared-batches": "batches share the data's memory, and nobody writes into them",
    "missing-values": "data may hold NaN for a missing value",
    "words": "data 'memory' takes columns that are not numbers",
}
"""What a plugin may claim in ``Plugin.traits``, {word: meaning}."""

OPEN = ("sslplug.contracts", "sslplug.errors", "sslplug.randomness")
"""The modules of sslplug that a plugin may import."""

LONGEST_SUMMARY = 160


def contract(material: Material) -> str:
    """The table of contents holds what its fields name: components by name, options that are ``Options``, a default recipe.

    Mend: give Plugin(...) what sslplug.contracts.Plugin says of each field.
    """
    plugin = material.plugin
    if plugin.api != API:
        return f"api is {plugin.api!r}; expected {API}."
    for where, component in components(plugin):
        if not isinstance(component, Component):
            return f"{where} is a {type(component).__name__}; expected a Component."
        if not (isinstance(component.options, type) and issubclass(component.options, Options)):
            return f"the options of {where} are {component.options!r}; expected a subclass of sslplug.contracts.Options."
        if "name" in component.options.model_fields:
            return f"{where} has an option called 'name', the word that picks a component; expected another name."
    missing = [table for table in ("data", "views", "encoders") if not getattr(plugin, table)]
    if missing:
        return f"it brings no {' and no '.join(missing)}; expected one component at least in each."
    names = recipes_of(plugin)
    if plugin.default_recipe not in names:
        return (
            f"the default recipe is {plugin.default_recipe!r}; expected one that ships: {', '.join(names) or 'none does'}."
        )
    return ""


def traits(material: Material) -> str:
    """Traits are words the kit knows: a misspelt claim would never be held to.

    Mend: use the words of the page Conformance, or leave the claim out.
    """
    for trait in sorted(material.plugin.traits - TRAITS.keys()):
        return f"the trait {trait!r} is unknown; expected some of {', '.join(TRAITS)}.{meant(trait, TRAITS)}"
    return ""


def summaries(material: Material) -> str:
    """The plugin and each of its components say in one line what they are.

    Mend: give Plugin(summary=...) and Component(..., summary) one line of meaning.
    """
    said = {"the plugin": material.plugin.summary} | {where: one.summary for where, one in components(material.plugin)}
    for where, summary in said.items():
        if not summary.strip() or "\n" in summary or len(summary) > LONGEST_SUMMARY:
            return f"the summary of {where} is {summary!r}; expected one line of 1 to {LONGEST_SUMMARY} letters."
    return ""


def options_described(material: Material) -> str:
    """Every option of every component has a description: `sslplug info` and the recipes' reference print it.

    Mend: option: float = Field(default=0.2, description="what it is, in which unit").
    """
    silent = []
    for where, component in components(material.plugin):
        for model in _models(component.options):
            fields = {} if issubclass(model, RootModel) else {k: v for k, v in model.model_fields.items() if k != "name"}
            silent += [f"{where}: {field}" for field, info in fields.items() if not (info.description or "").strip()]
    found = sorted(set(silent))
    return f"{len(found)} options have no description: {', '.join(found[:5])}; expected one for each." if found else ""


def _models(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> Iterator[type[BaseModel]]:
    """A model of options and the plugin's own models inside it."""
    if model in seen:
        return
    yield model
    for info in model.model_fields.values():
        for inner in _inner(info.annotation):
            if issubclass(inner, BaseModel) and not inner.__module__.startswith("sslplug.contracts"):
                yield from _models(inner, seen | {model})


def _inner(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _inner(part)


def options_valid(material: Material) -> str:
    """Defaults keep the bounds of their own options; an option without a default is named as missing.

    Mend: choose a default within ge, gt, le and lt.
    """
    for where, component in components(material.plugin):
        try:
            options = component.options()
        except ValidationError as error:
            wrong = [fault for fault in error.errors() if fault["type"] != "missing"]
            if wrong:
                return f"{where}: {'.'.join(map(str, wrong[0]['loc']))}: {wrong[0]['msg']}; expected valid defaults."
            continue
        try:
            component.options.model_validate({field: getattr(options, field) for field in component.options.model_fields})
        except ValidationError as error:
            fault = error.errors()[0]
            what = f"{where}: the default of {'.'.join(map(str, fault['loc']))} is {fault['input']!r}"
            return f"{what}: {fault['msg']}; expected it within its bounds."
    return ""


def docstrings(material: Material) -> str:
    """Every component's options and its build function have a docstring of their own.

    Mend: one line under class ...Options and under def build(...).
    """
    for where, component in components(material.plugin):
        if not (component.options.__dict__.get("__doc__") or "").strip():
            return (
                f"{component.options.__name__}, the options of {where}, has no docstring; expected a line on what they set."
            )
        name, said = _documented(component.build)
        if not said:
            return f"{name}, which builds {where}, has no docstring; expected a line on what it makes."
    return ""


def _documented(build: Any) -> tuple[str, bool]:
    """(name, whether it has a docstring) of a build function; one made inside another function may be told there."""
    while isinstance(build, functools.partial):
        build = build.func
    name = getattr(build, "__qualname__", repr(build))
    outer = getattr(sys.modules.get(build.__module__), name.split(".<locals>")[0], None)
    return name, any((inspect.getdoc(one) or "").strip() for one in (build, outer) if one is not None)


def imports(material: Material) -> str:
    """The plugin imports of sslplug only contracts, errors and randomness, and no other plugin: the rest may change.

    Mend: import from sslplug.contracts; copy a small function rather than reach into the engine.
    """
    own = {component.options.__module__.split(".")[0] for _, component in components(material.plugin)} - {"sslplug"}
    if not own:
        raise NotApplicable("its components are part of sslplug.")
    others = {point.value.split(".")[0] for point in entry_points(group=GROUP)} - own
    for package in sorted(own):
        for file in _files(package):
            for line, module in _imported(file):
                inside = module.startswith("sslplug.") and not any(
                    module == door or module.startswith(f"{door}.") for door in OPEN
                )
                if inside or module.split(".")[0] in others:
                    return f"{file.name}, line {line}, imports {module}; expected of sslplug {', '.join(OPEN)} alone."
    return ""


def _files(package: str) -> list[Path]:
    """The sources of a top-level package or module."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations or []]
    if not folders:
        return [Path(spec.origin)] if spec.origin else []
    return [
        file for folder in folders for file in sorted(folder.rglob("*.py")) if "tests" not in file.relative_to(folder).parts
    ]


def _imported(file: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every absolute import."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = node.module == "sslplug"
            yield from (
                ((node.lineno, f"sslplug.{alias.name}") for alias in node.names) if whole else [(node.lineno, node.module)]
            )


def components(plugin: Plugin) -> Iterator[tuple[str, Component]]:
    """("views 'crops'", component) of every table."""
    for table in ("data", "views", "encoders", "decoders", "objectives", "methods"):
        for name, component in getattr(plugin, table).items():
            yield f"{table.removesuffix('s') if table != 'views' else table} {name!r}", component


CHECKS: Mapping[str, Callable[[Material], str]] = {
    "contract": contract,
    "traits": traits,
    "summaries": summaries,
    "options-described": options_described,
    "options-valid": options_valid,
    "docstrings": docstrings,
    "imports": imports,
}
