"""Decoder of hidden samples: one linear map from a frame of the encoder to the samples it stands for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug.errors import UsageError
from sslplug_sequence.signals.spec import SignalSpec


class SignalDecoderOptions(Options):
    """What is decoded, and from which rows."""

    target: str = Field("signal", description="name of the target: samples with all their channels, rows of level step")
    patch: int = Field(4, ge=1, description="samples of one frame, as the encoder has it; 1 for encoders with level step")
    hidden: tuple[Positive, ...] = Field((), description="widths of layers before the last; none: a linear map (SPT)")


class SignalDecoder(nn.Module):
    """{target: (k, C)} for the k rows of the target, from frames of ``patch`` samples (level frame) or from level step."""

    def __init__(self, options: SignalDecoderOptions, channels: int, level: str, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in options.hidden:
            layers += [nn.Linear(dim, width), nn.GELU()]
            dim = width
        self.layers = nn.Sequential(*layers, nn.Linear(dim, channels * options.patch))
        self.target, self.patch, self.level, self.channels = options.target, options.patch, level, channels

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """Predictions for the target's rows. Raises UsageError where frames are not of ``patch`` samples."""
        m, _, samples = view.data.values.shape
        frames = embedding[self.level]
        count = len(frames) // m
        if not (count - 1) * self.patch < samples <= count * self.patch:
            raise UsageError(
                f"Decoder 'signal' with patch {self.patch}: the encoder made {count} frames of {samples} samples; set "
                f"method.decoder.patch to the encoder's."
            )
        rows = view.targets[self.target].rows
        rows = torch.arange(m * samples, device=frames.device) if rows is None else rows
        window, sample = rows // samples, rows % samples
        # Only frames that hold an asked sample are decoded, each once.
        asked, place = torch.unique(window * count + sample // self.patch, return_inverse=True)
        decoded = self.layers(frames[asked]).view(-1, self.patch, self.channels)
        return {self.target: decoded[place, sample % self.patch]}


def build(options: SignalDecoderOptions, spec: SignalSpec, dims: Mapping[str, int]) -> SignalDecoder:
    """A decoder from the encoder's frames, or its steps where there are none, to the data's channels."""
    level = "frame" if "frame" in dims else "step"
    if level not in dims:
        raise UsageError(
            f"Decoder 'signal' needs an encoder with the level frame or step; it has {', '.join(sorted(dims))}. "
            "Choose the encoder transformer or ts2vec."
        )
    return SignalDecoder(options, len(spec.channels), level, dims[level])
