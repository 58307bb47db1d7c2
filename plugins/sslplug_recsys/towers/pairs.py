"""The two sides of logged pairs: one view of the users, one of the items, matched row by row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs


class TowerOptions(Options):
    """Nothing to choose."""


class TowerViews:
    """Roles "user" and "item". ``ids["pair"]`` is the item of a row on both sides: an item that comes twice in a batch is a
    positive of both of its users and never its own negative."""

    rates: Mapping[str, float] = MappingProxyType({})

    def __call__(self, batch: Pairs, rng: Rng) -> list[View]:
        """The two views; nothing is random."""
        return [
            View(Entities(batch.users), ids={"user": batch.users, "pair": batch.items}, role="user"),
            View(Entities(batch.items), ids={"item": batch.items, "pair": batch.items}, role="item"),
        ]


def build(options: TowerOptions, spec: Any) -> TowerViews:
    """The views."""
    return TowerViews()
