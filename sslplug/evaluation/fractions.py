"""Label fractions: stratified, nested subsets of a split, the same for every method that is given the same seed."""

from __future__ import annotations

import numpy as np

from sslplug.contracts import Split, Task
from sslplug.randomness import Rng


def subset(labels: np.ndarray, rows: np.ndarray, fraction: float, rng: Rng) -> np.ndarray:
    """A share of ``rows``, sorted: ``fraction`` of each class, at least one row; of all rows where labels are numbers.

    Each class is shuffled once and a prefix of it is kept, so a smaller fraction's rows are among a larger one's.
    """
    if fraction >= 1.0:
        return np.sort(rows)
    if not len(rows):
        return rows
    classes = np.zeros(len(rows), dtype=np.int64) if labels.dtype.kind == "f" else labels[rows]
    least = 2 if labels.dtype.kind == "f" else 1
    kept = []
    for value in np.unique(classes):
        members = rng.fork(int(value)).numpy().permutation(np.sort(rows[classes == value]))
        kept.append(members[: max(least, round(fraction * len(members)))])
    return np.sort(np.concatenate(kept))


def shrink(task: Task, number: int, fraction: float, seed: int) -> Split:
    """Split ``number`` of ``task`` with a fraction of its training and validation rows; the test rows stay.

    Validation shrinks in the same proportion: who has 1 % of the labels cannot tune on a full validation set.
    """
    split = task.splits[number]
    rng = Rng.root(seed).fork("fractions", task.name, number)
    return Split(
        subset(task.labels, split.train, fraction, rng.fork("train")),
        subset(task.labels, split.val, fraction, rng.fork("val")),
        split.test,
    )
