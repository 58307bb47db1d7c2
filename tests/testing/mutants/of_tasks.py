"""Data whose tasks, raw features or labels break one promise each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sslplug.contracts import DataContext, Order, Plugin, RawFeatures, Split, Task
from sslplug.testing.toy_data import Clusters, ClustersOptions, ToyBatch
from tests.testing.mutants.of_data import noted
from tests.testing.mutants.small import Mutant, with_data


def forced(task: Any, **values: Any) -> None:
    """Past the constructor that would refuse them."""
    for name, value in values.items():
        object.__setattr__(task, name, value)


class Renamed(Clusters):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.tasks = {"classes": self.tasks["cluster"]}


class Overlapping(Clusters):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        task = self.tasks["cluster"]
        first = task.splits[0]
        forced(task, splits=[Split(first.train, first.val, np.concatenate([first.test, first.train[:2]])), task.splits[1]])


class SplitGroups(Clusters):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        forced(self.tasks["cluster"], groups=np.arange(len(self.cells)) % 7)


class DrawnSplits(Clusters):
    built = itertools.count()

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        task, count = self.tasks["cluster"], next(self.built)
        splits = [Split(np.roll(one.train, count), one.val, one.test) for one in task.splits]
        self.tasks = {"cluster": replace(task, splits=splits)}


class Leaks(Clusters):
    """Labels under other names, from a list of its own."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._hints = 3 - self.tasks["cluster"].labels.copy()

    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        return noted(super().batch(rows, order), torch.from_numpy(self._hints[rows]))


class Hints(Clusters):
    """Not the labels, but a number that depends on them."""

    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        hint = 0.1 * (self.tasks["cluster"].labels[rows] > 1)
        return noted(super().batch(rows, order), torch.from_numpy(hint.astype(np.float32)))


class AllLabels(Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        batch = super().batch(rows, order)
        return batch if batch.labels is None else replace(batch, labels=torch.from_numpy(self.tasks["cluster"].labels[rows]))


class InfiniteFeatures(Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        features = super().raw_features(task).values.copy()
        features[3, 4] = np.inf
        return RawFeatures(features)


class NoCodes(Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        return RawFeatures(super().raw_features(task).values, categorical=(2,))


class CheatingFeatures(Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        return RawFeatures(np.concatenate([super().raw_features(task).values, task.labels[:, None]], axis=1))


class Further(Clusters):
    """The toy with its ranking and its measured task, which ``change`` may break."""

    def __init__(self, options: ClustersOptions, context: DataContext) -> None:
        super().__init__(options.model_copy(update={"further": True}), context)
        self.tasks = {name: self.change(name, task) for name, task in self.tasks.items()}

    def change(self, name: str, task: Any) -> Any:
        return task


class PairsByCall(Further):
    calls = itertools.count()

    def change(self, name: str, task: Any) -> Any:
        def pairs(query: np.ndarray, candidate: np.ndarray) -> RawFeatures:
            return RawFeatures(np.full((len(query), 1), float(next(self.calls))))

        return replace(task, pairs=pairs) if name == "same-cluster" else task


class MeasureByCall(Further):
    calls = itertools.count()

    def change(self, name: str, task: Any) -> Any:
        def measure(levels: Any) -> Any:
            return {"agreement": np.full(len(levels["row"]), 1.0 / (1 + next(self.calls)))}

        return replace(task, measure=measure) if name == "nearest" else task


def broken(promise: str, data: type[Clusters], words: str) -> Mutant:
    return Mutant(f"data/{promise}", with_data(data), words)


def whole() -> Plugin:
    return with_data(Further)


MUTANTS = [
    broken("task-names", Renamed, r"tasks\['classes'\] is called 'cluster'"),
    broken("splits", Overlapping, "split 0: 2 rows are in train and test"),
    broken("groups", SplitGroups, "group 0 is in train and val"),
    broken("tasks-fixed", DrawnSplits, "tasks differ at .*train"),
    broken("no-label-in-batches", Leaks, "batch.note holds the labels of task 'cluster'"),
    broken("labels-unread", Hints, r"batches differ at \[0\].note"),
    broken("raw-features", InfiniteFeatures, "holds an infinity"),
    broken("raw-features", NoCodes, "column 2 is categorical"),
    broken("raw-features-blind", CheatingFeatures, "changes when the labels are shuffled"),
    broken("ranking-pairs", PairsByCall, "differ on a second build"),
    broken("measured", MeasureByCall, "expected one value for the same embeddings"),
    Mutant(
        "views/crops/labels",
        with_data(AllLabels),
        "expected allowed rows alone",
        frozenset({"views/reordered/labels", "views/identity/labels"}),  # every view set shows what the batch carries
    ),
]
