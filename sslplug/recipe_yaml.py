"""Reads and writes recipe files: strict YAML (no code, no duplicate keys, no surprising scalars), ``--set a.b=c``."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from sslplug.errors import RecipeError

_LONGEST = 2**18
"""Bytes of a recipe file; those that ship have some thousand, and a reader of YAML takes seconds for a million."""
_DIGITS = 40
_BREAKS = {"\x85", "\u2028", "\u2029", "\ufeff"}
CHOICE_SECTIONS = ("data", "views", "encoder", "method", "objective")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: ``1e-3`` is a number, ``yes`` and ``2024-01-01`` are text. No aliases, tags, duplicates."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "found an alias (*name); write the value out", mark)
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) not in (None, "!"):
            message = f"found the tag {event.tag!r}; could not determine a constructor, for a recipe has none: leave it out"
            raise yaml.constructor.ConstructorError(None, None, message, event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "found a key that is not a word", key.start_mark)
            if key.value in seen:
                first = f"first on line {seen[key.value]}"
                message = f"found the key {key.value!r} twice ({first}); keep one"
                raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    """A whole number; Python itself refuses to read or show those of thousands of digits."""
    if len(node.value) > _DIGITS:
        message = f"found a whole number of {len(node.value)} digits; write at most {_DIGITS}"
        raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
    number: int = loader.construct_yaml_int(node)
    return number


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either our reader or a YAML 1.1 reader would take for something else; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_FLOAT = (
    r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_SCALARS = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$|^0x[0-9a-fA-F]+$", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)
for _tag, _pattern, _first in _SCALARS:
    for _side in (_Loader, _Dumper):
        _side.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def write_yaml(plain: dict[str, Any]) -> str:
    """Plain data as YAML text that ``read_recipe`` reads back to equal values, keys in the given order."""
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    if _BREAKS & set(text):  # YAML would read these rare line breaks as blanks; written as escapes they survive
        text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, width=100)
    return text


def _parse(text: str, source: str) -> Any:
    """The plain value of a YAML text; every fault is a RecipeError with its line."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(source, [(where, f"this is no YAML that a recipe can hold: {what}.")]) from error
    except yaml.YAMLError as error:
        raise RecipeError(source, [("file", f"this is no YAML text: {error}".replace("\n", " "))]) from error
    except RecursionError as error:
        raise RecipeError(source, [("file", "the YAML is nested too deeply for a recipe.")]) from error


def read_recipe(path: Path | Traversable) -> dict[str, Any]:
    """The raw content of a recipe file: a mapping of sections. Nothing in it is executed.

    Raises RecipeError, with the line, for a file that is missing, is no YAML, repeats a key or is no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise RecipeError(
                str(path), [("file", f"is longer than {_LONGEST} bytes; no recipe is. Give the path of a recipe.")]
            )
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [("file", f"byte {error.start} is not UTF-8; save the recipe as UTF-8.")]) from error
    except OSError as error:
        raise RecipeError(str(path), [("file", f"cannot be read: {error.strerror}; give the path of a recipe.")]) from error
    raw = _parse(text, str(path))
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise RecipeError(str(path), [("file", f"holds {found}; expected sections such as 'encoder: gcn'.")])
    return raw


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of ``raw`` with each ``path.to.key=value`` set; the value is read as YAML, missing keys are made.

    A section written by name alone (``encoder: gcn``) grows options when one is set; setting a choice section to a word sets
    its name and drops the options that belonged to the old name. A number in the path picks an item of a list.
    """
    result = copy.deepcopy(raw)
    problems: list[tuple[str, str]] = []
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            problems.append((f"--set {override}", "expected section.option=value, such as optim.lr=0.001."))
            continue
        try:
            value = _parse(text, f"--set {override}")
            _put(result, keys, value)
        except RecipeError as error:
            problems += [(f"--set {override}", sentence) for _, sentence in error.problems]
    if problems:
        raise RecipeError("--set", problems)
    return result


def _put(raw: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Sets ``raw[k0][k1]... = value`` in place."""
    here: Any = raw
    for number, key in enumerate(keys):
        last = number == len(keys) - 1
        done = ".".join(keys[:number])
        if isinstance(here, list):
            if not key.isdecimal() or int(key) >= len(here):
                raise RecipeError("--set", [(done, f"{done} is a list of {len(here)}; {key!r} is none of its positions.")])
            slot: Any = int(key)
        else:
            slot = key
        if last:
            if (
                number == 1
                and key == "name"
                and isinstance(here, dict)
                and here.get("name") != value
                and keys[0] in CHOICE_SECTIONS
            ):
                here.clear()
            here[slot] = value
            return
        child = here[slot] if isinstance(here, list) else here.get(slot)
        if child is None:
            child = {}
        elif isinstance(child, str):
            child = {"name": child}
        elif not isinstance(child, dict | list):
            at = ".".join(keys[: number + 1])
            raise RecipeError("--set", [(at, f"{at} is {child!r}, which has no option {keys[number + 1]!r}.")])
        here[slot] = child
        here = child
