"""Which rows each batch of an epoch holds, and which labels come with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sslplug.contracts import LabelledRows, Order
from sslplug.errors import UsageError
from sslplug_tabular.batch import Rows


def bounds(order: Order, rows: int) -> list[tuple[int, int]]:
    """Where each batch of this rank begins and ends in the epoch's shuffled rows.

    A global batch of b rows gives each of W ranks b // W rows, contiguous in the shuffled order; at most W - 1 rows of a
    batch are left out that epoch. The ragged last batch is kept, unless a rank would get fewer than two rows of it (one row
    has nothing to be compared with, and no batch statistic), when it is left out.
    """
    size = min(order.batch_size or rows, rows)
    found = []
    for start in range(0, rows, size):
        length = min(size, rows - start)
        share = length // order.world
        if share >= 2 or (share == 1 and length == size):
            found.append((start + order.rank * share, start + (order.rank + 1) * share))
    if not found:
        raise UsageError(f"{rows} rows cannot be shared by {order.world} ranks; use fewer ranks.")
    return found


def with_labels(batch: Rows, labelled: LabelledRows | None) -> Rows:
    """``batch`` with the labels of the allowed rows that are in it, and of no others."""
    if labelled is None:
        return batch
    allowed = np.asarray(labelled.rows, np.int64)
    here = np.flatnonzero(np.isin(batch.index.numpy(), allowed))
    values = torch.from_numpy(labelled.task.labels[batch.index.numpy()[here]])
    values = values.float() if values.is_floating_point() else values
    return replace(batch, labels=values, labelled=torch.from_numpy(here))


@dataclass(frozen=True)
class Batches(Sequence[Rows]):
    """Batches made when asked for: ``make(step)``."""

    make: Callable[[int], Rows]
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: Any) -> Any:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        return self.make(step)
