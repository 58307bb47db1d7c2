"""A synthetic stream of impressions whose clicks drift: seeded, no real person's data.

Users u and items i have places in a latent space, items an appeal of their own:

    P(click) = sigmoid( a <x_u, z_i(t)> + b_i(t) + c )

The item's place z_i and appeal b_i stay as they are for most items; ``moving`` of the items change both at a time of their
own, once, so that a model of the past goes wrong on them from then on. ``fresh`` of the items are shown only after half of
the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.reloop.events import Clicks

WIDTH = 6


@dataclass(frozen=True)
class DriftOptions:
    """How much is generated, and how much of it drifts: shares of the items."""

    users: int = 300
    items: int = 100
    impressions: int = 40_000
    moving: float = 0.5
    fresh: float = 0.1
    taste: float = 1.0
    appeal: float = 1.5

    def __post_init__(self) -> None:
        if min(self.users, self.items, self.impressions) < 1 or not 0 <= self.moving <= 1 or not 0 <= self.fresh < 1:
            raise UsageError(f"DriftOptions: {self}; expected counts of 1 at least, moving in [0, 1] and fresh in [0, 1).")


def drifting_clicks(options: DriftOptions, rng: Rng) -> Clicks:
    """The stream, over time 0 to 1."""
    o, draw = options, rng.fork("drift").numpy()
    x = draw.normal(size=(o.users, WIDTH)) / WIDTH**0.5
    z = draw.normal(size=(2, o.items, WIDTH))
    b = o.appeal * draw.normal(size=(2, o.items))
    turn = np.where(draw.random(o.items) < o.moving, draw.uniform(0.2, 1.0, o.items), np.inf)
    start = np.where(draw.random(o.items) < o.fresh, 0.5, 0.0)
    start[0] = 0.0
    time = np.sort(draw.random(o.impressions))
    user = draw.integers(o.users, size=o.impressions)
    item = draw.integers(o.items, size=o.impressions)
    # An item that is not there yet is drawn again among those that are.
    old = np.flatnonzero(start == 0.0)
    early = start[item] > time
    item[early] = old[draw.integers(len(old), size=int(early.sum()))]
    state = (time >= turn[item]).astype(int)
    logit = o.taste * (x[user] * z[state, item]).sum(1) + b[state, item] - 0.5
    click = (draw.random(o.impressions) < 1.0 / (1.0 + np.exp(-logit))).astype(float)
    return Clicks(user.astype(np.int64), item.astype(np.int64), time, click, o.users, o.items)
