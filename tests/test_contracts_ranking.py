"""Ranking and measured tasks refuse what would leak, mislead or crash later; tasks are picked by form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from sslplug.contracts import MeasuredTask, RankingPart, RankingTask, Split, Task, tasks_of
from sslplug.errors import DataError


def csr(*rows: list[int], width: int = 4) -> sparse.csr_matrix:
    indptr = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), shape=(len(rows), width))


def part(**changes: Any) -> RankingPart:
    return RankingPart(**{"queries": np.array([0, 5]), "relevant": csr([1], [0, 2]), "seen": csr([0], [3]), **changes})


def task(**changes: Any) -> RankingTask:
    val = part(relevant=csr([2], []))
    parts = {"val": val, "test": part()}
    return RankingTask(**{"name": "next", "query": "user", "level": "item", "parts": parts, "protocol": "fixed", **changes})


def test_a_good_task_stands_and_says_its_candidates() -> None:
    assert task().candidates == 4
    assert task().cutoffs[0] == 20, "the primary metric is ndcg@20 unless a task says otherwise"
    assert replace(task(), slices={"tail": np.array([True, False, True, True])}).candidates == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queries": np.array([0.0, 5.0])}, r"queries are \(2,\) float64; expected \(q,\) int64"),
        ({"queries": np.array([0, -5])}, "queries hold row -5"),
        ({"queries": np.array([5, 5])}, "name 1 rows twice"),
        ({"seen": csr([0], [3]).toarray()}, "seen is a ndarray; expected a scipy CSR matrix"),
        ({"seen": csr([0], [3]).tocsc()}, "seen is a csc_matrix; expected a scipy CSR"),
        ({"seen": csr([0])}, "seen has 1 rows for 2 queries"),
        ({"seen": csr([0], [3], width=5)}, r"relevant is \(2, 4\), seen is \(2, 5\)"),
        ({"profile": csr([0], [3], width=5)}, r"relevant is \(2, 4\), profile is \(2, 5\)"),
        ({"relevant": csr([1, 1], [0])}, r"relevant names 1 entries twice; call sum_duplicates\(\)"),
        ({"seen": csr([0], [2])}, "1 candidates are both relevant and seen, first candidate 2 of query row 5"),
    ],
)
def test_a_part_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        part(**change)


def test_stored_zeros_count_as_entries() -> None:
    """Membership is what is stored: a rating of 0 that somebody gave is not nothing."""
    zero = csr([0], [2])
    zero.data[:] = 0
    with pytest.raises(DataError, match="both relevant and seen"):
        part(seen=zero)


EMPTY = RankingPart(np.zeros(0, np.int64), csr(), csr())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parts": {"test": part()}}, "parts are test; expected val"),
        ({"parts": {"val": EMPTY, "test": EMPTY}}, "nothing is relevant in the test part"),
        (
            {"parts": {"val": RankingPart(np.zeros(0, np.int64), csr(width=9), csr(width=9)), "test": part()}},
            "val has 9 candidates, test has 4",
        ),
        (
            {"parts": {"val": part(), "test": part(relevant=csr([], [0]))}},
            "1 pairs are asked in both val and test, first query row 5 and candidate 0",
        ),
        ({"similarity": "euclid"}, "similarity 'euclid'; expected one of dot, cosine"),
        ({"cutoffs": ()}, "cutoffs are ()"),
        ({"cutoffs": (10, 10)}, "expected different numbers"),
        ({"cutoffs": (0,)}, "from 1 on"),
        ({"slices": {"tail": np.ones(3, bool)}}, r"slice 'tail' is \(3,\) bool; expected \(4,\) bool"),
        ({"slices": {"tail": np.ones(4)}}, r"slice 'tail' is \(4,\) float64"),
        ({"interactions": csr([1], width=3)}, "interactions name 3 candidates; expected 4"),
        ({"interactions": csr([1, 1])}, "interactions names 1 entries twice"),
        ({"query_names": ["a"] * 5}, "5 query names for 6 rows"),
        ({"query_names": ["a"] * 6}, "5 query names come twice"),
        ({"candidate_names": list("abcde")}, "5 candidate names for 4 rows"),
    ],
)
def test_a_ranking_task_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words.replace("()", r"\(\)")):
        task(**change)


def test_an_empty_validation_part_and_other_rows_of_one_user_are_fine() -> None:
    assert len(task(parts={"val": EMPTY, "test": part()}).parts["val"].queries) == 0
    val = part(queries=np.array([1, 6]))
    assert task(parts={"val": val, "test": part()}).candidates == 4, "histories: validation has rows of its own"


def measured(**changes: Any) -> MeasuredTask:
    return MeasuredTask(**{
        "name": "flow", "level": "point", "protocol": "fixed", "metrics": {"error": False}, "measure": lambda levels: {}, **changes
    })  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": {}}, "no metric"),
        ({"groups": np.zeros((3, 2))}, r"groups are \(3, 2\)"),
        ({"baselines": {"measured": lambda: {}}}, "a baseline is called 'measured'"),
    ],
)
def test_a_measured_task_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        measured(**change)


def test_tasks_are_picked_by_form() -> None:
    labelled = Task(
        "class",
        "classification",
        "row",
        np.array([0, 1]),
        [Split(np.array([0]), np.zeros(0, np.int64), np.array([1]))],
        "fixed",
    )
    tasks = {"next": task(), "class": labelled, "flow": measured()}
    assert list(tasks_of(Task, tasks)) == ["class"]
    assert list(tasks_of(RankingTask, tasks)) == ["next"]
    assert list(tasks_of(MeasuredTask, tasks)) == ["flow"]
