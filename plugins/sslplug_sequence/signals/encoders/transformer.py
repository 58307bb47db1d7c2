"""A transformer over patches of samples, for masked prediction: SPT (Amos et al. 2024, arXiv:2310.02980), E4mer's masked
prediction (Corponi et al. 2024), TERA (Liu et al. 2021, arXiv:2007.06028). Pre-norm blocks, sinusoidal positions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from sslplug.contracts import Embedding, Options, View
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.encoders.pooling import Pool, hidden_samples, owners, pooled, rows_of
from sslplug_sequence.signals.spec import SignalSpec


class TransformerOptions(Options):
    """Sizes."""

    patch: int = Field(4, ge=1, description="samples of one token; the signal decoder needs the same number")
    width: int = Field(64, ge=2, description="width of a token; even")
    depth: int = Field(4, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads; they divide the width")
    inner: int = Field(128, ge=1, description="width inside the feed-forward layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on what attention and feed-forward layers add")
    pool: Pool = Field("mean", description="from tokens to the window: max, mean or last")

    @model_validator(mode="after")
    def _divides(self) -> TransformerOptions:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} with {self.heads} heads; expected an even width that the heads divide")
        return self


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, valid: Tensor | None) -> Tensor:
        """(m, F, d) -> (m, F, d); ``valid`` (m, F) bool: the tokens that may be looked at."""
        m, count, width = tokens.shape
        q, k, v = self.qkv(self.norm(tokens)).view(m, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v, attn_mask=None if valid is None else valid[:, None, None, :])
        tokens = tokens + self.dropout(self.out(seen.transpose(1, 2).reshape(m, count, width)))
        out: Tensor = tokens + self.dropout(self.mlp(tokens))
        return out


def positions(count: int, width: int, device: torch.device) -> Tensor:
    """(count, width) sines and cosines of the token's number (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(
        torch.arange(0, width, 2, device=device) * (-torch.log(torch.tensor(10000.0, device="cpu")).item() / width)
    )
    angle = torch.arange(count, device=device)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)


class Transformer(nn.Module):
    """``transformer(view) -> Embedding`` of levels window (m, d) and frame (m * F, d), a frame being ``patch`` samples.

    A hidden sample (``view.mask["step"]``) is shown as zeros and a learned vector that says so: 0 is a value a signal may have.
    """

    def __init__(self, options: TransformerOptions, channels: int) -> None:
        super().__init__()
        self.patch = options.patch
        self.input = nn.Linear(channels * options.patch, options.width)
        self.hidden = nn.Parameter(torch.randn(options.patch, options.width) * options.patch**-0.5)
        self.blocks = nn.ModuleList(
            TransformerBlock(options.width, options.heads, options.inner, options.dropout) for _ in range(options.depth)
        )
        self.norm = nn.LayerNorm(options.width)
        self.pool: Pool = options.pool
        self.dims: Mapping[str, int] = {"window": options.width, "frame": options.width}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows and patches."""
        signals: Signals = view.data
        m, channels, samples = signals.values.shape
        count = -(-samples // self.patch)
        extra = count * self.patch - samples
        values, hidden, valid = signals.values, hidden_samples(view), None
        if hidden is not None:
            values = values.masked_fill(hidden[:, None], 0.0)
        values = pad(values, (0, extra)).view(m, channels, count, self.patch)
        tokens = self.input(values.permute(0, 2, 1, 3).flatten(2))
        if hidden is not None:
            tokens = tokens + pad(hidden, (0, extra)).view(m, count, self.patch).to(tokens.dtype) @ self.hidden
        tokens = tokens + positions(count, tokens.shape[2], tokens.device).to(tokens.dtype)
        if signals.visible is not None:
            valid = pad(signals.visible, (0, extra)).view(m, count, self.patch).any(2)
            valid = valid | ~valid.any(1, keepdim=True)  # a crop past a series' end still looks at something
        for block in self.blocks:
            tokens = block(tokens, valid)
        frames = self.norm(tokens).transpose(1, 2)
        levels = {"window": pooled(frames, valid, self.pool), "frame": rows_of(frames)}
        return Embedding(levels, {"frame": owners(m, count, frames.device)})


def build(options: TransformerOptions, spec: SignalSpec) -> Transformer:
    """The encoder for the data's channels."""
    return Transformer(options, len(spec.channels))
