"""Cut a sequence in two; tell whether the parts are in order (SOP), or whether they belong together (NSP).

Sentence-order prediction (Lan et al. 2020) and next-sentence prediction (Devlin et al. 2019) on events. The two parts are shown as
one sequence and judged from its entity row; the published baselines embed the parts apart and join them in the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Target, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec
from sslplug_sequence.events.views.view import view_of, window


class OrderOptions(Options):
    """Which question is asked."""

    kind: Literal["swap", "next"] = Field(
        "swap", description="swap: parts swapped or not; next: own or a stranger's right part"
    )
    longest: int = Field(256, ge=2, description="most events of a sequence; longer ones show a random part")


class Order:
    """Half of the sequences are altered. Target ``order``: 1 = as it was. Sequences of one event are never altered, nor asked.

    Time gaps inside the parts stay, and the gap where the parts meet is that of the cut, so that no gap gives the answer away.
    """

    rates: Mapping[str, float] = {}

    def __init__(self, options: OrderOptions) -> None:
        self.options = options

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """One view."""
        own = rng.fork("view", 0)
        uniform = own.uniform(batch.entity, 3)
        events = window(batch, self.options.longest, uniform[:, 0])
        n, size = len(events.entity), events.lengths
        cut = torch.where(size > 1, 1 + (uniform[:, 1].double() * (size - 1)).long(), size)
        right = size - cut
        sequence = torch.arange(n, device=events.device)
        able = (size > 1).nonzero()[:, 0]
        altered = torch.zeros(n, dtype=torch.bool, device=events.device)
        altered[able] = uniform[able, 2] < 0.5
        stranger = sequence.clone()
        if self.options.kind == "next":
            # Altered sequences hand their right parts on in a circle; one alone keeps its own and counts as unaltered.
            moved = altered.nonzero()[:, 0]
            altered[moved] = len(moved) > 1
            stranger[moved] = moved.roll(1)
            parts = torch.stack([sequence, stranger], 1)
            starts = torch.stack([torch.zeros_like(cut), cut[stranger]], 1)
            lengths = torch.stack([cut, right[stranger]], 1)
        else:
            swapped = altered[:, None]
            parts = sequence[:, None].expand(n, 2)
            starts = torch.where(swapped, torch.stack([cut, torch.zeros_like(cut)], 1), torch.stack([cut * 0, cut], 1))
            lengths = torch.where(swapped, torch.stack([right, cut], 1), torch.stack([cut, right], 1))
        gaps = _gaps(events, cut)
        joined = _joined(events, gaps, parts, starts, lengths, cut)
        target = Target("entity", (~altered[able]).long(), able)
        return [view_of(joined, targets={"order": target})]


def _gaps(events: Events, cut: Tensor) -> Tensor:
    """(n,) the gap at the cut of each sequence, 0 where nothing follows it."""
    has = cut < events.lengths
    at = (events.offsets[:-1] + cut).clamp(max=max(len(events.time) - 1, 0))
    if not len(events.time):
        return torch.zeros_like(cut, dtype=torch.float64)
    return torch.where(has, events.gaps[at], 0.0)


def _joined(events: Events, meeting: Tensor, parts: Tensor, starts: Tensor, lengths: Tensor, cut: Tensor) -> Events:
    """Sequences of two parts each: (n, 2) source, start and length; the times are laid anew from the gaps."""
    n = len(parts)
    pieces = events.slices(parts.reshape(-1), starts.reshape(-1), lengths.reshape(-1))
    gap = pieces.gaps  # 0 at the start of every part
    second = pieces.offsets[:-1].view(n, 2)[:, 1]
    there = lengths[:, 1] > 0
    gap = gap.index_put((second[there],), meeting[there])
    offsets = torch.cat([pieces.offsets[:1], pieces.offsets[2::2]])
    running = gap.cumsum(0)
    owner = torch.arange(n, device=gap.device).repeat_interleave(lengths.sum(1), output_size=len(gap))
    before = torch.cat([running.new_zeros(1), running])[offsets[:-1]]
    return replace(
        pieces,
        offsets=offsets,
        time=running - before[owner],
        entity=events.entity,
        labels=events.labels,
    )


def build(options: OrderOptions, spec: EventSpec) -> Order:
    """The view."""
    return Order(options)
