"""SimCLR-HAR's and ColloSSL's encoder (Tang et al. 2020, arXiv:2011.11542; Jain et al. 2022, arXiv:2202.00758): three
convolutions without padding, then the maximum over time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.encoders.pooling import Pool, owners, pooled, rows_of
from sslplug_sequence.signals.spec import SignalSpec


class TpnOptions(Options):
    """Convolutions, ReLU and dropout after each."""

    widths: tuple[Positive, ...] = Field((32, 64, 96), min_length=1, description="output channels of each convolution")
    kernels: tuple[Positive, ...] = Field((24, 16, 8), min_length=1, description="samples each convolution spans")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout after each convolution")
    pool: Pool = Field("max", description="from frames to the window: max, mean or last")

    @model_validator(mode="after")
    def _as_many(self) -> TpnOptions:
        if len(self.widths) != len(self.kernels):
            raise ValueError(f"{len(self.widths)} widths and {len(self.kernels)} kernels; give one of each a convolution")
        return self


class Tpn(nn.Module):
    """``tpn(view) -> Embedding`` of levels window (m, d) and step (m * T, d).

    A frame is computed wherever all kernels fit: with kernels 24, 16 and 8 it sees 46 samples, and 400 samples make 355
    frames. Only frames inside a series count; one shorter than a frame's reach is continued with zeros to that length.
    A step's row is the frame centred on that sample, or the nearest one.
    """

    def __init__(self, options: TpnOptions, channels: int) -> None:
        super().__init__()
        before = (channels, *options.widths[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, kernel) for a, b, kernel in zip(before, options.widths, options.kernels, strict=True)
        )
        self.dropout = nn.Dropout(options.dropout)
        self.pool: Pool = options.pool
        self.reach = 1 + sum(kernel - 1 for kernel in options.kernels)
        self.dims: Mapping[str, int] = {"window": options.widths[-1], "step": options.widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows and samples."""
        signals: Signals = view.data
        m, _, samples = signals.values.shape
        frames = pad(signals.values, (0, max(self.reach - samples, 0)))
        for convolution in self.convolutions:
            frames = self.dropout(convolution(frames).relu())
        place = torch.arange(samples, device=frames.device).sub(self.reach // 2).clamp(0, frames.shape[2] - 1)
        if signals.visible is None:
            valid, steps = None, frames[:, :, place]
        else:
            last = (signals.visible.sum(1) - self.reach).clamp_min(0)
            valid = torch.arange(frames.shape[2], device=frames.device) <= last[:, None]
            near = torch.minimum(place, last[:, None])
            steps = frames.gather(2, near[:, None].expand(-1, frames.shape[1], -1))
        window: Tensor = pooled(frames, valid, self.pool)
        return Embedding({"window": window, "step": rows_of(steps)}, {"step": owners(m, samples, frames.device)})


def build(options: TpnOptions, spec: SignalSpec) -> Tpn:
    """The encoder for the data's channels."""
    return Tpn(options, len(spec.channels))
