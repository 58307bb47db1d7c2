"""Which rows of a run go to TensorBoard's projector, and what they are called there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sslplug.contracts import AnyTask, RankingTask, Task, tasks_of

_MOST = 2000
"""Rows: what a browser turns smoothly."""


def projection(tasks: Mapping[str, AnyTask]) -> tuple[str, np.ndarray, list[str]] | None:
    """Level, row numbers and a label for each row, of the first task whose instances are embedding rows; None without one.

    Classes go by their names and regression by its numbers. Candidates of a ranking go by the slices they belong to (head,
    tail, cold), or without slices by how often they were taken, in powers of ten. Rows are evenly spaced.
    """
    for task in tasks_of(Task, tasks).values():
        if task.members is not None:
            continue
        known = _spaced(np.flatnonzero(task.labels >= 0) if task.labels.dtype.kind != "f" else np.arange(len(task.labels)))
        return task.level, known, [_label(task, number) for number in known]
    for ranking in tasks_of(RankingTask, tasks).values():
        rows = _spaced(np.arange(ranking.candidates))
        return ranking.level, rows, [_slices(ranking, number) for number in rows]
    return None


def _spaced(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(_MOST, len(rows))).astype(np.int64)]


def _label(task: Task, number: int) -> str:
    label = task.labels[number]
    if task.labels.dtype.kind == "f":
        return f"{label:.6g}"
    return task.classes[label] if task.classes else str(label)


def _slices(task: RankingTask, number: int) -> str:
    if task.slices:
        return " and ".join(name for name, mask in task.slices.items() if mask[number]) or "no slice"
    taken = task.parts["test"].seen if task.interactions is None else task.interactions
    count = int(np.count_nonzero(taken.indices == number))
    return f"taken {count}" if count < 10 else f"taken {10 ** (len(str(count)) - 1)} or more"
