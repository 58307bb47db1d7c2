"""Checks of ranking and measured tasks, against a toy broken in one way: exactly the check named must fail, with its words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sslplug.contracts import AnyTask, DataContext, MeasuredTask, Plugin, RankingTask, RawFeatures, tasks_of
from sslplug.testing import toy_data
from sslplug.testing.checks import cases
from sslplug.testing.toy import TOY

CHECKED = ("data/rows-complete", "data/splits", "data/ranking-pairs", "data/measured", "data/raw-features")
calls = itertools.count()


def changed(change: Callable[[AnyTask], AnyTask]) -> Plugin:
    """The toy with its ranking and its measured task, each changed."""

    def build(options: toy_data.ClustersOptions, context: DataContext) -> toy_data.Clusters:
        data = toy_data.Clusters(options.model_copy(update={"further": True, "rows": 64}), context)
        data.tasks = {name: change(task) for name, task in data.tasks.items()}
        return data

    return replace(TOY, data={"clusters": replace(TOY.data["clusters"], build=build)})


def ranked(**changes: Any) -> Plugin:
    return changed(lambda task: replace(task, **changes) if isinstance(task, RankingTask) else task)


def measured(**changes: Any) -> Plugin:
    return changed(lambda task: replace(task, **changes) if isinstance(task, MeasuredTask) else task)


def failures(plugin: Plugin) -> dict[str, str]:
    found = [case.result() for case in cases(plugin) if case.id in CHECKED]
    assert len(found) == len(CHECKED)
    return {result.id: result.sentence for result in found if not result.passed}


def pair(query: np.ndarray, candidate: np.ndarray) -> RawFeatures:
    return RawFeatures(np.stack([query * 3.0 + candidate, query % 2], axis=1))


def test_whole_tasks_pass() -> None:
    assert failures(ranked(pairs=pair)) == {}
    assert failures(measured()) == {}


def test_the_toy_asks_all_three_forms() -> None:
    tasks = toy_data.Clusters(toy_data.ClustersOptions(rows=64, further=True), DataContext(None, None, 0)).tasks  # type: ignore[arg-type]
    assert [len(tasks_of(form, tasks)) for form in (RankingTask, MeasuredTask)] == [1, 1]


def wide(task: AnyTask) -> AnyTask:
    return replace(task, level="cell") if isinstance(task, RankingTask) else task


BROKEN: dict[str, tuple[Plugin, str, str]] = {
    "another level": (changed(wide), "data/rows-complete", "ranks 64 rows of level 'cell'"),
    "the pair's neighbours": (
        ranked(pairs=lambda query, candidate: RawFeatures(np.arange(len(query), dtype=float)[:, None])),
        "data/ranking-pairs",
        "depend on the pairs asked with it",
    ),
    "infinite pairs": (
        ranked(pairs=lambda query, candidate: RawFeatures(np.full((len(query), 1), np.inf))),
        "data/ranking-pairs",
        "gave an infinity",
    ),
    "too few pairs": (
        ranked(pairs=lambda query, candidate: RawFeatures(np.zeros((3, 1)))),
        "data/ranking-pairs",
        r"is \(3, 1\)",
    ),
    "pairs by call": (
        ranked(pairs=lambda query, candidate: RawFeatures(np.full((len(query), 1), float(next(calls))))),
        "data/ranking-pairs",
        "differ on a second build",
    ),
    "a measure by call": (
        measured(measure=lambda levels: {"agreement": np.full(64, 1.0 / (1 + next(calls)))}),
        "data/measured",
        "for the same embeddings",
    ),
    "another metric": (measured(measure=lambda levels: {"other": np.ones(64)}), "data/measured", "expected agreement"),
    "other cases": (measured(baselines={"few": lambda: {"agreement": np.ones(3)}}), "data/measured", "3 cases"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_said(name: str) -> None:
    plugin, check, words = BROKEN[name]
    found = failures(plugin)
    assert list(found) == [check]
    assert re.search(words, found[check])
