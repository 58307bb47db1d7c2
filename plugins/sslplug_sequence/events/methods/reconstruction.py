"""Generative pretraining through one vector an entity: its row must suffice to write the whole sequence again.

The generative half of MLEM (Moskvoretskii et al. 2024). The entity row h, after a layer norm, opens a sequence that a causal
transformer continues with teacher forcing: at event t it has seen h and the events before t, and predicts the fields of t.

    L = sum_categories CE + sum_numbers SE + w_gap SE(gap) + l1 |h|_1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.encoders.event_input import EventInput, EventInputOptions
from sslplug_sequence.events.encoders.field_heads import FieldHeadOptions, FieldHeads
from sslplug_sequence.events.encoders.transformer import Stack
from sslplug_sequence.events.methods.cpc import entity_rows
from sslplug_sequence.events.objectives.fields import FieldLoss, FieldLossOptions
from sslplug_sequence.events.spec import GAP, EventSpec
from sslplug_sequence.events.views.view import checked_fields, field_targets


class WriterOptions(Options):
    """The network that writes the sequence."""

    width: int = Field(64, ge=2, description="width of the transformer")
    layers: int = Field(2, ge=1, description="its blocks")
    heads: int = Field(2, ge=1, description="its attention heads")
    hidden: int = Field(128, ge=1, description="hidden width of its perceptrons")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on its branches")
    smoothing: float = Field(0.05, ge=0, lt=1, description="label smoothing of categories")
    gap_weight: float = Field(10.0, ge=0, description="weight of the time gap's error")
    sparsity: float = Field(1e-4, ge=0, description="weight of the mean absolute entry of the entity row")
    input: EventInputOptions = Field(default_factory=EventInputOptions, description="how it sees single events")


class Writer(nn.Module):
    """``writer(view, entity rows) -> {field: loss}``."""

    def __init__(self, options: WriterOptions, spec: EventSpec, entity: int) -> None:
        super().__init__()
        o = options
        self.spec, self.gap_weight, self.sparsity = spec, o.gap_weight, o.sparsity
        self.norm = nn.LayerNorm(entity)
        self.open = nn.Linear(entity, o.width)
        self.input = EventInput(o.input, spec)
        self.widen = nn.Linear(self.input.width, o.width)
        self.stack = Stack(o.width, o.layers, o.heads, o.hidden, o.dropout, causal=True)
        self.heads = FieldHeads(FieldHeadOptions(), spec, o.width)
        self.loss = FieldLoss(FieldLossOptions(smoothing=o.smoothing))

    def forward(self, view: View, entity: Tensor) -> dict[str, Tensor]:
        """The weighted terms for a view of clean events and their (n, d) entity rows."""
        events: Events = view.data
        code = self.norm(entity)
        opened = self.open(code)
        shown = self.widen(self.input(view))
        before = torch.cat([shown[:1], shown[:-1]])
        first = (events.position == 0)[:, None]
        states = self.stack(torch.where(first, opened[events.owner], before), events)
        rows = torch.arange(len(events.time), device=events.device)
        asked = field_targets(events, self.spec, checked_fields((), self.spec), rows, rows)
        predictions = self.heads.of(states)
        terms = {}
        for name, target in asked.items():
            weight = self.gap_weight if name == GAP else 1.0
            terms[name] = weight * self.loss([predictions[name], target.values])["field"]
        if self.sparsity:
            terms["sparsity"] = self.sparsity * code.abs().mean()
        return terms


class ReconstructionOptions(Options):
    """Options of reconstruction."""

    writer: WriterOptions = Field(default_factory=WriterOptions, description="the network that writes the sequence")


class Reconstruction(nn.Module):
    """The encoder's entity row through a :class:`Writer`. Terms: one a field, and ``sparsity``."""

    def __init__(self, views: Views, encoder: nn.Module, writer: Writer) -> None:
        super().__init__()
        self.views, self.encoder, self.writer = views, encoder, writer

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch, from the first view."""
        view = self.views(batch, rng)[0]
        terms: dict[str, Tensor] = self.writer(view, self.encoder(view)["entity"])
        return terms

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Entity rows of the first view."""
        return {"view0": entity_rows(self, batch, rng)}


def build(options: ReconstructionOptions, assembly: Assembly) -> Reconstruction:
    """Reconstruction from finished parts."""
    writer = Writer(options.writer, assembly.spec, assembly.dims["entity"])
    return Reconstruction(assembly.views, assembly.encoder, writer)


RECONSTRUCTION = Component(
    ReconstructionOptions, build, "Write the whole sequence again from its entity row (generative half of MLEM)"
)
