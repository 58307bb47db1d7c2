"""Temporal and contextual contrasting: TS-TCC (Eldele et al. 2021, arXiv:2106.14112).

A weakly and a strongly augmented view w, s of each window have frames z (m, F, d), of unit length. At a random frame t a
transformer sums up each view, c = Transformer(z_{<= t}), and predicts the other view's coming frames:

    L_TC^s = -1/(K m) sum_k sum_i log softmax_j( z^w_{j,t+k} . W_k c^s_i )[i]        and L_TC^w with the views exchanged
    L      = temporal (L_TC^s + L_TC^w) + contextual L_CC,     L_CC = objective(head(c^s), head(c^w))

The paper's contextual objective is NT-Xent at temperature .2 (infonce). Temporal negatives are the other windows of the batch
(of this rank). Predicted frames are never among those summed up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_sequence.signals.encoders.transformer import TransformerBlock
from sslplug_sequence.signals.methods.cpc import predictive_loss
from sslplug_sequence.signals.methods.frames import frames_of, two_views


class TsTccOptions(Options):
    """Options of temporal and contextual contrasting; the paper's for UCI HAR."""

    level: str = Field("frame", description="embedding level whose rows are a window's frames")
    horizons: int = Field(6, ge=1, description="how many frames ahead are predicted, K")
    width: int = Field(100, ge=1, description="width of the context")
    depth: int = Field(4, ge=1, description="blocks of the context's transformer")
    heads: int = Field(4, ge=1, description="attention heads; they divide the width")
    inner: int = Field(64, ge=1, description="width inside its feed-forward layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout in its blocks")
    projector: tuple[int, int] = Field((64, 32), description="widths of the contextual head, batch norm between them")
    temporal: float = Field(1.0, ge=0, description="factor of the temporal terms")
    contextual: float = Field(0.7, ge=0, description="factor of the contextual term")


class Context(nn.Module):
    """(m, F, d) -> (m, width): a class token that looked at all frames. Without positions, as in the release."""

    def __init__(self, options: TsTccOptions, dim: int) -> None:
        super().__init__()
        self.input = nn.Linear(dim, options.width)
        self.token = nn.Parameter(torch.randn(options.width))
        self.blocks = nn.ModuleList(
            TransformerBlock(options.width, options.heads, options.inner, options.dropout) for _ in range(options.depth)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """The context of ``frames``."""
        tokens = torch.cat([self.token.expand(len(frames), 1, -1), self.input(frames)], 1)
        for block in self.blocks:
            tokens = block(tokens, None)
        return tokens[:, 0]


class TsTcc(nn.Module):
    """See the module. Terms: ``temporal``, ``contextual`` (or ``contextual/<term>`` for objectives of several terms)."""

    def __init__(self, options: TsTccOptions, views: Views, encoder: nn.Module, objective: nn.Module, dim: int) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.objective = objective
        self.options = options
        self.context = Context(options, dim)
        self.maps = nn.Parameter(torch.randn(options.horizons, options.width, dim) * options.width**-0.5)
        hidden, out = options.projector
        self.projector = nn.Sequential(
            nn.Linear(options.width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out)
        )

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        frames, contexts, start = self._seen(batch, rng)
        terms = {}
        if self.options.temporal:
            coming = [rows[:, None, start + 1 : start + 1 + self.options.horizons] for rows in frames]
            losses = [predictive_loss(contexts[v][:, None], coming[1 - v], self.maps) for v in (0, 1)]
            terms["temporal"] = self.options.temporal * torch.stack(losses).sum()
        if self.options.contextual:
            found = self.objective([self.projector(context) for context in contexts])
            for name, value in found.items():
                terms["contextual" if len(found) == 1 else f"contextual/{name}"] = self.options.contextual * value
        return terms

    def _seen(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor], int]:
        """Frames and contexts of the two views, and the last frame summed up."""
        pair = two_views(self.views(batch, rng), "ts_tcc")
        frames = [normalize(frames_of(self.encoder(view), view, self.options.level, "ts_tcc"), dim=2) for view in pair]
        count = min(frames[0].shape[1], frames[1].shape[1])
        if count <= self.options.horizons:
            raise DataError(
                f"Method 'ts_tcc' predicts {self.options.horizons} frames ahead, but windows have {count} frames; "
                f"set method.horizons to {max(count - 1, 1)} or less, or use longer windows."
            )
        start = int(torch.randint(count - self.options.horizons, (), generator=rng.fork("start").torch()))
        return frames, [self.context(rows[:, : start + 1]) for rows in frames], start

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """What the contextual term compares, {"view0": (n, d), "view1": (n, d)}."""
        with observing(self):
            _, contexts, _ = self._seen(batch, rng)
            return {f"view{number}": self.projector(context) for number, context in enumerate(contexts)}


def build(options: TsTccOptions, assembly: Assembly) -> TsTcc:
    """Temporal and contextual contrasting from finished parts."""
    objective = assembly.objective(options.projector[1])
    return TsTcc(options, assembly.views, assembly.encoder, objective, assembly.dims[options.level])


TS_TCC = Component(
    TsTccOptions,
    build,
    "A summary of one view so far predicts the other view's coming frames, and summaries are contrasted (TS-TCC).",
    needs=lambda options: frozenset({"pair", "score:views", f"level:{options.level}"}),
)
