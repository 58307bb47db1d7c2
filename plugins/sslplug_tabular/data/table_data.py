"""A table in memory, ready for a run: encoded once, batches gathered by row number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from sslplug.contracts import Order, RawFeatures, Task, View, finished
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.data.batches import Batches, bounds, with_labels
from sslplug_tabular.data.naming import row_names
from sslplug_tabular.data.prepare import Prepared
from sslplug_tabular.data.source import parts_of
from sslplug_tabular.raw_features import raw_table

ROWS_PER_VIEW = 1024
"""Rows of each view that ``rows()`` yields."""


class TableData:
    """See :class:`sslplug.contracts.DomainData`. Batches hold only the rows that the protocol allows; ``rows()`` all."""

    level = "row"

    def __init__(self, prepared: Prepared) -> None:
        self.spec, self.tasks = prepared.spec, prepared.tasks
        self.description, self.fitted = prepared.description, prepared.fitted
        self._names = row_names(prepared.source, prepared.naming)
        encoding = prepared.encoding
        parts = [finished(encoding.decode(part)) for part in parts_of(prepared.source, encoding.sources)]
        self._values = np.concatenate([values for values, _ in parts])
        self._codes = np.concatenate([codes for _, codes in parts])
        numeric, missing = encoding.scale(self._values)
        self._numeric, self._missing = torch.from_numpy(numeric), torch.from_numpy(missing)
        self._code_tensor = torch.from_numpy(self._codes)
        self._allowed = torch.from_numpy(prepared.allowed)

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """What the rows are called, see :func:`sslplug_tabular.data.naming.row_names`."""
        return {"row": self._names.to_pylist()}

    def batches(self, order: Order) -> Sequence[Rows]:
        """Shuffled allowed rows, ``order.batch_size`` at a time over all ranks; see :func:`bounds`."""
        found = bounds(order, len(self._allowed))
        generator = Rng.root(order.seed).fork("batches", order.epoch).torch()
        shuffled = self._allowed[torch.randperm(len(self._allowed), generator=generator)]
        return Batches(lambda step: with_labels(self._gather(shuffled[slice(*found[step])]), order.labels), len(found))

    def rows(self) -> Iterator[View]:
        """All rows in order, 1024 a view."""
        for start in range(0, len(self._numeric), ROWS_PER_VIEW):
            index = torch.arange(start, min(start + ROWS_PER_VIEW, len(self._numeric)))
            yield View(self._gather(index), ids={"row": index.clone()})

    def raw_features(self, task: Task) -> RawFeatures:
        """See :func:`sslplug_tabular.raw_features.raw_table`."""
        if task.level != self.level:
            raise DataError(f"Task {task.name!r} judges {task.level!r} rows; a table has raw features of its rows alone.")
        return raw_table(self._values, self._codes)

    def _gather(self, index: torch.Tensor) -> Rows:
        codes = self._code_tensor[index].to(torch.int64)
        return Rows(self._numeric[index], self._missing[index], codes, index.clone())
