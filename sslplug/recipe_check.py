"""Checks what a recipe says about one component against its model: strictly, with nested choices, every problem at once."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Union

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sslplug.contracts import Choice, Options, Role
from sslplug.errors import meant
from sslplug.recipe_types import Picked, Schema

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "none_required": "null",
    "model_type": "a mapping of options",
}


@dataclass
class Node:
    """A picked component at its place in the recipe.

    parts   choices nested in its options
    groups  the parts of a sum: {role: Node} with a method, and views and objective where it names them
    """

    path: str
    table: str
    picked: Picked
    parts: list[Node] = field(default_factory=list)
    groups: list[dict[str, Node]] = field(default_factory=list)

    def family(self) -> Iterator[Node]:
        """This node and every choice nested in it, except the parts of sums, which are recipes of their own."""
        yield self
        for part in self.parts:
            yield from part.family()

    def sums(self) -> Iterator[dict[str, Node]]:
        """Every group of this node and of the choices nested in it."""
        for node in self.family():
            yield from node.groups


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was probably meant, and everything that is known."""
    names = sorted(known)
    all_known = f"Known: {', '.join(names)}." if names else "Nothing is known here."
    return f"{meant(word, names)} {all_known}".lstrip()


def role_of(metadata: Iterable[Any], role: str | None = None) -> str | None:
    """The table named by a Role among an annotation's metadata, else ``role``."""
    return next((item.table for item in metadata if isinstance(item, Role)), role)


def is_a(annotation: Any, kind: type) -> bool:
    """Whether an annotation is a class below ``kind``."""
    return isinstance(annotation, type) and issubclass(annotation, kind)


def branches(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation alone."""
    return typing.get_args(annotation) if typing.get_origin(annotation) in (Union, types.UnionType) else (annotation,)


class Checker:
    """Walks raw options beside their models, gathering problems and the tree of picked components."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.problems: list[tuple[str, str]] = []

    def choice(self, table: str, raw: Any, path: str) -> Node | None:
        """The component that ``raw`` (a name, or a mapping with a name) picks from ``table``; None after a problem."""
        known = self.schema.tables.get(table, {})
        if isinstance(raw, str):
            raw = {"name": raw}
        if not isinstance(raw, Mapping):
            self._tell(path, f"found {_show(raw)}; expected a name, or a mapping with a name. {nearest('', known)}")
            return None
        if "name" not in raw:
            self._tell(path, f"names no component; add 'name: ...'. {nearest('', known)}")
            return None
        name = raw["name"]
        if not isinstance(name, str) or name not in known:
            shown = repr(name) if isinstance(name, str) else _show(name)
            self._tell(path, f"there is no {table} component named {shown}. {nearest(str(name), known)}")
            return None
        node = Node(path, table, Picked(name, known[name], Options()))
        options = self.options(known[name].options, {k: v for k, v in raw.items() if k != "name"}, path, node)
        if options is None:
            return None
        node.picked = Picked(name, known[name], options)
        return node

    def options(self, model: type[Options], raw: Any, path: str, owner: Node | None = None) -> Options | None:
        """The checked options of one model; None after a problem. Nested choices are hung below ``owner``."""
        before = len(self.problems)
        plain = self._model(model, raw, path, owner)
        for where, number in _huge(plain, path):
            if where not in [told for told, _ in self.problems]:  # once, though models lie in each other
                self._tell(where, f"found {number}; no option takes a whole number beyond 2**53.")
        if isinstance(plain, Mapping):
            try:
                checked = model.model_validate_json(_json(plain), strict=True)
                return checked if len(self.problems) == before else None
            except ValidationError as error:
                told = [where for where, _ in self.problems[before:]]
                fresh = [e for e in error.errors(include_url=False) if not _under(_at(path, e, plain), told)]
                self._tell_pydantic(fresh, plain, path)
        elif len(self.problems) == before:
            self._tell(path, f"found {_show(raw)}; expected a mapping of options.")
        return None

    def _model(self, model: type[Options], raw: Any, path: str, owner: Node | None) -> Any:
        """``raw`` with unknown keys told and dropped, and nested choices checked and written out with their defaults."""
        if not isinstance(raw, Mapping):
            return raw
        plain: dict[str, Any] = {}
        for key, value in raw.items():
            if key in model.model_fields:
                plain[key] = value
            else:
                self._tell(_join(path, key), f"unknown key. {nearest(str(key), model.model_fields)}")
        found: dict[str, list[Node]] = {}
        for key, info in model.model_fields.items():
            role = role_of(info.metadata)
            if not nests(info.annotation, role):
                continue
            if key not in plain:
                if info.is_required():
                    continue
                plain[key] = _plain(info.get_default(call_default_factory=True, validated_data={}))
            plain[key] = self._value(info.annotation, role, plain[key], _join(path, key), owner, found)
        self._hang(found, owner)
        return plain

    @staticmethod
    def _hang(found: dict[str, list[Node]], owner: Node | None) -> None:
        """Sorts the choices of one model: with methods among them they are groups of a sum, else parts."""
        if owner is None:
            return
        methods = found.pop("method", [])
        if methods:
            with_method = {table: nodes[0] for table, nodes in found.items() if table in ("views", "objective")}
            owner.groups += [{"method": method, **with_method} for method in methods]
            found = {table: nodes for table, nodes in found.items() if table not in with_method}
        owner.parts += [node for nodes in found.values() for node in nodes]

    def _value(
        self, annotation: Any, role: str | None, raw: Any, path: str, owner: Node | None, found: dict[str, list[Node]]
    ) -> Any:
        """One value beside its annotation; ``found`` collects the choices made directly by the surrounding model."""
        if raw is None:
            return None
        for branch in self._named(branches(annotation), raw, path):
            origin, arguments = typing.get_origin(branch), typing.get_args(branch)
            if origin is Annotated:
                if nests(branch, role):
                    return self._value(arguments[0], role_of(branch.__metadata__, role), raw, path, owner, found)
            elif is_a(branch, Choice) and role:
                node = self.choice(role, raw, path)
                if node is None:
                    return {"name": "?"}
                found.setdefault(role, []).append(node)
                return node.picked.to_dict()
            elif is_a(branch, Options) and isinstance(raw, Mapping):
                return self._model(branch, raw, path, owner)
            elif is_a(origin, Sequence) and isinstance(raw, list | tuple) and arguments:
                return [self._value(arguments[0], role, v, _join(path, i), owner, found) for i, v in enumerate(raw)]
            elif is_a(origin, Mapping) and isinstance(raw, Mapping):
                return {k: self._value(arguments[1], role, v, _join(path, k), owner, found) for k, v in raw.items()}
        return raw

    def _named(self, union: tuple[Any, ...], raw: Any, path: str) -> tuple[Any, ...]:
        """Of several models told apart by a ``name``, the one that ``raw`` names; none after a problem. Else all branches."""
        models = {
            branch.model_fields["name"].default: branch
            for branch in union
            if is_a(branch, Options) and "name" in branch.model_fields
        }
        if len(models) < 2 or not isinstance(raw, Mapping) or "name" not in raw:
            return union
        if raw["name"] not in models:
            self._tell(path, f"nothing here is named {raw['name']!r}. {nearest(str(raw['name']), models)}")
            return ()
        return (models[raw["name"]],)

    def _tell(self, path: str, sentence: str) -> None:
        self.problems.append((path, sentence))

    def _tell_pydantic(self, errors: Sequence[ErrorDetails], plain: Any, path: str) -> None:
        """Problems found by pydantic, one a place: the branches of a union are joined by 'or'."""
        told: dict[str, list[str]] = {}
        for error in errors:
            told.setdefault(_at(path, error, plain), []).append(_expected(error))
        first = {_at(path, error, plain): error for error in reversed(errors)}
        for where, expected in told.items():
            if first[where]["type"] == "missing":
                self._tell(where, "is missing and has no default; give it a value.")
            elif first[where]["type"] == "value_error" or not where:
                self._tell(where or path, f"{first[where]['msg'].removeprefix('Value error, ').rstrip('.')}.")
            else:
                words = " or ".join(dict.fromkeys(expected))
                self._tell(where, f"found {_show(first[where]['input'])}; expected {words}.")


def _huge(value: Any, path: str) -> Iterator[tuple[str, int]]:
    """Whole numbers that no computer counts to, with their dotted paths: numpy and torch have no good words for them."""
    if isinstance(value, int) and abs(value) > 2**53:
        yield path, value
    elif isinstance(value, Mapping | list | tuple):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _huge(inner, _join(path, key))


def nests(annotation: Any, role: str | None) -> bool:
    """Whether an annotation can hold a choice of a table, or options that can be checked key by key."""
    if is_a(annotation, Choice):
        return role is not None
    if is_a(annotation, Options):
        return True
    if typing.get_origin(annotation) is Annotated:
        return nests(typing.get_args(annotation)[0], role_of(annotation.__metadata__, role))
    return any(nests(argument, role) for argument in typing.get_args(annotation))


def _plain(value: Any) -> Any:
    """A default as a recipe would write it."""
    if isinstance(value, Options):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _json(plain: Any) -> str:
    return json.dumps(plain, default=str)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _under(path: str, told: Iterable[str]) -> bool:
    """Whether a place, or one above it, was already told about."""
    return any(path == place or path.startswith(f"{place}.") for place in told)


def _at(path: str, error: ErrorDetails, plain: Any) -> str:
    """The dotted path of a pydantic error, without pydantic's own marks for branches of a union."""
    here = plain
    for key in error["loc"]:
        if isinstance(here, Mapping) and (key in here or error["type"] == "missing"):
            here, path = here.get(key), _join(path, key)
        elif isinstance(here, list) and isinstance(key, int) and key < len(here):
            here, path = here[key], _join(path, key)
    return path


def _expected(error: ErrorDetails) -> str:
    """What pydantic expected, in the words of a recipe."""
    context = error.get("ctx", {})
    if error["type"] in ("literal_error", "enum"):
        choices = str(context["expected"])
        words = [word.strip("' ") for word in choices.replace(" or ", ", ").split(",")]
        close = difflib.get_close_matches(str(error["input"]), words, n=1)
        return choices + (f" (did you mean {close[0]!r}?)" if close else "")
    if error["type"] == "extra_forbidden":
        return "no such key"
    said = error["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
    return _EXPECTED.get(error["type"], said[:1].lower() + said[1:])


def _show(value: Any) -> str:
    """A value as the reader wrote it, shortened, with its kind where that is the point."""
    kinds = {str: "text", bool: "true/false", list: "a list", dict: "a mapping", type(None): "nothing"}
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    kind = kinds.get(type(value))
    return f"{shown} ({kind})" if kind else shown
