"""Labelled tasks of clouds: classes of whole clouds and of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sslplug.contracts import Split, Task
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_set import CloudSet


def shares_by_group(groups: np.ndarray, val: float, test: float, rng: Rng) -> Split:
    """Whole groups (drives, scenes) drawn for test and validation until their shares of the clouds are reached."""
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.fork("split").numpy().permutation(len(names))
    reached = np.cumsum(sizes[order]) / len(groups)
    n_test = int(np.searchsorted(reached, test - 1e-9) + 1)
    n_val = int(np.searchsorted(reached, test + val - 1e-9) + 1) - n_test if val else 0
    if n_test + n_val >= len(names):
        raise DataError(
            f"{len(names)} groups cannot be split into train, {val:.0%} validation and {test:.0%} test; give more drives or scenes."
        )
    parts = np.split(names[order], [n_test, n_test + max(n_val, 1 if val else 0)])
    rows = [np.flatnonzero(np.isin(groups, part)) for part in parts]
    return Split(rows[2], rows[1], rows[0])


def shares_by_class(labels: np.ndarray, val: float, test: float, rng: Rng) -> Split:
    """Stratified: of each class, random shares for validation and test."""
    parts: list[list[np.ndarray]] = [[], [], []]
    for value in np.unique(labels[labels >= 0]):
        rows = rng.fork("split", int(value)).numpy().permutation(np.flatnonzero(labels == value))
        n_test, n_val = round(test * len(rows)), round(val * len(rows))
        for part, chosen in zip(parts, np.split(rows, [n_test, n_test + n_val])):
            part.append(chosen)
    if not parts[0]:
        raise DataError("No cloud has a label, so there is nothing to split; give labels or leave the task out.")
    test_rows, val_rows, train_rows = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train_rows, val_rows, test_rows)


def in_order(count: int, val: float, test: float) -> Split:
    """Consecutive sweeps: the first train, the next choose, the last test; neighbours resemble each other too much to be drawn."""
    n_test, n_val = max(1, round(test * count)), round(val * count)
    if n_test + n_val >= count:
        raise DataError(
            f"{count} sweeps cannot be split into train, {val:.0%} validation and {test:.0%} test; give more sweeps."
        )
    train, chosen, held = np.split(np.arange(count), [count - n_test - n_val, count - n_test])
    return Split(train, chosen, held)


def in_order_within_class(labels: np.ndarray, train: float, val: float) -> Split:
    """Of each class in the order of the rows: the first share trains, the next chooses, the last tests."""
    parts: list[list[np.ndarray]] = [[], [], []]
    for value in np.unique(labels):
        rows = np.flatnonzero(labels == value)
        cuts = [round(train * len(rows)), round((train + val) * len(rows))]
        for part, chosen in zip(parts, np.split(rows, cuts)):
            part.append(chosen)
    return Split(*(np.sort(np.concatenate(part)) for part in parts))


def object_task(clouds: CloudSet, splits: Sequence[Split], protocol: str, name: str = "object", drawn: bool = False) -> Task:
    """Which class a cloud is of."""
    assert clouds.labels is not None  # callers have them
    return Task(
        name, "classification", "cloud", clouds.labels, list(splits), protocol, groups=clouds.groups, classes=clouds.classes,
        drawn=drawn,
    )  # fmt: skip


def point_task(
    clouds: CloudSet, splits: Sequence[Split], judged: int, protocol: str, rng: Rng, name: str = "point", drawn: bool = False
) -> Task:
    """Which class a point is of, at ``judged`` labelled points of each sweep, drawn once; splits are those of the sweeps."""
    assert clouds.point_labels is not None  # callers have them
    labelled = clouds.point_labels >= 0
    key = np.where(labelled, rng.fork("judged").numpy().random(len(labelled)), 2.0)
    order = np.lexsort((key, clouds.owner))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(clouds.offsets[:-1], clouds.lengths)
    chosen = np.flatnonzero(labelled & (rank < judged))
    sweep = clouds.owner[chosen]
    parts = [
        Split(*(np.flatnonzero(np.isin(sweep, rows)) for rows in (split.train, split.val, split.test))) for split in splits
    ]
    return Task(
        name,
        "segmentation",
        "point",
        clouds.point_labels[chosen],
        parts,
        f"{protocol}; {judged} points a sweep",
        members=chosen[:, None],
        groups=sweep if clouds.groups is None else clouds.groups[sweep],
        classes=clouds.point_classes,
        drawn=drawn,
    )
