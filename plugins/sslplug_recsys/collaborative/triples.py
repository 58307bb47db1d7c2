"""Views of a batch of logged pairs: users, their items, and one item each that the user has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.sampling import Interactions, interactions_of, uniform
from sslplug_recsys.spec import RecSpec


class TripleOptions(Options):
    """Where users, items and negatives come from."""

    positives: Literal["logged", "users"] = Field(
        "logged",
        description="the batch's own pairs, or as many users drawn uniformly with one of their items (LightGCN's code)",
    )
    negatives: bool = Field(True, description="a third view of uniform items without a training pair, one a pair")


class Triples:
    """Views of role user, item and, if asked for, negative. Draws belong to the pairs' numbers, so ranks do not change them."""

    rates: Mapping[str, float] = MappingProxyType({})

    def __init__(self, options: TripleOptions, spec: RecSpec) -> None:
        self.options = options
        self._pairs = {torch.device("cpu"): interactions_of(spec)}

    def _on(self, device: torch.device) -> Interactions:
        if device not in self._pairs:
            self._pairs[device] = self._pairs[torch.device("cpu")].to(device)
        return self._pairs[device]

    def __call__(self, batch: Pairs, rng: Rng) -> list[View]:
        """The views; ids of the level pair are item numbers, so that an item which occurs twice is nobody's negative."""
        known = self._on(batch.users.device)
        users, items = batch.users, batch.items
        if self.options.positives == "users":
            users, items = known.positives(uniform(rng.fork("view", 0), batch.index, 2))
        views = [_view("user", "user", users, items), _view("item", "item", items, items)]
        if self.options.negatives:
            drawn = known.negatives(users, uniform(rng.fork("view", 2), batch.index)[:, 0])
            views.append(_view("negative", "item", drawn, drawn))
        return views


def _view(role: str, level: str, rows: Tensor, items: Tensor) -> View:
    return View(Entities(rows.clone()), ids={level: rows.clone(), "pair": items.clone()}, role=role)


def provides(options: TripleOptions) -> Tags:
    """Two views of the same pairs; a corrupted one where negatives are drawn."""
    return frozenset({"pair", "negatives"} if options.negatives else {"pair"})


def build(options: TripleOptions, spec: RecSpec) -> Triples:
    """The views."""
    return Triples(options, spec)
