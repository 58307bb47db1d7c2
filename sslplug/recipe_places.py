"""Where a recipe chooses a component of a table: in its own section, and in the parts of a sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sslplug.recipe_check import Checker, Node
from sslplug.recipe_types import Schema
from sslplug.recipe_yaml import CHOICE_SECTIONS


def places(raw: Mapping[str, Any], schema: Schema, table: str) -> dict[str, str]:
    """{dotted path: the component's name} of every choice from ``table``, as an override would name it.

    What cannot be read is left out; ``resolve`` is there to complain.
    """
    checker = Checker(schema)
    nodes = [checker.choice(section, raw[section], section) for section in CHOICE_SECTIONS if raw.get(section) is not None]
    return {node.path: node.picked.name for top in nodes if top is not None for node in _below(top) if node.table == table}


def _below(node: Node) -> Iterator[Node]:
    """A node, the choices nested in it, and the parts of its sums with all that is in them."""
    for member in node.family():
        yield member
        for group in member.groups:
            for part in group.values():
                yield from _below(part)
