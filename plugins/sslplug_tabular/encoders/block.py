"""One transformer block over a row's tokens, in the forms of FT-Transformer, T-JEPA and SAINT."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from sslplug.contracts import Options
from sslplug_tabular.encoders.attention import Attention, RowAttention

Gate = Literal["reglu", "geglu", "relu", "gelu"]


class BlockOptions(Options):
    """Size and form of a transformer's blocks."""

    width: int = Field(192, ge=1, description="width of a token")
    layers: int = Field(3, ge=1, description="blocks")
    heads: int = Field(8, ge=1, description="attention heads; they divide the width")
    feedforward: int = Field(256, ge=1, description="hidden width of a block's feed-forward net (FT-Transformer: 4/3 width)")
    activation: Gate = Field("reglu", description="reglu and geglu gate one half of the hidden layer by the other")
    norm: Literal["pre", "post"] = Field("pre", description="layer norm before each part, or after it is added (T-JEPA)")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on attention weights")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout inside the feed-forward net")
    residual_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on what each part adds")

    @model_validator(mode="after")
    def _heads_divide(self) -> BlockOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}; choose one that is")
        return self


class FeedForward(nn.Module):
    """Linear - activation - dropout - Linear on each token."""

    def __init__(self, width: int, hidden: int, activation: Gate, dropout: float) -> None:
        super().__init__()
        self.gated = activation in ("reglu", "geglu")
        self.act = F.relu if activation in ("reglu", "relu") else F.gelu
        self.first = nn.Linear(width, 2 * hidden if self.gated else hidden)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        inner = self.first(x)
        if self.gated:
            value, gate = inner.chunk(2, -1)
            inner = value * self.act(gate)
        else:
            inner = self.act(inner)
        out: Tensor = self.second(self.dropout(inner))
        return out


class Part(nn.Module):
    """A residual part: x + dropout(part(norm(x))) or norm(x + dropout(part(x)))."""

    def __init__(self, options: BlockOptions, part: nn.Module, normed: bool = True) -> None:
        super().__init__()
        self.pre = options.norm == "pre"
        self.norm = nn.LayerNorm(options.width) if normed else nn.Identity()
        self.part = part
        self.dropout = nn.Dropout(options.residual_dropout)

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        if self.pre:
            added: Tensor = self.dropout(self.part(self.norm(x), *rest))
            return x + added
        out: Tensor = self.norm(x + self.dropout(self.part(x, *rest)))
        return out


class Block(nn.Module):
    """Attention and feed-forward; with ``rows``, then attention among rows and a second feed-forward (SAINT).

    ``first``: FT-Transformer leaves out the norm before the first block's attention.
    """

    def __init__(self, options: BlockOptions, rows: RowAttention | None = None, first: bool = False) -> None:
        super().__init__()
        width, normed = options.width, not (first and options.norm == "pre")
        self.columns = Part(options, Attention(width, options.heads, width, options.attention_dropout), normed)
        self.forward_columns = Part(options, _feedforward(options))
        self.rows = None if rows is None else Part(options, rows)
        self.forward_rows = None if rows is None else Part(options, _feedforward(options))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """(n, t, width) -> (n, t, width); ``keep``: (n, t) bool, the tokens that may be looked at."""
        x = self.forward_columns(self.columns(x, keep))
        if self.rows is not None and self.forward_rows is not None:
            x = self.forward_rows(self.rows(x))
        return x


def _feedforward(options: BlockOptions) -> FeedForward:
    return FeedForward(options.width, options.feedforward, options.activation, options.dropout)
