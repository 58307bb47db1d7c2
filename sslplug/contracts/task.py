"""Labelled tasks: what embeddings are judged by. A task refuses to exist with leaking splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sslplug.errors import DataError

Kind = Literal["classification", "regression", "segmentation", "link", "anomaly", "clustering"]


@dataclass(frozen=True)
class Split:
    """Row numbers of a task's instances: three disjoint int64 arrays. An empty ``val`` asks the probe for inner
    cross-validation on ``train``; ``test`` is scored once."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Task:
    """One question asked of frozen embeddings.

    name      unique in the data, part of the metric names ``eval/<task>/<probe>/<metric>``
    kind      the metric family
    level     the embedding level whose rows are judged
    labels    (n,) int64 classes (-1 = no label), float for regression, 0/1 for link and anomaly
    splits    one or more :class:`Split` of the n instances; several for random splits and folds
    protocol  what the splits are, in words that tell published numbers apart ("public", "random 10/10/80")
    members   (n, k) int64: the embedding rows that make up each instance (a pair of nodes for a link), or None: instance i is
              embedding row i
    groups    (n,) the group of each instance (a person); no group may be on two sides of a split
    classes   names of the classes, for reports
    drawn     the run's seed drew which rows test, so runs with other seeds have other splits; statistics must not take their
              splits of one number for the same

    Refused with DataError: overlap between the parts of a split, indices out of range, split groups, wrong lengths,
    unlabelled rows in a split, an empty train or test part, non-finite regression labels.
    """

    name: str
    kind: Kind
    level: str
    labels: np.ndarray
    splits: Sequence[Split]
    protocol: str
    members: np.ndarray | None = None
    groups: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    drawn: bool = False

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.kind not in get_args(Kind):
            raise DataError(f"Task {self.name!r}: kind {self.kind!r}; expected one of {', '.join(get_args(Kind))}.")
        if self.labels.ndim != 1:
            raise DataError(f"Task {self.name!r}: labels are {self.labels.shape}; expected (n,).")
        for what, array in (("members", self.members), ("groups", self.groups)):
            if array is not None and len(array) != n:
                raise DataError(f"Task {self.name!r}: {len(array)} {what} for {n} labels; expected as many.")
        if not self.splits:
            raise DataError(f"Task {self.name!r}: no split; give at least one Split(train, val, test).")
        for number, split in enumerate(self.splits):
            self._check_split(number, split, n)

    def _check_split(self, number: int, split: Split, n: int) -> None:
        where = f"Task {self.name!r}, split {number}"
        parts = {"train": split.train, "val": split.val, "test": split.test}
        for part, rows in parts.items():
            if rows.dtype != np.int64 or rows.ndim != 1:
                raise DataError(f"{where}: {part} is {rows.shape} {rows.dtype}; expected (m,) int64 row numbers.")
            if len(rows) and (rows.min() < 0 or rows.max() >= n):
                raise DataError(f"{where}: {part} holds row {int(rows.max())}, but there are {n} instances (0..{n - 1}).")
            if len(np.unique(rows)) != len(rows):
                raise DataError(f"{where}: {part} names {len(rows) - len(np.unique(rows))} rows twice.")
            if not len(rows) and part != "val":
                raise DataError(f"{where}: {part} is empty.")
            bad = rows[~np.isfinite(self.labels[rows])] if self.labels.dtype.kind == "f" else rows[self.labels[rows] < 0]
            if len(bad):
                raise DataError(f"{where}: {part} holds {len(bad)} rows without a usable label, first row {int(bad[0])}.")
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            shared = np.intersect1d(parts[a], parts[b])
            if len(shared):
                raise DataError(f"{where}: {len(shared)} rows are in both {a} and {b}, first row {int(shared[0])}.")
            if self.groups is not None:
                split_groups = np.intersect1d(self.groups[parts[a]], self.groups[parts[b]])
                if len(split_groups):
                    raise DataError(
                        f"{where}: group {split_groups[0]} is in both {a} and {b} ({len(split_groups)} such groups); "
                        "split by group."
                    )

    @property
    def num_classes(self) -> int:
        """Number of classes of a classification task: one more than the largest label."""
        return int(self.labels.max()) + 1
