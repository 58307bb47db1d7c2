"""The two sides of logged pairs: one view of the users, one of the items, matched row by row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.spec import RecSpec


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


def build(options: TowerOptions, spec: RecSpec) -> TowerViews:
    """The views. UsageError for data without (user, item) pairs."""
    require_pairs(spec, "towers")
    return TowerViews()


def require_pairs(spec: RecSpec, views: str) -> None:
    """Raises UsageError unless training batches are (user, item) pairs."""
    if spec.histories is not None or spec.batches != "pairs":
        raise UsageError(f"Views {views!r} need (user, item) pairs; choose pair data such as tastes, ml-100k or files.")
