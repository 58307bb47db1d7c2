"""TS2Vec's encoder (Yue et al. 2022, arXiv:2106.10466): a linear map of each sample, samples hidden behind it, and residual
blocks of dilated convolutions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad

from sslplug.contracts import Embedding, Options, View
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.encoders.pooling import Pool, hidden_samples, owners, pooled
from sslplug_sequence.signals.spec import SignalSpec


class Ts2VecOptions(Options):
    """Sizes and the share of hidden samples."""

    hidden: int = Field(64, ge=1, description="width inside the blocks")
    width: int = Field(320, ge=1, description="width of the embedding")
    depth: int = Field(10, ge=0, description="blocks before the last one; block i looks 2**i samples to either side, twice")
    mask_rate: float = Field(
        0.5, ge=0, lt=1, description="share of samples whose latent is zeroed while training; 0 where the views hide"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on the embedding")
    pool: Pool = Field("max", description="from samples to the window: max, mean or last")


class Block(nn.Module):
    """x + conv(gelu(conv(gelu(x)))), both convolutions of three taps ``dilation`` samples apart; x is mapped where the width
    changes and in the last block."""

    def __init__(self, inputs: int, outputs: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=dilation, dilation=dilation)
        self.around = nn.Linear(inputs, outputs) if last or inputs != outputs else None

    def forward(self, steps: Tensor, visible: Tensor | None) -> Tensor:
        """(m, T, inputs) -> (m, T, outputs). What lies past a series' end stays zero, as if the signal ended there."""
        inner = convolved(gelu(steps), self.first)
        inner = convolved(gelu(inner if visible is None else inner * visible), self.second)
        out: Tensor = inner + (steps if self.around is None else self.around(steps))
        return out if visible is None else out * visible


def convolved(steps: Tensor, layer: nn.Conv1d) -> Tensor:
    """``layer`` on (m, T, inputs): one matrix product of the three taps side by side, which costs no transposition.

    Where the series is no longer than the dilation both outer taps meet padding alone, and a third of the work is left: the
    widest block has the largest dilation.
    """
    reach, samples = layer.dilation[0], steps.shape[1]
    if reach >= samples:
        return linear(steps, layer.weight[:, :, 1], layer.bias)
    around = pad(steps, (0, 0, reach, reach))
    taps = torch.cat([around[:, :samples], steps, around[:, 2 * reach :]], 2)
    return linear(taps, layer.weight.transpose(1, 2).flatten(1), layer.bias)


class Ts2Vec(nn.Module):
    """``ts2vec(view) -> Embedding`` of levels window (m, d) and step (m * T, d).

    Hidden samples (``view.mask["step"]``; while training also a random share) have a latent of zeros: 0 is a value a signal
    may have, so the input itself is not zeroed. The random share is drawn like dropout, in training mode alone.
    """

    def __init__(self, options: Ts2VecOptions, channels: int) -> None:
        super().__init__()
        self.input = nn.Linear(channels, options.hidden)
        self.blocks = nn.ModuleList(
            Block(
                options.hidden,
                options.hidden if number < options.depth else options.width,
                2**number,
                number == options.depth,
            )
            for number in range(options.depth + 1)
        )
        self.dropout = nn.Dropout(options.dropout)
        self.mask_rate = options.mask_rate
        self.pool: Pool = options.pool
        self.dims: Mapping[str, int] = {"window": options.width, "step": options.width}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows and samples."""
        signals: Signals = view.data
        m, _, samples = signals.values.shape
        steps = self.input(signals.values.transpose(1, 2))
        shown = self._shown(view)
        if shown is not None:
            steps = steps * shown[:, :, None]
        visible = None if signals.visible is None else signals.visible[:, :, None].to(steps.dtype)
        for block in self.blocks:
            steps = block(steps, visible)
        steps = self.dropout(steps)
        window = pooled(steps.transpose(1, 2), signals.visible, self.pool)
        return Embedding({"window": window, "step": steps.flatten(0, 1)}, {"step": owners(m, samples, steps.device)})

    def _shown(self, view: View) -> Tensor | None:
        """(m, T) bool: samples inside the series whose latent is kept; None: all."""
        signals: Signals = view.data
        shown, hidden = signals.visible, hidden_samples(view)
        if hidden is not None:
            shown = ~hidden if shown is None else shown & ~hidden
        if self.training and self.mask_rate:
            m, _, samples = signals.values.shape
            kept = torch.rand(m, samples, device=signals.device) >= self.mask_rate
            shown = kept if shown is None else shown & kept
        return shown


def build(options: Ts2VecOptions, spec: SignalSpec) -> Ts2Vec:
    """The encoder for the data's channels."""
    return Ts2Vec(options, len(spec.channels))
