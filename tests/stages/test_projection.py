"""What the projector is given for each form of task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from sslplug.contracts import MeasuredTask, RankingPart, RankingTask, Split, Task
from sslplug.stages.projection import projection

ROWS = np.arange(4)
SPLIT = Split(np.array([0, 1]), np.array([], dtype=np.int64), np.array([2, 3]))
CLASSES = Task("kind", "classification", "node", np.array([1, 0, 1, 0]), [SPLIT], "given", classes=("cat", "dog"))


def ranking(**more: object) -> RankingTask:
    def matrix(*pairs: tuple[int, int]) -> sparse.csr_matrix:
        rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
        return sparse.csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(2, 3))

    test = RankingPart(np.array([0, 1]), matrix((0, 1), (1, 2)), matrix((0, 0), (1, 0)))
    none = RankingPart(np.array([], dtype=np.int64), sparse.csr_matrix((0, 3)), sparse.csr_matrix((0, 3)))
    return RankingTask("next", "user", "item", {"val": none, "test": test}, "last out", **more)  # type: ignore[arg-type]


def test_classes_go_by_name_and_rows_without_a_label_stay_away() -> None:
    level, rows, labels = projection({"kind": CLASSES}) or ("", ROWS, [])
    assert (level, rows.tolist(), labels) == ("node", [0, 1, 2, 3], ["dog", "cat", "dog", "cat"])
    partly = replace(CLASSES, labels=np.array([1, 0, 1, 0, -1]), classes=())
    _, rows, labels = projection({"kind": partly}) or ("", ROWS, [])
    assert (rows.tolist(), labels) == ([0, 1, 2, 3], ["1", "0", "1", "0"])


def test_regression_goes_by_its_numbers_below_nought_too() -> None:
    task = Task("price", "regression", "row", np.array([-1.5, 0.0, 2.25, 1e7]), [SPLIT], "given")
    assert projection({"price": task}) is not None
    assert (projection({"price": task}) or ("", ROWS, []))[2] == ["-1.5", "0", "2.25", "1e+07"]


def test_candidates_of_a_ranking_go_by_slice_or_by_how_often_they_were_taken() -> None:
    slices = {"head": np.array([True, False, False]), "tail": np.array([False, True, False])}
    level, rows, labels = projection({"next": ranking(slices=slices)}) or ("", ROWS, [])
    assert (level, rows.tolist(), labels) == ("item", [0, 1, 2], ["head", "tail", "no slice"])
    assert (projection({"next": ranking()}) or ("", ROWS, []))[2] == ["taken 2", "taken 0", "taken 0"]
    many = sparse.csr_matrix(np.array([[1, 0, 1]] * 37))
    assert (projection({"next": ranking(interactions=many)}) or ("", ROWS, []))[2] == [
        "taken 10 or more",
        "taken 0",
        "taken 10 or more",
    ]


def test_labelled_tasks_come_first_and_pairs_have_no_rows_of_their_own() -> None:
    pairs = replace(CLASSES, members=np.zeros((4, 2), dtype=np.int64))
    assert (projection({"next": ranking(), "kind": CLASSES}) or ("", ROWS, []))[0] == "node"
    assert projection({"pairs": pairs}) is None
    assert projection({}) is None


def test_many_rows_are_thinned_evenly() -> None:
    labels = np.zeros(10_001, dtype=np.int64)
    long = replace(CLASSES, labels=labels, classes=())
    _, rows, _ = projection({"kind": long}) or ("", ROWS, [])
    assert len(rows) == 2000
    assert (rows[0], rows[-1]) == (0, 10_000)
    assert set(np.diff(rows)) <= {5, 6}


def test_a_measured_task_alone_has_nothing_to_show() -> None:
    measured = MeasuredTask.__new__(MeasuredTask)
    assert projection({"flow": measured}) is None
