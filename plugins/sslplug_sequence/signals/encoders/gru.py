"""CPC's encoder for sensors (Haresamudram et al. 2021, arXiv:2012.05333): convolutions make a latent of each sample, a GRU sums
up the latents so far."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.encoders.pooling import Pool, owners, pooled, rows_of
from sslplug_sequence.signals.spec import SignalSpec


class GruOptions(Options):
    """Convolutions, then recurrent layers."""

    convolutions: tuple[Positive, ...] = Field(
        (32, 64, 128), min_length=1, description="output channels of each convolution"
    )
    kernel: int = Field(3, ge=1, description="samples each convolution spans; odd")
    stride: int = Field(1, ge=1, description="samples from one latent to the next: the last convolution's stride")
    width: int = Field(256, ge=1, description="width of the GRU")
    layers: int = Field(2, ge=1, description="layers of the GRU")
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout after each convolution and between GRU layers")
    pool: Pool = Field("last", description="from contexts to the window: max, mean or last")


class Gru(nn.Module):
    """``gru(view) -> Embedding`` of levels window (m, w), frame (m * F, w) the contexts, and latent (m * F, d).

    Frame f's context knows the latents up to f. F = ceil(T / stride). Convolutions see zeros past a series' end.
    """

    def __init__(self, options: GruOptions, channels: int) -> None:
        super().__init__()
        sizes = list(pairwise((channels, *options.convolutions)))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                a, b, options.kernel, padding=options.kernel // 2, stride=options.stride if number + 1 == len(sizes) else 1
            )
            for number, (a, b) in enumerate(sizes)
        )
        self.dropout = nn.Dropout(options.dropout)
        between = options.dropout if options.layers > 1 else 0.0
        self.recurrent = nn.GRU(options.convolutions[-1], options.width, options.layers, batch_first=True, dropout=between)
        self.stride = options.stride
        self.pool: Pool = options.pool
        self.dims: Mapping[str, int] = {
            "window": options.width, "frame": options.width, "latent": options.convolutions[-1]
        }  # fmt: skip

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows, contexts and latents."""
        signals: Signals = view.data
        visible = signals.visible
        latents: Tensor = signals.values
        for number, convolution in enumerate(self.convolutions):
            if number + 1 == len(self.convolutions) and visible is not None:
                visible = visible[:, :: self.stride]
            latents = self.dropout(convolution(latents).relu())
            if visible is not None:
                latents = latents * visible[:, None]
        contexts = self.recurrent(latents.transpose(1, 2))[0]
        m, count, _ = contexts.shape
        owner = owners(m, count, contexts.device)
        return Embedding(
            {
                "window": pooled(contexts.transpose(1, 2), visible, self.pool),
                "frame": contexts.reshape(m * count, -1),
                "latent": rows_of(latents),
            },
            {"frame": owner, "latent": owner},
        )


def build(options: GruOptions, spec: SignalSpec) -> Gru:
    """The encoder for the data's channels."""
    return Gru(options, len(spec.channels))
