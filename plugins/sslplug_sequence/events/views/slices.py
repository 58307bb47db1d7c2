"""Random contiguous slices of every entity's events (SampleSlices of CoLES, Babaev et al. 2022, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec
from sslplug_sequence.events.views.view import view_of


class SliceOptions(Options):
    """k slices an entity."""

    slices: int = Field(5, ge=2, description="slices an entity; all of them are positives of each other")
    views: int = Field(2, ge=2, description="views the slices are dealt out to; row-matched objectives need one a view")
    shortest: int = Field(15, ge=1, description="fewest events of a slice; shorter entities are taken whole, every time")
    longest: int = Field(150, ge=1, description="most events of a slice")
    drop_rate: float = Field(0.01, ge=0, lt=1, description="share of a slice's events that are left out")
    whole: bool = Field(False, description="one more view, of role 'whole', with all events (for the hybrid)")

    @model_validator(mode="after")
    def _consistent(self) -> SliceOptions:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be greater than longest")
        if self.views > self.slices:
            raise ValueError("views must not be more than slices")
        return self


class Slices:
    """Lengths uniform in {shortest..min(longest, n)}, starts uniform: the slices lie inside the sequence."""

    def __init__(self, options: SliceOptions) -> None:
        self.options = options
        # Slice s goes to view s mod views.
        self.dealt = [len(range(view, options.slices, options.views)) for view in range(options.views)]

    @property
    def rates(self) -> Mapping[str, float]:
        """Share of events left out of each slice."""
        return {"dropped events": self.options.drop_rate}

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """The views; rows of one entity share its number."""
        views = [view_of(self._slices(batch, count, rng.fork("view", v))) for v, count in enumerate(self.dealt)]
        return [*views, view_of(batch, role="whole")] if self.options.whole else views

    def _slices(self, batch: Events, count: int, rng: Rng) -> Events:
        o, n = self.options, len(batch.entity)
        uniform = rng.uniform(batch.entity, 2 * count).double()
        size = batch.lengths[:, None].expand(n, count)
        span = (size.clamp(max=o.longest) - o.shortest + 1).clamp(min=0)
        length = torch.where(size <= o.shortest, size, o.shortest + (uniform[:, :count] * span).long())
        start = (uniform[:, count:] * (size - length + 1)).long()
        source = torch.arange(n, device=batch.device)[:, None].expand(n, count).reshape(-1)
        found = batch.slices(source, start.reshape(-1), length.reshape(-1))
        return thinned(found, o.drop_rate, rng.fork("drop")) if o.drop_rate else found


def thinned(events: Events, rate: float, rng: Rng) -> Events:
    """Every event is left out with probability ``rate``, but no sequence loses its last remaining one."""
    kept = torch.rand(len(events.time), generator=rng.torch(events.device), device=events.device) >= rate
    owner = events.owner
    n = len(events.entity)
    left = torch.zeros(n, dtype=torch.int64, device=events.device).index_add(0, owner, kept.long())
    kept |= (left == 0)[owner] & (events.position == 0)
    return pick(events, kept)


def pick(events: Events, kept: Tensor) -> Events:
    """The sequences with only the ``kept`` (m,) bool events."""
    n = len(events.entity)
    sizes = torch.zeros(n, dtype=torch.int64, device=events.device).index_add(0, events.owner, kept.long())
    offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    return events.events(kept.nonzero()[:, 0], offsets, torch.arange(n, device=events.device))


def provides(options: SliceOptions) -> Tags:
    """Two views or more; uneven where some hold more slices of an entity than others."""
    return (
        frozenset({"pair"})
        | ({"many"} if options.views > 2 or options.whole else frozenset())
        | ({"whole"} if options.whole else frozenset())
        | (
            {"uneven"}
            if options.slices % options.views or (options.whole and options.slices > options.views)
            else frozenset()
        )
    )


def build(options: SliceOptions, spec: EventSpec) -> Slices:
    """The views."""
    return Slices(options)
