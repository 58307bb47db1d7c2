"""The convolutional encoder of TS-TCC (Eldele et al. 2021, arXiv:2106.14112; the FCN of the CL-HAR benchmark)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug.errors import DataError
from sslplug_sequence.signals.encoders.pooling import one_length, owners, pooled, rows_of
from sslplug_sequence.signals.spec import SignalSpec


class TstccOptions(Options):
    """Blocks of convolution, batch norm, ReLU and a halving maximum."""

    widths: tuple[Positive, ...] = Field((32, 64, 128), min_length=1, description="output channels of each block")
    kernel: int = Field(8, ge=2, description="samples each convolution spans")
    dropout: float = Field(0.35, ge=0, lt=1, description="dropout after the first block")
    pool: Literal["max", "mean", "flatten"] = Field(
        "mean", description="from frames to the window; flatten: all frames side by side, as the paper's linear probe reads"
    )


class Tstcc(nn.Module):
    """``tstcc(view) -> Embedding`` of levels window and frame (m * F, d). 128 samples make 18 frames of width 128."""

    def __init__(self, options: TstccOptions, channels: int, length: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, width) in enumerate(pairwise((channels, *options.widths))):
            layers += [
                nn.Conv1d(inputs, width, options.kernel, padding=options.kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.MaxPool1d(2, 2, padding=1),
            ]
            if number == 0:
                layers.append(nn.Dropout(options.dropout))
        self.layers = nn.Sequential(*layers)
        self.pool: Literal["max", "mean", "flatten"] = options.pool
        frames = length
        for _ in options.widths:
            frames = (frames + 2 * (options.kernel // 2) - options.kernel + 1) // 2 + 1
        self.frames = frames
        width = options.widths[-1]
        self.dims: Mapping[str, int] = {"window": width * (frames if options.pool == "flatten" else 1), "frame": width}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows and frames. Raises DataError for another length where frames lie side by side."""
        frames: Tensor = self.layers(one_length(view.data, "tstcc"))
        m, _, count = frames.shape
        if self.pool != "flatten":
            window = pooled(frames, None, self.pool)
        elif count == self.frames:
            window = frames.flatten(1)
        else:
            raise DataError(
                f"Encoder 'tstcc' with pool flatten: {view.data.values.shape[2]} samples make {count} frames; expected "
                f"{self.frames}. Use views that keep the length, or pool mean."
            )
        return Embedding({"window": window, "frame": rows_of(frames)}, {"frame": owners(m, count, frames.device)})


def build(options: TstccOptions, spec: SignalSpec) -> Tstcc:
    """The encoder for the data's channels and length."""
    return Tstcc(options, len(spec.channels), spec.length)
