"""Data whose batches or rows break one promise each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from sslplug.contracts import DataContext, Embedding, Order, Target, View
from sslplug.testing import toy_data, toy_encoder
from sslplug.testing.toy_data import Clusters, ToyBatch
from tests.testing.mutants.small import Mutant, with_data, with_encoder


class Fitless(Clusters):
    """Without the attribute ``fitted``."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        del self.fitted


class History(Clusters):
    """A batch asked for after a later one comes in another order."""

    def batches(self, order: Order) -> Sequence[ToyBatch]:
        plain, data, last = super().batches(order), self, [-1]

        class Remembering(Sequence[ToyBatch]):
            def __len__(self) -> int:
                return len(plain)

            def __getitem__(self, step: Any) -> Any:
                batch = plain[step]
                back, last[0] = step < last[0], step
                return data.batch(batch.numbers.numpy()[::-1].copy(), order) if back else batch

        return Remembering()


class SharedMemory(Clusters):
    """Hands out one and the same batch whenever the same rows are asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._kept: dict[Any, ToyBatch] = {}

    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        key = (rows.tobytes(), order is not None and order.labels is not None)
        return self._kept.setdefault(key, super().batch(rows, order))


class SameShare(Clusters):
    def batches(self, order: Order) -> Sequence[ToyBatch]:
        return super().batches(replace(order, rank=0))


class ByWorker(Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        return super().batch(rows if get_worker_info() is None else rows[::-1].copy(), order)


class NeverShuffled(Clusters):
    def batches(self, order: Order) -> Sequence[ToyBatch]:
        return super().batches(replace(order, seed=0, epoch=0))


class Surprised(Clusters):
    def batches(self, order: Order) -> Sequence[ToyBatch]:
        if order.batch_size > len(self.cells):
            raise KeyError(order.batch_size)
        return super().batches(order)


class Emptied(Clusters):
    def batches(self, order: Order) -> Sequence[ToyBatch]:
        return super().batches(order) if order.batch_size <= len(self.cells) else [self.batch(np.zeros(0, dtype=np.int64))]


@dataclass(frozen=True)
class Staying(ToyBatch):
    """Leaves its numbers where they are."""

    def to(self, device: torch.device | str) -> ToyBatch:
        return replace(super().to(device), numbers=self.numbers)


class Stays(Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        plain = super().batch(rows, order)
        return Staying(plain.cells, plain.numbers, plain.present, plain.labels)


class NarrowRows(Clusters):
    def rows(self) -> Iterable[View]:
        return [replace(view, data=replace(view.data, numbers=view.data.numbers.int())) for view in super().rows()]


@dataclass(frozen=True)
class Noted(ToyBatch):
    """A further field that neither views nor encoders look at."""

    note: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> ToyBatch:
        assert self.note is not None
        return replace(super().to(device), note=self.note.to(device))


def noted(plain: ToyBatch, note: torch.Tensor) -> ToyBatch:
    return Noted(plain.cells, plain.numbers, plain.present, plain.labels, note)


class Unknown(Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> ToyBatch:
        return noted(super().batch(rows, order), torch.tensor([float("nan")]))


class DrawsGlobally(Clusters):
    def rows(self) -> Iterable[View]:
        np.random.rand()
        return super().rows()


class NoHash(Clusters):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.description = {"name": "clusters"}


class Centred(Clusters):
    """Rows moved by their mean, which is handed on as it should be; the three below break one step of that."""

    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        mean = float(self.cells.mean()) if context.fitted is None else context.fitted["mean"]
        self.cells, self.fitted = self.cells - np.float32(mean), {"mean": mean}


class NoJson(Centred):
    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        self.fitted = {"mean": np.float32(self.fitted["mean"])}


class FitsAgain(Centred):
    """Rows are encoded otherwise where ``fitted`` is given."""

    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        if context.fitted is not None:
            self.cells = self.cells + np.float32(0.5)


class LosesFitted(Centred):
    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        if context.fitted is not None:
            self.fitted = {}


class MovingRows(Clusters):
    """Each pass over rows() notes its number in the second view."""

    passes = itertools.count()

    def rows(self) -> Iterable[View]:
        first, second, *others = super().rows()
        count = torch.tensor([next(self.passes)])
        return [first, replace(second, data=noted(second.data, count)), *others]


class DoubledRows(Clusters):
    def rows(self) -> Iterable[View]:
        views = [replace(view, ids={}) for view in super().rows()]
        return [*views, views[0]]


class Backwards(Clusters):
    def rows(self) -> Iterable[View]:
        return [*super().rows()][::-1]


class Labelled(Clusters):
    def rows(self) -> Iterable[View]:
        zero = torch.zeros(1, dtype=torch.int64)
        return [replace(view, targets={"label": Target("row", zero, zero)}) for view in super().rows()]


class Stale(toy_encoder.CellsEncoder):
    """In eval mode it keeps an embedding by the shape of the batch."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._kept: dict[Any, Embedding] = {}

    def forward(self, view: View) -> Embedding:
        if self.training or len(view.data.numbers) < 100:
            return super().forward(view)
        key = (view.data.cells.shape, int(view.data.present.sum()))
        return self._kept.setdefault(key, super().forward(view))


class HeldOut(Clusters):
    """Batches hold rows 64 and after; cells are standardised by the rows from ``fitted_from`` on."""

    fitted_from = 64

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        seen = self.cells[self.fitted_from :]
        self.cells = ((self.cells - seen.mean(0)) / seen.std(0)).astype(np.float32)

    def batches(self, order: Order) -> Sequence[ToyBatch]:
        seen = Clusters.__new__(Clusters)
        seen.__dict__.update(
            self.__dict__ | {"cells": self.cells[64:], "batch": lambda rows, order: self.batch(rows + 64, order)}
        )
        return Clusters.batches(seen, order)


class HeldOutButScaled(HeldOut):
    fitted_from = 0


def broken(promise: str, data: type[Clusters], words: str) -> Mutant:
    return Mutant(f"data/{promise}", with_data(data), words)


MUTANTS = [
    broken("contract", Fitless, "a Fitless without fitted"),
    broken("batches-pure", History, "batch .* differs at .* when asked for in another order"),
    broken("batches-own-memory", SharedMemory, "editing a batch changed the data at .cells"),
    broken("ranks-join", SameShare, "the ranks' .numbers joined are others"),
    broken("workers", ByWorker, "batch 0 of two workers differs"),
    broken("reshuffled", NeverShuffled, "another epoch gave the same first batch"),
    broken("sizes", Surprised, "raised KeyError: 578; expected batches or a DataError"),
    broken("sizes", Emptied, "batch size 578 gave a batch without instances"),
    broken("device", Stays, "holds .numbers elsewhere"),
    broken("dtype", NarrowRows, ".numbers is torch.int32 in rows"),
    broken("finite", Unknown, "1 numbers that are not finite at .note"),
    broken("global-randomness", DrawsGlobally, "the global generator of numpy"),
    broken("description", NoHash, r"description\['sha256'\] is None"),
    broken("fitted", NoJson, "fitted is not JSON"),
    broken("fitted", FitsAgain, "encoded by DataContext.fitted differ"),
    broken("fitted", LosesFitted, "data built by fitted has another"),
    broken("rows-fixed", MovingRows, r"differ at \[1\].data.note"),
    broken("rows-complete", DoubledRows, "give 416 rows of level 'row'; task 'cluster' expected 288"),
    broken("rows-in-order", Backwards, "after instance 287 of level 'row' comes 128"),
    broken("rows-clean", Labelled, "view 0 of rows.. has the target 'label'"),
    Mutant("data/embeddings-fixed", with_encoder(Stale, "cells"), "level .* differs at row 0"),
    broken("statistics", HeldOutButScaled, "has mean 0 and deviation 1 over all rows, 64 of which no batch holds"),
]
