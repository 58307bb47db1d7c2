"""Tells people and editors what a recipe may say: rows for ``sslplug info``, and a JSON Schema."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from sslplug.contracts import Choice, Component, Options
from sslplug.recipe_check import is_a, nests, role_of
from sslplug.recipe_types import Schema
from sslplug.recipe_yaml import CHOICE_SECTIONS


@dataclass(frozen=True)
class OptionRow:
    """One option in words. ``default`` is "required" where there is none."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class ComponentRow:
    """One component, or one section of plain options (its name is then empty).

    ``provides``, ``needs`` and ``refuses`` are those of the default options.
    """

    role: str
    name: str
    summary: str
    provides: tuple[str, ...]
    needs: tuple[str, ...]
    refuses: tuple[str, ...]
    options: tuple[OptionRow, ...]


def describe(schema: Schema) -> list[ComponentRow]:
    """Every component a recipe of this plugin can name, table by table, then the sections of plain options."""
    rows = [
        ComponentRow(table, name, component.summary, *_default_tags(component), tuple(_options(component.options)))
        for table, components in schema.tables.items()
        for name, component in components.items()
    ]
    for section, model in schema.sections.items():
        summary = (model.__doc__ or "").strip().partition("\n")[0]
        rows.append(ComponentRow(section, "", summary, (), (), (), tuple(_options(model))))
    return rows


def _default_tags(component: Component) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What a component provides, needs and refuses with default options; nothing can be said where options are required."""
    try:
        options = component.options()
    except ValidationError:
        return (), (), ()
    provides, needs, refuses = (
        tuple(sorted(said(options))) for said in (component.provides, component.needs, component.refuses)
    )
    return provides, needs, refuses


def _options(model: type[Options], prefix: str = "") -> Iterator[OptionRow]:
    """One row an option; options of nested models follow theirs with dotted names."""
    for name, info in model.model_fields.items():
        yield OptionRow(
            prefix + name, _type_name(info.annotation, role_of(info.metadata)), _default(info), info.description or ""
        )
        for nested in typing.get_args(info.annotation) or (info.annotation,):
            if is_a(nested, Options) and not is_a(nested, Choice):
                yield from _options(nested, f"{prefix}{name}.")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return _written(info.get_default(call_default_factory=True, validated_data={}))


def _written(value: Any) -> str:
    """A default as a recipe would write it."""
    if isinstance(value, Choice):
        given = "".join(f", {key}: {_written(item)}" for key, item in value.given().items())
        return f"{{name: {value.name}{given}}}" if given else value.name
    if isinstance(value, Options):  # what differs from the nested model's own defaults, which follow in rows of their own
        own = {name: (getattr(value, name), _default(info)) for name, info in type(value).model_fields.items()}
        return _written({name: item for name, (item, default) in own.items() if _written(item) != default})
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_written(item)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if value != "" else '""'


def _type_name(annotation: Any, role: str | None = None) -> str:
    """An annotation in the words of a recipe."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0], role_of(annotation.__metadata__, role))
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(_type_name(argument, role) for argument in arguments)
    if is_a(annotation, Choice):
        return f"one {role}" if role else "a component"
    if is_a(annotation, Options):
        return "options"
    if is_a(origin, Mapping):
        return f"{{name: {_type_name(arguments[1], role)}}}"
    if origin is not None and arguments:
        return f"[{_type_name(arguments[0], role)}, ...]"
    words = {int: "whole number", float: "number", str: "text", Path: "path", bool: "true | false", type(None): "null"}
    return words.get(annotation) or str(getattr(annotation, "__name__", annotation))


def json_schema(schema: Schema) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of this plugin's recipes, for completion and checking in editors.

    A choice is a name alone, or an object whose name decides which other keys are allowed. Unknown keys are refused.
    """
    models = _models(schema)
    keyed, top = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    reference = {model: keyed[(model, "validation")]["$ref"] for model in models}
    definitions: dict[str, Any] = top.get("$defs", {})
    plain = {model: definitions[ref.removeprefix("#/$defs/")] for model, ref in reference.items()}
    for model, body in plain.items():
        _point_choices(model, body, reference)
    for table, components in schema.tables.items():
        definitions[f"choice-{table}"] = _choice(components, plain)
    properties: dict[str, Any] = {
        "plugin": {"const": schema.plugin},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "about": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0},
    }
    properties |= {section: {"$ref": f"#/$defs/choice-{section}"} for section in CHOICE_SECTIONS}
    properties |= {section: {"$ref": reference[model]} for section, model in schema.sections.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"sslplug recipe for {schema.plugin}",
        "type": "object",
        "properties": properties,
        "required": ["plugin", "data", "views", "encoder", "method"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _models(schema: Schema) -> list[type[Options]]:
    """Every options model that a recipe can reach, once, in a fixed order."""
    waiting = [component.options for components in schema.tables.values() for component in components.values()]
    waiting += schema.sections.values()
    seen: dict[type[Options], None] = {Choice: None}
    while waiting:
        model = waiting.pop(0)
        if model not in seen:
            seen[model] = None
            for info in model.model_fields.values():
                waiting += _inside(info.annotation)
    return list(seen)


def _inside(annotation: Any) -> list[type[Options]]:
    """The options models an annotation mentions."""
    if is_a(annotation, Options):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _inside(argument)]


def _table(annotation: Any, role: str | None) -> str | None:
    """The table that the choices inside an annotation choose from."""
    if typing.get_origin(annotation) is Annotated:
        return _table(typing.get_args(annotation)[0], role_of(annotation.__metadata__, role))
    if is_a(annotation, Choice):
        return role
    return next((table for argument in typing.get_args(annotation) if (table := _table(argument, role))), None)


def _point_choices(model: type[Options], body: dict[str, Any], reference: Mapping[type[Options], str]) -> None:
    """Sends every nested choice of ``model`` to the components of its table instead of to any name."""
    for name, info in model.model_fields.items():
        role = role_of(info.metadata)
        table = _table(info.annotation, role) if nests(info.annotation, role) else None
        if table is not None:
            body["properties"][name] = _replaced(body["properties"][name], reference[Choice], f"#/$defs/choice-{table}")


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: new if key == "$ref" and item == old else _replaced(item, old, new) for key, item in value.items()}
    return [_replaced(item, old, new) for item in value] if isinstance(value, list) else value


def _choice(components: Mapping[str, Component], plain: Mapping[type[Options], dict[str, Any]]) -> dict[str, Any]:
    """A name alone, or an object whose ``name`` selects the options."""
    bare = [name for name, component in components.items() if not plain[component.options].get("required")]
    objects = [
        {
            "type": "object",
            "description": component.summary,
            "properties": {"name": {"const": name}, **plain[component.options].get("properties", {})},
            "required": ["name", *plain[component.options].get("required", [])],
            "additionalProperties": False,
        }
        for name, component in components.items()
    ]
    return {"oneOf": [{"enum": bare}, *objects]} if bare else {"oneOf": objects or [False]}
