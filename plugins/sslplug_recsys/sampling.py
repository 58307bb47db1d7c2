"""Negatives and positives drawn for a whole batch at once, exactly uniform, without a loop over users and without rejection.

A user's items sorted, a_0 < a_1 < ..., leave a_j - j items free below a_j. The k-th free item (from 0) is therefore k + (number of
j with a_j - j <= k): one binary search in the sorted keys (user, a_j - j). Its cost is O(log E) a draw for the user who has seen
nearly everything as for the one who has seen nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_recsys.spec import RecSpec


@dataclass(frozen=True, eq=False)
class Interactions:
    """Training pairs, sorted by user and item.

    items    how many there are
    offsets  (users + 1,) int64: where a user's pairs begin
    item     (e,) int64
    keys     (e,) int64, increasing: user * (items + 1) + the number of free items below the pair's item
    active   (k,) int64: users with a pair
    """

    items: int
    offsets: Tensor
    item: Tensor
    keys: Tensor
    active: Tensor

    def to(self, device: torch.device | str) -> Interactions:
        """The same pairs on ``device``."""
        moved = {name: getattr(self, name).to(device) for name in ("offsets", "item", "keys", "active")}
        return replace(self, **moved)

    def negatives(self, users: Tensor, uniform: Tensor) -> Tensor:
        """(b,) int64: an item that each of ``users`` has no training pair with, uniform among those.

        uniform  (b,) float64 in [0, 1)
        """
        start, count = self.offsets[users], self.offsets.diff()[users]
        free = self.items - count
        k = torch.minimum((uniform * free).long(), free - 1)
        below = torch.searchsorted(self.keys, users * (self.items + 1) + k, right=True) - start
        return k + below

    def positives(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) users, uniform among those with a pair, and one of each one's items, uniform. ``uniform`` is (b, 2) float64."""
        users = self.active[(uniform[:, 0] * len(self.active)).long()]
        start, count = self.offsets[users], self.offsets.diff()[users]
        return users, self.item[start + (uniform[:, 1] * count).long()]


def interactions_of(spec: RecSpec) -> Interactions:
    """The training pairs, ready to draw from. Raises DataError where a user has a pair with every item."""
    order = torch.argsort(spec.user * spec.items + spec.item)
    user, item = spec.user[order], spec.item[order]
    count = torch.bincount(user, minlength=spec.users)
    if len(count) and int(count.max()) >= spec.items:
        full = int(count.argmax())
        raise DataError(
            f"User {full} has a training pair with all {spec.items} items, so there is no negative to draw; leave such users out."
        )
    offsets = torch.cat([count.new_zeros(1), count.cumsum(0)])
    rank = torch.arange(len(user)) - offsets[user]
    keys = user * (spec.items + 1) + item - rank
    return Interactions(spec.items, offsets, item, keys, (count > 0).nonzero()[:, 0])


def uniform(rng: Rng, index: Tensor, width: int = 1) -> Tensor:
    """(b, width) float64 in [0, 1) that belong to ``index``, with 48 random bits: enough for any number of items."""
    high, low = rng.uniform(index, 2 * width).double().chunk(2, 1)
    return high + low * 2.0**-24
