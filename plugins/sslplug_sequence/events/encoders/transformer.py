"""Transformer encoder of event sequences, causal or not (Vaswani et al. 2017; layer norm before each block)."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.encoders.event_input import EventInput, EventInputOptions
from sslplug_sequence.events.encoders.gru import levels
from sslplug_sequence.events.encoders.pooling import Pooling, pool, pooled_width
from sslplug_sequence.events.spec import EventSpec

TIGHT = 0.85
"""Sequences are computed together while each is at least this share of the longest of them, or the group is small."""
FEWEST = 8


class TransformerOptions(Options):
    """A stack of attention blocks."""

    width: int = Field(64, ge=2, description="width of the rows")
    layers: int = Field(2, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads a block")
    hidden: int = Field(128, ge=1, description="hidden width of each block's perceptron")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on each block's branches")
    causal: bool = Field(True, description="an event sees earlier events only")
    pooling: Pooling = Field("last", description="last, mean, or last_mean_max")
    input: EventInputOptions = Field(default_factory=EventInputOptions, description="how single events become vectors")


class Block(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x))."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, causal: bool, visible: Tensor | None) -> Tensor:
        """(n, length, width); ``visible`` (n, length) bool: keys that may be looked at, None: all."""
        n, length, width = x.shape
        q, k, v = self.attend(self.norms[0](x)).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mask = None if visible is None else visible[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        x = x + self.dropout(self.mix(mixed.transpose(1, 2).reshape(n, length, width)))
        out: Tensor = x + self.dropout(self.perceptron(self.norms[1](x)))
        return out


class Stack(nn.Module):
    """Blocks on rows of many sequences: ``(m, width) -> (m, width)``, with sinusoidal positions added first.

    Sequences of like length are computed together (see TIGHT), so that little is spent on padding. A causal stack needs no mask
    of padding, since padding comes last.
    """

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dropout: float, causal: bool) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise UsageError(f"A transformer of width {width} does not divide into {heads} heads, or is odd; mend either.")
        self.blocks = nn.ModuleList(Block(width, heads, hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.causal = causal

    def forward(self, rows: Tensor, events: Events) -> Tensor:
        """Rows in the events' order."""
        if torch.compiler.is_exporting():
            return self._program(rows, events)
        if not len(rows):
            return rows
        x = rows + _waves(events.position, rows.shape[1]).to(rows.dtype)
        out = torch.empty_like(x)
        for group in groups(events.lengths):
            part = _Places.of(events, group)
            padded = x.new_zeros(len(group), part.longest, x.shape[1]).index_put((part.row, part.column), x[part.event])
            visible = None
            if not self.causal:
                visible = torch.arange(part.longest, device=x.device) < events.lengths[group][:, None]
            for block in self.blocks:
                padded = block(padded, self.causal, visible)
            out = out.index_put((part.event,), self.norm(padded)[part.row, part.column].to(out.dtype))
        return out

    def _program(self, rows: Tensor, events: Events) -> Tensor:
        """The same while ``torch.export`` traces: all sequences at once, for groups depend on lengths that are not known yet."""
        x = rows + _waves(events.position, rows.shape[1]).to(rows.dtype)
        longest = int(events.lengths.max().clamp(min=2))  # 1 would be an axis that is repeated
        torch._check(longest >= 2)  # type: ignore[no-untyped-call] # what clamp has made sure of, said to the tracer
        owner, position = events.owner, events.position
        padded = x.new_zeros(events.entity.shape[0], longest, x.shape[1]).index_put((owner, position), x)
        visible = None
        if not self.causal:
            visible = torch.arange(longest, device=x.device) < events.lengths.clamp(min=1)[:, None]
        for block in self.blocks:
            padded = block(padded, self.causal, visible)
        out: Tensor = self.norm(padded)[owner, position]
        return out


class _Places:
    """Where the events of a group of sequences lie in its padded block."""

    def __init__(self, event: Tensor, row: Tensor, column: Tensor, longest: int) -> None:
        self.event, self.row, self.column, self.longest = event, row, column, longest

    @classmethod
    def of(cls, events: Events, group: Tensor) -> _Places:
        length = events.lengths[group]
        total = int(length.sum())
        row = torch.arange(len(group), device=length.device).repeat_interleave(length, output_size=total)
        column = torch.arange(total, device=length.device) - (length.cumsum(0) - length)[row]
        return cls(events.offsets[group][row] + column, row, column, int(length.max()))


def groups(lengths: Tensor) -> list[Tensor]:
    """Sequences that hold events, in groups of like length, longest first."""
    order = torch.argsort(lengths, descending=True, stable=True)
    sizes = lengths[order].tolist()
    found, start = [], 0
    for place, size in enumerate(sizes):
        if size == 0:
            sizes = sizes[:place]
            break
        if size < TIGHT * sizes[start] and place - start >= FEWEST:
            found.append(order[start:place])
            start = place
    return [*found, order[start : len(sizes)]] if len(sizes) > start else found


def _waves(position: Tensor, width: int) -> Tensor:
    """(m, width) sinusoidal position codes (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, width, 2, device=position.device) * (-math.log(10_000.0) / width))
    angle = position[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)


class TransformerEncoder(nn.Module):
    """Levels as :class:`GruEncoder`. An entity without events is a learned row."""

    def __init__(self, options: TransformerOptions, spec: EventSpec) -> None:
        super().__init__()
        o = options
        self.input = EventInput(o.input, spec)
        self.widen = nn.Linear(self.input.width, o.width)
        self.stack = Stack(o.width, o.layers, o.heads, o.hidden, o.dropout, o.causal)
        self.first = nn.Parameter(0.02 * torch.randn(o.width))
        self.pooling: Pooling = o.pooling
        self.dims = {"entity": pooled_width(o.pooling, o.width), "event": o.width, "input": self.input.width}

    def forward(self, view: View) -> Embedding:
        """The levels that the view's data asks for."""
        events: Events = view.data
        inputs = self.input(view)
        rows = self.stack(self.widen(inputs) + self.first, events)
        empty = self.first.expand(len(events.entity), -1)
        return levels(events, inputs, rows, pool(self.pooling, rows, events, empty))


def build(options: TransformerOptions, spec: EventSpec) -> TransformerEncoder:
    """The encoder of these events."""
    return TransformerEncoder(options, spec)
