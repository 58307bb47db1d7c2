"""Judged runs as entries of a comparison: seeds of one recipe joined, recipes of one name told apart by what differs."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sslplug.evaluation import Score
from sslplug.reporting.comparison import Entry
from sslplug.reporting.table import TableRow
from sslplug.stages.command import training_command
from sslplug.stages.gather import JudgedRun
from sslplug.stages.report import table_rows


@dataclass(frozen=True)
class Group:
    """Judged runs of one recipe, by seed, one each; nothing but the seed differs."""

    name: str
    runs: tuple[JudgedRun, ...]

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Of the first run."""
        return self.runs[0].record.recipe

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """Of all runs."""
        return tuple(score for run in self.runs for score in run.scores)

    @cached_property
    def rows(self) -> tuple[TableRow, ...]:
        """The result table."""
        return tuple(table_rows([run.record for run in self.runs]))


def group_runs(runs: Sequence[JudgedRun]) -> tuple[list[Group], list[str]]:
    """(groups by name, a sentence for each run that a newer one of its recipe and seed replaces); ``runs`` oldest first."""
    recipes: dict[str, dict[str, dict[int, JudgedRun]]] = defaultdict(lambda: defaultdict(dict))
    replaced = []
    for run in runs:
        recipe = run.record.recipe
        seeds = recipes[f"{recipe['plugin']}/{recipe['name']}"][json.dumps(content(recipe), sort_keys=True)]
        older = seeds.pop(run.seed, None)
        if older is not None:
            replaced.append(f"{older.record.path}: left out, {run.record.path} is a newer run of the same recipe and seed.")
        seeds[run.seed] = run
    groups = []
    for name, variants in sorted(recipes.items()):
        labels = differences([json.loads(text) for text in variants])
        for label, seeds in zip(labels, variants.values(), strict=True):
            members = tuple(seeds[seed] for seed in sorted(seeds))
            groups.append(Group(f"{name} ({label})" if label else name, members))
    return groups, replaced


def content(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """{dotted path: value} of a recipe, but its seed, its line of meaning, and what others published."""
    return {
        path: value
        for path, value in _flat(recipe, "").items()
        if path not in ("seed", "about") and not path.startswith("evaluate.published")
    }


def differences(contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is special about each of several recipes: its values of the options in which they differ; "" for one alone.

    Where another component was chosen, its name stands for all of its options, unless two have the same name and differ within.
    """
    paths = dict.fromkeys(path for content in contents for path in content)
    differing = [path for path in paths if len({json.dumps(content.get(path)) for content in contents}) > 1]
    chosen = {path.removesuffix(".name") for path in differing if path.endswith(".name")}
    shown = [p for p in differing if p.endswith(".name") or not any(p.startswith(f"{part}.") for part in chosen)]
    labels = [
        ", ".join(f"{path.removesuffix('.name')}={content[path]}" for path in shown if path in content)
        for content in contents
    ]
    for label in [label for label, times in Counter(labels).items() if times > 1]:
        same = [number for number, other in enumerate(labels) if other == label]
        further = differences([contents[number] for number in same]) if len(same) < len(labels) else []
        for place, number in enumerate(same):
            more = further[place] if further else f"no {place + 1}"
            labels[number] = ", ".join(filter(None, [label, more]))
    return labels


def entry_of(group: Group, data: str) -> Entry:
    """The entry of a group; ``data`` is what its data is called in the comparison."""
    recipe, metrics = group.recipe, [run.record.metrics for run in group.runs]
    text = json.dumps(content(recipe), sort_keys=True)
    collapsed = "; ".join(sorted({str(one["collapsed"]) for one in metrics if one.get("collapsed")}))
    return Entry(
        name=group.name,
        plugin=recipe["plugin"],
        recipe=recipe["name"],
        data=data,
        views=recipe["views"]["name"],
        encoder=recipe["encoder"]["name"],
        method=recipe["method"]["name"],
        objective=_objective(recipe),
        seeds=tuple(run.seed for run in group.runs),
        runs=tuple(run.record.path for run in group.runs),
        command=training_command(recipe, [run.seed for run in group.runs], group.runs[0].record.path),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        rows=group.rows,
        training_seconds=_mean([one.get("training_seconds") for one in metrics]) or 0.0,
        evaluation_seconds=_mean([one.get("evaluation_seconds") for one in metrics]),
        diagnostics=_diagnostics(metrics),
        collapsed=collapsed,
    )


def data_names(groups: Sequence[Group]) -> list[str]:
    """What each group's data is called: its component's name, and more where tasks of one name must not share a row.

    They share one where the data has the same content and every common task is judged by the same protocol, metric and largest
    share of the labels. Where not, the options of data and evaluation in which they differ are added.
    """
    kinds: dict[tuple[str, str], list[_Kind]] = defaultdict(list)
    for number, group in enumerate(groups):
        known = kinds[group.recipe["plugin"], group.recipe["data"]["name"]]
        mine = _Kind(_judged(group), _contents(group), [number])
        for kind in known:
            if kind.agrees(mine):
                kind.add(mine)
                break
        else:
            known.append(mine)
    names = [""] * len(groups)
    for (_, data), found in kinds.items():
        labels = differences([_options(groups[kind.members[0]]) for kind in found])
        for label, kind in zip(labels, found, strict=True):
            for number in kind.members:
                names[number] = f"{data} ({label})" if label else data
    return names


def first_rows(group: Group) -> dict[str, TableRow]:
    """{task: the row of its first probe and primary metric with the largest share of the labels}."""
    found: dict[str, TableRow] = {}
    for row in group.rows:
        if row.primary and row.task not in found:
            same = [one for one in group.rows if (one.task, one.probe, one.metric) == (row.task, row.probe, row.metric)]
            found[row.task] = max(same, key=lambda one: one.fraction)
    return found


@dataclass
class _Kind:
    """Groups whose tasks share rows.

    tasks     {task: what has to agree};  contents {seed: hash of the data}: some data are drawn by the seed
    members   numbers of the groups
    """

    tasks: dict[str, object]
    contents: dict[int, object]
    members: list[int]

    def agrees(self, other: _Kind) -> bool:
        common = self.contents.keys() & other.contents.keys()
        same = all(self.contents[seed] == other.contents[seed] for seed in common)
        drawn = min(len(set(self.contents.values())), len(set(other.contents.values()))) > 1
        known = bool(common) or drawn or bool(set(self.contents.values()) & set(other.contents.values()))
        return (
            same and known and all(self.tasks[task] == other.tasks[task] for task in self.tasks.keys() & other.tasks.keys())
        )

    def add(self, other: _Kind) -> None:
        self.tasks.update(other.tasks)
        self.contents.update(other.contents)
        self.members += other.members


def _judged(group: Group) -> dict[str, object]:
    """What has to agree for two entries to share a task's row."""
    return {task: (row.protocol, row.metric, row.fraction) for task, row in first_rows(group).items()}


def _contents(group: Group) -> dict[int, object]:
    return {run.seed: run.record.metrics.get("data", {}).get("sha256") for run in group.runs}


def _options(group: Group) -> dict[str, Any]:
    found = {path: value for path, value in content(group.recipe).items() if path.startswith(("data.", "evaluate."))}
    return found | {"content": str(next(iter(_contents(group).values())))[:8]}


def _objective(recipe: Mapping[str, Any]) -> str:
    """The recipe's objective, or the only one that a part of its method names; "" for none or several."""
    named = recipe.get("objective")
    if isinstance(named, Mapping):
        return str(named["name"])
    inside = set(_within(recipe))
    return inside.pop() if len(inside) == 1 else ""


def _within(value: object) -> list[str]:
    if isinstance(value, Mapping):
        own = value.get("objective")
        mine = [str(own["name"])] if isinstance(own, Mapping) and "name" in own else []
        return mine + [name for item in value.values() for name in _within(item)]
    return [name for item in value for name in _within(item)] if isinstance(value, list) else []


def _diagnostics(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in metrics for name in one.get("diagnostics") or {})
    found = {
        name.removeprefix("diag/"): _mean([(one.get("diagnostics") or {}).get(name) for one in metrics]) for name in names
    }
    return {name: value for name, value in found.items() if value is not None}


def _mean(values: Sequence[object]) -> float | None:
    """The mean of those that are finite numbers; None without one."""
    known = [float(one) for one in values if isinstance(one, int | float) and math.isfinite(one)]
    return sum(known) / len(known) if known else None


def _flat(value: object, path: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{path}.{key}" if path else str(key)).items()}
    return {path: value}
