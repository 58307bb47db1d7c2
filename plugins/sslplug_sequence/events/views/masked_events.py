"""Hide some events; predict their fields (masked modelling of events, as TabFormer and the MLM baseline of CoLES)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field

from sslplug.contracts import Tags, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec
from sslplug_sequence.events.views.next_event import FieldOptions, provides
from sslplug_sequence.events.views.view import checked_fields, field_targets, view_of, window


class MaskOptions(FieldOptions):
    """How much is hidden."""

    rate: float = Field(0.15, ge=0, le=1, description="share of events that are hidden and must be predicted")


class MaskedEvents:
    """A share of the batch's events is hidden from the encoder as a whole."""

    def __init__(self, options: MaskOptions, spec: EventSpec) -> None:
        self.options, self.spec, self.fields = options, spec, checked_fields(options.targets, spec)

    @property
    def rates(self) -> Mapping[str, float]:
        """Share of hidden events."""
        return {"mask:event": self.options.rate}

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """One view."""
        own = rng.fork("view", 0)
        events = window(batch, self.options.longest, own.uniform(batch.entity)[:, 0])
        m = len(events.time)
        order = torch.randperm(m, generator=own.fork("mask").torch(events.device), device=events.device)
        rows = order[: round(self.options.rate * m)].sort().values
        hidden = torch.zeros(m, dtype=torch.bool, device=events.device).index_fill(0, rows, True)
        return [view_of(events, hidden, field_targets(events, self.spec, self.fields, rows, rows))]


def build(options: MaskOptions, spec: EventSpec) -> MaskedEvents:
    """The view."""
    return MaskedEvents(options, spec)


def brings(options: MaskOptions) -> Tags:
    """A mask, and the named targets."""
    return provides(options) | {"masks"}
