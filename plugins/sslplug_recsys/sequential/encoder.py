"""SASRec: a causal transformer over a history of items (Kang and McAuley 2018, arXiv:1808.09781).

Item and position embeddings, then blocks of attention and a perceptron with the layer norm after each branch (BERT's order,
as in the code of S3-Rec, Zhou et al. 2020). Positions count from the start of a history, so that, without dropout, the
state at an item is the state of the history that ends there.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Component, Embedding, Options, View, tags
from sslplug.errors import DataError, UsageError
from sslplug_recsys.batch import Entities, Histories
from sslplug_recsys.spec import RecSpec

TOGETHER = 64
"""Histories of like length that a CPU computes at a time; other devices take the batch as one block."""
SPREAD = 0.02
"""Standard deviation of the drawn weights."""


class SasrecOptions(Options):
    """Options of the encoder."""

    width: int = Field(64, ge=1, description="width of items, steps and histories")
    layers: int = Field(2, ge=1, description="attention blocks")
    heads: int = Field(2, ge=1, description="attention heads a block")
    hidden: int = Field(256, ge=1, description="hidden width of each block's perceptron")
    activation: Literal["gelu", "relu"] = Field("gelu", description="activation of the perceptrons")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout on embeddings and branches")
    attention_dropout: float = Field(0.5, ge=0, lt=1, description="dropout on attention weights")
    longest: int = Field(50, ge=1, description="positions there are; histories may not be longer")


class Block(nn.Module):
    """norm(x + attention(x)), then norm(x + perceptron(x))."""

    def __init__(self, options: SasrecOptions) -> None:
        super().__init__()
        width = options.width
        self.heads, self.weight_dropout = options.heads, options.attention_dropout
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        activation: nn.Module = nn.GELU() if options.activation == "gelu" else nn.ReLU()
        self.perceptron = nn.Sequential(nn.Linear(width, options.hidden), activation, nn.Linear(options.hidden, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """(n, length, width); ``visible`` (n, length) bool: what every step may look at; None: each step itself and those
        before."""
        n, length, width = x.shape
        q, k, v = self.attend(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            q, k, v,
            attn_mask=None if visible is None else visible[:, None, None, :],
            dropout_p=self.weight_dropout if self.training else 0.0,
            is_causal=visible is None,
        )  # fmt: skip
        x = self.norms[0](x + self.dropout(self.mix(mixed.transpose(1, 2).reshape(n, length, width))))
        out: Tensor = self.norms[1](x + self.dropout(self.perceptron(x)))
        return out


class Sasrec(nn.Module):
    """Levels by role. "item": item. "history": history. "both-ways": history and step, every step sees the whole history
    (pretraining). Any other: history and step, causal.

    Hidden steps (``View.mask["step"]``) show a learned vector instead of their item; an empty history is one hidden step.
    Raises DataError for a history longer than ``longest``.
    """

    def __init__(self, options: SasrecOptions, spec: RecSpec) -> None:
        super().__init__()
        o = options
        if o.width % o.heads:
            raise UsageError(f"encoder.width {o.width} does not divide into {o.heads} heads; choose a multiple.")
        self.item = nn.Embedding(spec.items, o.width)
        self.position = nn.Embedding(o.longest, o.width)
        self.hidden = nn.Parameter(torch.zeros(o.width))
        self.norm, self.dropout = nn.LayerNorm(o.width), nn.Dropout(o.dropout)
        self.blocks = nn.ModuleList(Block(o) for _ in range(o.layers))
        self.longest = o.longest
        self.dims = {"history": o.width, "item": o.width, "step": o.width}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=SPREAD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.hidden, std=SPREAD)

    def forward(self, view: View) -> Embedding:
        """The levels of the view's role."""
        data = view.data
        if isinstance(data, Entities):
            return Embedding({"item": self.item(data.rows)})
        if not isinstance(data, Histories):
            raise UsageError(f"Encoder 'sasrec' reads histories of items and items, not {type(data).__name__}.")
        length = data.lengths
        # A program that is being traced has no lengths yet; it states the bound where it pads.
        if not torch.compiler.is_exporting() and len(length) and int(length.max()) > self.longest:
            raise DataError(
                f"A history has {int(length.max())} items, the encoder {self.longest} positions; lower data.longest "
                "or raise encoder.longest."
            )
        rows = self.item(data.items)
        if "step" in view.mask:
            rows = torch.where(view.mask["step"][:, None], self.hidden, rows)
        step, history = self._states(rows, data.offsets, causal=view.role != "both-ways")
        owner = {} if view.role == "history" else {"step": data.owner}
        return Embedding({"history": history} if view.role == "history" else {"history": history, "step": step}, owner)

    def _states(self, rows: Tensor, offsets: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        """(m, width) states of the steps, (n, width) states of the histories."""
        length = offsets.diff()
        steps, last = rows.new_empty(len(rows), rows.shape[1]), rows.new_empty(len(length), rows.shape[1])
        for group in self._groups(length):
            size = length[group]
            count = int(size.sum())
            row = torch.arange(len(group), device=size.device).repeat_interleave(size, output_size=count)
            column = torch.arange(count, device=size.device) - (size.cumsum(0) - size)[row]
            source = offsets[group][row] + column
            longest = int(size.max().clamp(min=1))
            if torch.compiler.is_exporting():
                longest = int(size.max().clamp(min=2))  # 1 would be an axis that is repeated
                torch._check(longest >= 2)  # type: ignore[no-untyped-call]
                torch._check(longest <= self.longest)  # type: ignore[no-untyped-call]
            padded = self.hidden.expand(len(group), longest, -1).index_put((row, column), rows[source].to(self.hidden.dtype))
            x = self.dropout(self.norm(padded + self.position.weight[:longest]))
            visible = None if causal else torch.arange(longest, device=size.device) < size.clamp(min=1)[:, None]
            for block in self.blocks:
                x = block(x, visible)
            steps = steps.index_put((source,), x[row, column].to(steps.dtype))
            ends = x[torch.arange(len(group), device=size.device), size.clamp(min=1) - 1]
            last = last.index_put((group,), ends.to(last.dtype))
        return steps, last

    def _groups(self, length: Tensor) -> list[Tensor]:
        """The batch's histories in groups of like length: little padding where arithmetic is dear."""
        everyone = torch.arange(len(length), device=length.device)
        if torch.compiler.is_exporting() or length.device.type != "cpu":
            return [everyone] if len(everyone) else []
        return list(torch.split(torch.argsort(length, stable=True), TOGETHER)) if len(everyone) else []


def build(options: SasrecOptions, spec: RecSpec) -> Sasrec:
    """The encoder. Raises UsageError where the data has no histories."""
    if spec.histories is None:
        raise UsageError("Encoder 'sasrec' needs histories of items; choose sequence data (data: sequences-...).")
    return Sasrec(options, spec)


SASREC = Component(
    SasrecOptions,
    build,
    "SASRec: a causal transformer over a history of items; hides steps, and sees both ways where a view asks",
    provides=tags("hides", "level:history", "level:item", "level:step"),
)
