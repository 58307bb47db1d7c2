"""Two views that want the same next item (DuoRec): a history twice, or with another user's that led to the same item.

Qiu et al. 2022, arXiv:2110.05730: dropout alone tells the two copies apart (unsupervised), and another training prefix with
the same target is a positive too (supervised). The index of targets holds training items alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Component, Options, View, tags
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.sequential.views.histories import (
    inputs,
    need_histories,
    part,
    places,
    random_prefixes,
    sample_numbers,
)
from sslplug_recsys.spec import RecSpec


class SameTargetOptions(Options):
    """Which positive."""

    positive: Literal["itself", "same-target"] = Field(
        "same-target", description="itself: the history again, other dropout; same-target: another with the same next item"
    )
    cut: bool = Field(False, description="take a prefix that ends at a random item, not the whole sample")


class TargetIndex:
    """Every training step with an item before it, by the item that it leads to."""

    def __init__(self, training: Histories, items: int) -> None:
        place = places(training)
        step = (place > 0).nonzero()[:, 0]
        owner = training.owner[step]
        # One key holds target and user, so that the steps of a target, and within them of a user, lie together.
        self.users = int(training.users.max()) + 1 if len(training) else 1
        key = training.items[step] * self.users + training.users[owner]
        self.key, order = key.sort(stable=True)
        self.history, self.length = owner[order], place[step][order]
        self.training, self.items = training, items

    def draw(self, target: Tensor, user: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """For each (target, user) the place in the index of another user's step to that target, and whether there is one."""
        key = self.key.to(target.device)
        first = torch.searchsorted(key, target * self.users)
        stop = torch.searchsorted(key, (target + 1) * self.users)
        own = torch.searchsorted(key, target * self.users + user)
        own_stop = torch.searchsorted(key, target * self.users + user, right=True)
        others = stop - first - (own_stop - own)
        place = first + (uniform.double() * others).long()
        place = torch.where(place >= own, place + own_stop - own, place)
        return place.clamp(max=max(len(key) - 1, 0)), others > 0

    def histories(self, place: Tensor) -> Histories:
        """The items before each of these steps."""
        cpu = place.cpu()
        return part(self.training, self.history[cpu], torch.zeros_like(cpu), self.length[cpu]).to(place.device)


class SameTarget:
    """Two views; row i of both wants the same item. A history whose target no other user reached is its own positive."""

    rates: Mapping[str, float] = {}

    def __init__(self, options: SameTargetOptions, spec: RecSpec) -> None:
        self.options = options
        self.index = TargetIndex(need_histories(spec, "same-target"), spec.items)

    def __call__(self, batch: Histories, rng: Rng) -> list[View]:
        """The samples without their targets, and their positives."""
        samples = random_prefixes(batch, rng.fork("cut")) if self.options.cut else batch
        shown = inputs(samples)
        if self.options.positive == "itself" or not len(self.index.key):
            return [View(shown), View(shown)]
        able = samples.lengths > 0
        target = samples.items[(samples.offsets[1:] - 1).clamp(min=0)]
        uniform = rng.fork("view", 1).uniform(sample_numbers(samples))[:, 0]
        place, found = self.index.draw(target, samples.users, uniform)
        return [View(shown), View(_chosen(shown, self.index.histories(place), found & able))]


def _chosen(own: Histories, other: Histories, take_other: Tensor) -> Histories:
    """Row i of ``other`` where asked, else of ``own``."""
    offsets = torch.cat([own.offsets, other.offsets[1:] + own.offsets[-1]])
    both = Histories(offsets, torch.cat([own.items, other.items]), torch.cat([own.users, other.users]))
    rows = torch.arange(len(own), device=own.items.device)
    return both.take(torch.where(take_other, rows + len(own), rows))


def build(options: SameTargetOptions, spec: RecSpec) -> SameTarget:
    """The views."""
    return SameTarget(options, spec)


SAME_TARGET = Component(
    SameTargetOptions,
    build,
    "A history and one with the same next item, or itself under another dropout (DuoRec)",
    provides=tags("pair"),
)
