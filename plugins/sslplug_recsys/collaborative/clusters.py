"""k-means on a table (Lloyd's algorithm), vectorised, in blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng

_ROWS = 4096


def nearest(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) the nearest centre of every row, and (n,) its squared distance."""
    half = centres.square().sum(1) / 2
    best = [torch.min(half - block @ centres.t(), 1) for block in torch.split(rows, _ROWS)]
    found = torch.cat([one.indices for one in best])
    distance = rows.square().sum(1) + 2.0 * torch.cat([one.values for one in best])
    return found, distance.clamp(min=0.0)


def k_means(rows: Tensor, count: int, rng: Rng, rounds: int = 20) -> tuple[Tensor, Tensor]:
    """(count, d) centres and (n,) the centre of each of (n, d) rows.

    Starts from distinct random rows. A centre that loses all its rows moves to a row that is farthest from its own.
    Raises UsageError where there are fewer rows than centres.
    """
    if count > len(rows):
        raise UsageError(
            f"{count} clusters of {len(rows)} rows; expected at most as many. Lower method.contrasts' clusters."
        )
    centres = rows[torch.randperm(len(rows), generator=rng.torch(rows.device), device=rows.device)[:count]].clone()
    for _ in range(rounds):
        own, distance = nearest(rows, centres)
        size = torch.bincount(own, minlength=count)
        moved = torch.zeros_like(centres).index_add_(0, own, rows) / size.clamp(min=1)[:, None]
        empty = (size == 0).nonzero()[:, 0]
        if len(empty):
            moved[empty] = rows[distance.topk(len(empty)).indices]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres, nearest(rows, centres)[0]
