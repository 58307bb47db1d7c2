"""The toy domain's data: Gaussian clusters seen through many noisy cells.

A row is an instance of one of ``clusters`` classes. It has ``cells`` cells of ``width`` numbers. Each cell holds the class
centre through its own linear map, plus noise of its own that is stronger than the signal. What two cells of a row share is
the class and nothing else, so an encoder that learns to agree across cells learns the classes without seeing a label, while
an untrained one keeps all the noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import AnyTask, DataContext, Options, Order, RawFeatures, Split, Target, Task, View
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug.testing.toy_questions import nearest, same_cluster


class ClustersOptions(Options):
    """Sizes of the random clusters."""

    rows: int = Field(default=480, ge=16, description="number of rows (instances)")
    clusters: int = Field(default=4, ge=2, description="number of classes")
    cells: int = Field(default=8, ge=2, description="cells a row")
    width: int = Field(default=6, ge=1, description="numbers a cell")
    signal: float = Field(default=0.8, gt=0, description="size of the class signal; the noise has size 1")
    splits: int = Field(default=5, ge=1, le=1000, description="number of random splits of the task")
    further: bool = Field(default=False, description="also a ranking and a measured task: who is of my cluster")


@dataclass(frozen=True)
class ToySpec:
    """What views and encoders must know: cells a row and numbers a cell."""

    cells: int
    width: int


@dataclass(frozen=True)
class ToyBatch:
    """Some rows.

    cells    (n, t, f) float32
    numbers  (n,) int64: the rows' numbers in the whole data
    present  (n, t) bool: False where a view took a cell away (its numbers are 0 then)
    labels   (n,) int64, -1 = not given; None unless the order asked for labels
    """

    cells: Tensor
    numbers: Tensor
    present: Tensor
    labels: Tensor | None = None

    def to(self, device: torch.device | str) -> ToyBatch:
        """The same rows on ``device``."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(
            self,
            cells=self.cells.to(device),
            numbers=self.numbers.to(device),
            present=self.present.to(device),
            labels=labels,
        )


@dataclass(frozen=True)
class ToyBatches(Sequence[ToyBatch]):
    """One rank's batches of one epoch; batch ``step`` is computed when asked for and depends on nothing else."""

    data: Cells
    order: Order
    size: int

    def __len__(self) -> int:
        return len(self.data.cells) // self.size

    @overload
    def __getitem__(self, step: int) -> ToyBatch: ...

    @overload
    def __getitem__(self, step: slice) -> Sequence[ToyBatch]: ...

    def __getitem__(self, step: int | slice) -> ToyBatch | Sequence[ToyBatch]:
        if isinstance(step, slice):
            return [self[number] for number in range(*step.indices(len(self)))]
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of an epoch of {len(self)} steps")
        order = self.order
        shuffled = Rng.root(order.seed).fork("order", order.epoch).numpy().permutation(len(self.data.cells))
        joined = shuffled[step * self.size : (step + 1) * self.size]
        return self.data.batch(np.array_split(joined, order.world)[order.rank], order)


class Cells:
    """Rows of cells as :class:`sslplug.contracts.DomainData`.

    cells  (n, t, f) float32
    """

    level = "row"

    def __init__(
        self,
        cells: np.ndarray,
        tasks: Mapping[str, AnyTask],
        description: Mapping[str, Any],
        fitted: Mapping[str, Any],
        ids: Sequence[str] = (),
    ) -> None:
        n, t, f = cells.shape
        self.cells = cells
        self.spec = ToySpec(t, f)
        self.tasks, self.fitted = tasks, fitted
        self.names: Mapping[str, Sequence[str]] = {"row": ids} if ids else {}
        self.description: Mapping[str, Any] = {
            **description,
            "rows": n,
            "cells": t,
            "width": f,
            "sha256": hashlib.sha256(cells.tobytes()).hexdigest(),
        }

    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        """These rows as a batch of its own memory, with labels only where ``order`` allows them."""
        cells = torch.from_numpy(self.cells[rows])
        labels = None
        if order is not None and order.labels is not None:
            known = np.full(len(self.cells), -1, dtype=np.int64)
            known[order.labels.rows] = order.labels.task.labels[order.labels.rows]
            labels = torch.from_numpy(known[rows])
        return ToyBatch(
            cells, torch.from_numpy(rows.astype(np.int64)), torch.ones(cells.shape[:2], dtype=torch.bool), labels
        )

    def batches(self, order: Order) -> Sequence[ToyBatch]:
        """The epoch's batches for one rank. Rows that do not fill a batch wait for another epoch's shuffle.

        Raises DataError where the batch size is larger than the data or not a multiple of the ranks.
        """
        size = order.batch_size or len(self.cells) // order.world * order.world
        if size > len(self.cells) or size % order.world:
            raise DataError(
                f"Batch size {size} on {order.world} ranks for {len(self.cells)} rows; "
                "choose a multiple of the ranks that is no larger than the data."
            )
        return ToyBatches(self, order, size)

    def rows(self) -> Iterable[View]:
        """Every row once, 128 rows a view."""
        for start in range(0, len(self.cells), 128):
            yield clean(self.batch(np.arange(start, min(start + 128, len(self.cells)))))

    def raw_features(self, task: Task) -> RawFeatures:
        """(n, t*f + 3f): all cells, and their mean, largest and smallest over the cells."""
        flat = self.cells.reshape(len(self.cells), -1)
        return RawFeatures(np.concatenate([flat, self.cells.mean(1), self.cells.max(1), self.cells.min(1)], axis=1))


class Clusters(Cells):
    """The clusters, made of the context's seed."""

    def __init__(self, options: ClustersOptions, context: DataContext) -> None:
        generator = Rng.root(context.seed).fork("clusters").numpy()
        n, t, f = options.rows, options.cells, options.width
        classes = generator.permutation(np.arange(n) % options.clusters)
        centres = generator.normal(size=(options.clusters, f))
        maps = generator.normal(size=(t, f, f)) / np.sqrt(f)
        signal = np.einsum("nf,tfg->ntg", centres[classes], maps)
        cells = options.signal * signal + generator.normal(size=(n, t, f))
        tasks: dict[str, AnyTask] = {"cluster": self._task(options, classes.astype(np.int64), generator)}
        if options.further:
            tasks |= {task.name: task for task in (same_cluster(classes, generator), nearest(classes, cells))}
        super().__init__(cells.astype(np.float32), tasks, {"name": "clusters", "preprocessing": "none"}, {})

    @staticmethod
    def _task(options: ClustersOptions, classes: np.ndarray, generator: np.random.Generator) -> Task:
        """Five rows a class on average for training, as many for validation, the rest for the test; ``splits`` times."""
        few = 5 * options.clusters
        splits = []
        for _ in range(options.splits):
            shuffled = generator.permutation(options.rows).astype(np.int64)
            splits.append(Split(shuffled[:few], shuffled[few : 2 * few], shuffled[2 * few :]))
        names = tuple(f"cluster {k}" for k in range(options.clusters))
        return Task(
            "cluster", "classification", "row", classes, splits, f"random, {few} train, {few} validation", classes=names
        )


def clean(batch: ToyBatch, role: str = "") -> View:
    """The batch as it is, as a view that names its rows and cells.

    Where the batch carries labels, the target "label" asks for those that are known.
    """
    cells = batch.cells.shape[1]
    position = torch.arange(cells, device=batch.numbers.device)
    targets: dict[str, Target] = {}
    if batch.labels is not None:
        rows = (batch.labels >= 0).nonzero().squeeze(1)
        targets["label"] = Target("row", batch.labels[rows], rows)
    ids = {"row": batch.numbers, "cell": (batch.numbers[:, None] * cells + position).flatten()}
    return View(batch, ids=ids, targets=targets, role=role)


def build_clusters(options: ClustersOptions, context: DataContext) -> Clusters:
    """The component's build function."""
    return Clusters(options, context)
