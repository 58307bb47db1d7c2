"""From the rows of events to one row an entity."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslplug_sequence.events.batch import Events

Pooling = Literal["last", "mean", "last_mean_max"]


def pooled_width(pooling: Pooling, width: int) -> int:
    """Columns of the pooled rows."""
    return 3 * width if pooling == "last_mean_max" else width


def pool(pooling: Pooling, rows: Tensor, events: Events, empty: Tensor) -> Tensor:
    """(n, pooled width) from (m, width) rows of events: the last one's, their mean, or both beside their maximum.

    empty  (n, width): the row of a sequence without events
    """
    length = events.lengths
    some = (length > 0)[:, None]
    last = torch.where(some, rows[(events.offsets[1:] - 1).clamp(min=0)], empty) if len(rows) else empty
    if pooling == "last":
        return last
    total = rows.new_zeros(len(length), rows.shape[1]).index_add(0, events.owner, rows)
    mean = torch.where(some, total / length.clamp(min=1)[:, None], empty)
    if pooling == "mean":
        return mean
    owner = events.owner[:, None].expand_as(rows)
    highest = rows.new_full(mean.shape, -torch.inf).scatter_reduce(0, owner, rows, "amax")
    return torch.cat([last, mean, torch.where(some, highest, empty)], 1)
