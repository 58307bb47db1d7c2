"""Does a recipe fit together? What its parts need must be among what they provide, and what they refuse must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product

from sslplug.contracts import Tags
from sslplug.recipe_check import Checker, Node
from sslplug.recipe_types import Schema

_PROVIDERS = ("views", "encoder", "objective", "data")


@dataclass(frozen=True)
class _Need:
    """A tag that nobody provides: who needs it."""

    path: str
    table: str
    name: str
    tag: str


@dataclass(frozen=True)
class _Clash:
    """A tag that one part brings and another cannot work with."""

    by: Node
    tag: str
    bringer: Node


def misfits(nodes: Mapping[str, Node], schema: Schema, granted: Tags) -> list[tuple[str, str]]:
    """Every (dotted path, sentence) that says why these parts cannot work together, with a combination that would.

    nodes    {section: Node} of data, views, encoder, method and, where named, objective
    granted  tags that the train section brings (``labels``)

    The parts of a sum are judged one by one: each has its own method and objective, its own views or else the recipe's, and
    the recipe's data and encoder.
    """
    missing, clashes = _missing(nodes, granted), _clashes(nodes)
    works = _working(nodes, schema, granted) if missing or clashes else ""
    problems = [(need.path, _sentence(need, nodes, schema, works)) for need in missing]
    problems += [(clash.by.path, _refusal(clash, works)) for clash in clashes]
    method, objective = nodes["method"], nodes.get("objective")
    asked = {tag for node in method.family() for tag in node.picked.component.needs(node.picked.options)}
    if objective is not None and not any(tag.startswith("score:") for tag in asked):
        where = f"method {method.picked.name!r} at {method.path} asks for no objective"
        problems.append(
            (objective.path, f"objective {objective.picked.name!r} would never be used: {where}; remove this section.")
        )
    for group in method.sums():
        shared = {section: node for section, node in nodes.items() if section in ("data", "views", "encoder")}
        problems += misfits({**shared, **group}, schema, granted)
    return list(dict.fromkeys(problems))


def _family(nodes: Mapping[str, Node]) -> Iterator[Node]:
    for node in nodes.values():
        yield from node.family()


def _missing(nodes: Mapping[str, Node], granted: Tags) -> list[_Need]:
    """What these nodes need and none of them provides. A method provides nothing; choices nested in it may."""
    provided = set(granted)
    for node in _family(nodes):
        if node.table != "method":
            provided |= node.picked.component.provides(node.picked.options)
    return [
        _Need(node.path, node.table, node.picked.name, tag)
        for node in _family(nodes)
        for tag in sorted(node.picked.component.needs(node.picked.options) - provided)
    ]


def _clashes(nodes: Mapping[str, Node]) -> list[_Clash]:
    """What these nodes refuse and one of them brings."""
    return [
        _Clash(node, tag, bringer)
        for node in _family(nodes)
        for tag in sorted(node.picked.component.refuses(node.picked.options))
        for bringer in _family(nodes)
        if tag in bringer.picked.component.provides(bringer.picked.options)
    ]


def _refusal(clash: _Clash, works: str) -> str:
    """Who cannot work with what, who brings it, and a whole combination that would work."""
    by, bringer = clash.by, clash.bringer
    found = f"{by.table} {by.picked.name!r} cannot work with {clash.tag!r}"
    brought = f"which {bringer.table} {bringer.picked.name!r} brings with these options"
    return f"{found}, {brought}." + (f" This would work: {works}." if works else "")


def _sentence(need: _Need, nodes: Mapping[str, Node], schema: Schema, works: str) -> str:
    """Who needs what, who could bring it, and a whole combination that would work."""
    bringers = {
        table: names
        for table in _PROVIDERS
        if (names := [name for name, node in _defaults(table, nodes, schema) if need.tag in _provides(node)])
    }
    listed = "; ".join(f"{table}: {', '.join(names)}" for table, names in bringers.items())
    if need.tag == "labels":
        listed = "; ".join(part for part in ("train.labels, set to a task", listed) if part)
    brings = (
        f"It comes with {listed}." if listed else "Nothing registered for this plugin brings it with its default options."
    )
    chosen = ", ".join(f"{section} {node.picked.name!r}" for section, node in nodes.items() if section in _PROVIDERS)
    found = f"{need.table} {need.name!r} needs {need.tag!r}, which none of {chosen} provides"
    return f"{found}. {brings}" + (f" This would work: {works}." if works else "")


def _provides(node: Node) -> Tags:
    return frozenset().union(*(part.picked.component.provides(part.picked.options) for part in node.family()))


def _defaults(section: str, nodes: Mapping[str, Node], schema: Schema) -> list[tuple[str, Node]]:
    """Every component of a section's table with default options, where it has them, at the place it would be written."""
    beside = f"{nodes['method'].path.removesuffix('method')}{section}"
    path = nodes[section].path if section in nodes and section not in ("views", "objective") else beside
    made = ((name, Checker(schema).choice(section, name, path)) for name in schema.tables.get(section, {}))
    return [(name, node) for name, node in made if node is not None]


def _working(nodes: Mapping[str, Node], schema: Schema, granted: Tags) -> str:
    """The smallest change of sections after which all parts fit, in the words of a recipe; the method changes last."""
    made = {section: _defaults(section, nodes, schema) for section in ("views", "encoder", "objective", "method")}
    plans = [plan for size in (1, 2, 3) for plan in combinations(("views", "encoder", "objective"), size)]
    plans += [("method",), ("method", "objective"), ("method", "views"), ("method", "views", "objective")]
    for sections in plans:
        for picks in product(*(made[section] for section in sections)):
            changed = {**nodes, **{section: node for section, (_, node) in zip(sections, picks, strict=True)}}
            whole = not _missing(changed, granted) and not _clashes(changed)
            if whole and not any(node.groups for _, node in picks):
                return ", ".join(f"{node.path}: {name}" for name, node in picks)
    return ""
