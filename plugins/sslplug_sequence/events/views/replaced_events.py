"""Replace some events by others of the batch; tell which (replaced-token detection, Clark et al. 2020, on events)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from pydantic import Field

from sslplug.contracts import Target, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec
from sslplug_sequence.events.views.next_event import WindowOptions
from sslplug_sequence.events.views.view import view_of, window


class ReplaceOptions(WindowOptions):
    """How much is replaced."""

    rate: float = Field(0.15, ge=0, le=1, description="share of events, the first of each sequence apart, that are replaced")


class ReplacedEvents:
    """A replaced event shows all fields of another event of the batch; its time stays. Target ``replaced``: 0 or 1."""

    def __init__(self, options: ReplaceOptions) -> None:
        self.options = options

    @property
    def rates(self) -> Mapping[str, float]:
        """Share of replaced events among those that are not first."""
        return {"replaced events": self.options.rate}

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """One view."""
        own = rng.fork("view", 0)
        events = window(batch, self.options.longest, own.uniform(batch.entity)[:, 0])
        generator, device = own.fork("replace").torch(events.device), events.device
        later = (events.position > 0).nonzero()[:, 0]
        order = torch.randperm(len(later), generator=generator, device=device)
        rows = later[order[: round(self.options.rate * len(later))]]
        shown = torch.arange(len(events.time), device=device)
        if len(rows):
            # Another event than itself: a shift of 1 .. m - 1 places, modulo m.
            shift = 1 + torch.randint(len(shown) - 1, (len(rows),), generator=generator, device=device)
            shown = shown.index_put((rows,), (rows + shift) % len(shown))
        altered = replace(events, codes=events.codes[shown], numbers=events.numbers[shown], given=events.given[shown])
        truth = torch.zeros(len(shown), dtype=torch.int64, device=device).index_fill(0, rows, 1)
        return [view_of(altered, targets={"replaced": Target("event", truth[later], later)})]


def build(options: ReplaceOptions, spec: EventSpec) -> ReplacedEvents:
    """The view."""
    return ReplacedEvents(options)
