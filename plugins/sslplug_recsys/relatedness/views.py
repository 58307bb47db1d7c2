"""The two sides of pairs of items that lay near each other in a basket."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component, Options, View, tags
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities
from sslplug_recsys.relatedness.basket_data import ItemPairs, need_baskets
from sslplug_recsys.spec import RecSpec


class NeighboursOptions(Options):
    """There is nothing to choose."""


class Neighbours:
    """Two views of role "item"; row i of one belongs to row i of the other. They have no ids: equal items are no
    positives."""

    rates: Mapping[str, float] = {}

    def __call__(self, batch: ItemPairs, rng: Rng) -> list[View]:
        """The first and the second items."""
        return [View(Entities(rows), role="item") for rows in (batch.first, batch.second)]


def build(options: NeighboursOptions, spec: RecSpec) -> Neighbours:
    """The views."""
    need_baskets(spec, "Views 'neighbours'")
    return Neighbours()


NEIGHBOURS = Component(
    NeighboursOptions, build, "Items that lay near each other in a basket, side by side", provides=tags("pair")
)
