"""The data of one run: windows in memory. Batches are pure functions of (order, step)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import Order, RawFeatures, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Windows, clean_view
from sslplug_sequence.signals.raw_features import signal_features
from sslplug_sequence.signals.spec import SignalSpec

WINDOWS_PER_VIEW = 256
"""Windows a view of ``rows()``."""


@dataclass(frozen=True)
class _Batches(Sequence[Windows]):
    """Batches made when asked for."""

    data: SignalData
    order: Order
    chosen: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        if not 0 <= step < len(self.chosen):
            raise IndexError(f"step {step} of {len(self.chosen)}")
        return self.data.gather(self.chosen[step], self.order)


@dataclass(frozen=True, eq=False)
class SignalData:
    """Windows with their tasks; see :class:`sslplug.contracts.DomainData`.

    values    (n, D, C, T) float32 as batches hold them;  present (n, D) bool;  lengths (n,) int64 or None
    titles    (n,) what each window is called, or None
    unscaled  (n, D, C, T') values as read, of which raw features are made, with ``triads``, ``rate`` and ``raw_lengths``
    allowed   (a,) numbers of the windows that training batches may hold
    weights   (a,) how likely an epoch visits them, or None: all alike;  epoch_share: the share it visits
    """

    spec: SignalSpec
    tasks: Mapping[str, Task]
    description: Mapping[str, Any]
    fitted: Mapping[str, Any]
    values: np.ndarray
    present: np.ndarray
    unscaled: np.ndarray
    triads: tuple[tuple[int, int, int], ...]
    rate: float
    allowed: np.ndarray
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None
    epoch_share: float = 1.0
    raw_lengths: np.ndarray | None = None
    titles: np.ndarray | None = None
    level: str = "window"

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """What each row (a present window and device) is called: its window, and the device where there are several."""
        window, device = np.nonzero(self.present)
        titles = [str(number) for number in range(len(self.present))] if self.titles is None else self.titles.tolist()
        if len(self.spec.devices) == 1:
            return {"window": [titles[w] for w in window]}
        return {"window": [f"{titles[w]}/{self.spec.devices[d]}" for w, d in zip(window, device, strict=True)]}

    def batches(self, order: Order) -> Sequence[Windows]:
        """Allowed windows, shuffled by (seed, epoch), ``order.batch_size`` at a time over all ranks.

        A global batch of b windows gives each of W ranks b // W of them, contiguous in the shuffled order. A ragged last batch
        with fewer than two windows a rank is left out: one window has nothing to be compared with.
        """
        visited = self._visited(order)
        size = order.batch_size or len(visited)
        chosen = []
        for start in range(0, len(visited), size):
            batch = visited[start : start + size]
            share = len(batch) // order.world
            if share >= 2 or (share == 1 and len(batch) == size):
                chosen.append(batch[order.rank * share : (order.rank + 1) * share])
        if not chosen:
            raise UsageError(f"{len(visited)} windows cannot be shared by {order.world} ranks; use fewer ranks.")
        return _Batches(self, order, chosen)

    def _visited(self, order: Order) -> np.ndarray:
        """The windows of one epoch, in order: a weighted draw without replacement (Efraimidis and Spirakis 2006)."""
        drawn = (
            Rng.root(order.seed).fork("batches", order.epoch).uniform(torch.from_numpy(self.allowed))[:, 0].double().numpy()
        )
        if self.weights is None:
            places = np.argsort(drawn, kind="stable")
        else:
            waits = -np.log1p(-drawn) / np.maximum(self.weights, 1e-12)  # exponential: the smallest is drawn first
            places = np.argsort(waits, kind="stable")
        count = max(1, round(self.epoch_share * len(places)))
        return self.allowed[places[:count]]

    def gather(self, windows: np.ndarray, order: Order | None = None) -> Windows:
        """The batch of these windows, in that order; with the labels ``order`` allows."""
        present = self.present[windows]
        labels: Tensor | None = None
        labelled: Tensor | None = None
        if order is not None and order.labels is not None:
            task, rows = order.labels.task, np.asarray(order.labels.rows, np.int64)
            allowed = np.zeros(len(task.labels), bool)
            allowed[rows] = True
            numbers = self._row_numbers[windows][present]
            places = np.flatnonzero(allowed[numbers])
            values = torch.from_numpy(task.labels[numbers[places]])
            labels = values.float() if values.is_floating_point() else values
            labelled = torch.from_numpy(places)
        return Windows(
            torch.from_numpy(self.values[windows]),
            torch.from_numpy(present),
            torch.from_numpy(windows.astype(np.int64)),
            None if self.lengths is None else torch.from_numpy(self.lengths[windows]),
            labels,
            labelled,
        )

    @cached_property
    def _row_numbers(self) -> np.ndarray:
        """(n, D) int64: the row of each present pair over the whole data, -1 where absent."""
        numbers = np.full(self.present.shape, -1, np.int64)
        numbers[self.present] = np.arange(int(self.present.sum()))
        return numbers

    def rows(self) -> Iterator[View]:
        """Every present (window, device) pair as one row, 256 windows a view."""
        for start in range(0, len(self.values), WINDOWS_PER_VIEW):
            yield clean_view(self.gather(np.arange(start, min(start + WINDOWS_PER_VIEW, len(self.values)))))

    def raw_features(self, task: Task) -> RawFeatures:
        """See :func:`sslplug_sequence.signals.raw_features.signal_features`; of the signals as read, whatever the scaling."""
        if task.level != self.level:
            raise DataError(f"Task {task.name!r} judges {task.level!r} rows; raw features are of windows alone.")
        return RawFeatures(self._features.copy())

    @cached_property
    def _features(self) -> np.ndarray:
        """(rows, f): computed once, for several tasks look at the same windows."""
        window, device = np.nonzero(self.present)
        lengths = None if self.raw_lengths is None else self.raw_lengths[window]
        return signal_features(self.unscaled[window, device], self.rate, self.triads, lengths)
