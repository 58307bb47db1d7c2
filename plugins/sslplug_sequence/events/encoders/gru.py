"""Recurrent encoder of event sequences: events as vectors, then a GRU with a learned start state (CoLES, Babaev et al. 2022)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.encoders.event_input import EventInput, EventInputOptions
from sslplug_sequence.events.encoders.pooling import Pooling, pool, pooled_width
from sslplug_sequence.events.encoders.recurrence import RaggedGru, Steps
from sslplug_sequence.events.spec import EventSpec


class GruOptions(Options):
    """A recurrent encoder."""

    width: int = Field(64, ge=1, description="width of the state")
    layers: int = Field(1, ge=1, description="recurrent layers")
    pooling: Pooling = Field("last", description="last: the state after the last event; mean; or both beside the maximum")
    input: EventInputOptions = Field(default_factory=EventInputOptions, description="how single events become vectors")


class GruEncoder(nn.Module):
    """Levels: ``input`` events by themselves, ``event`` states after each event, ``entity`` pooled states.

    What follows an event changes nothing about its state, and the other sequences of a batch change nothing in eval mode.
    """

    def __init__(self, options: GruOptions, spec: EventSpec) -> None:
        super().__init__()
        self.input = EventInput(options.input, spec)
        self.recurrent = RaggedGru(self.input.width, options.width, options.layers)
        self.pooling: Pooling = options.pooling
        entity = pooled_width(options.pooling, options.width)
        self.dims = {"entity": entity, "event": options.width, "input": self.input.width}

    def forward(self, view: View) -> Embedding:
        """The levels that the view's data asks for."""
        events: Events = view.data
        inputs = self.input(view)
        if torch.compiler.is_exporting():
            states, start = self.recurrent.program(inputs, events)
        else:
            states, start = self.recurrent(inputs, Steps.of(events), len(events.entity))
        return levels(events, inputs, states, pool(self.pooling, states, events, start))


def levels(events: Events, inputs: Tensor, states: Tensor, entity: Tensor) -> Embedding:
    """The asked levels of an embedding."""
    every = {"entity": entity, "event": states, "input": inputs}
    kept = {level: rows for level, rows in every.items() if level in events.levels}
    owner = {level: events.owner for level in kept if level != "entity"}
    return Embedding(kept, owner if "entity" in kept else {})


def build(options: GruOptions, spec: EventSpec) -> GruEncoder:
    """The encoder of these events."""
    return GruEncoder(options, spec)
