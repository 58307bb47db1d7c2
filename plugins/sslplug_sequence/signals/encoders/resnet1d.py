"""The encoder of ssl-wearables (Yuan et al. 2024, npj Digital Medicine 7:91): a pre-activation ResNet (He et al. 2016, V2) in
one dimension whose downsampling smooths first (Zhang 2019, arXiv:1904.11486)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug.errors import UsageError
from sslplug_sequence.signals.encoders.pooling import one_length
from sslplug_sequence.signals.spec import SignalSpec

_RELEASED = {150: (2, 2, 3, 3, 3), 300: (2, 2, 5, 5, 3), 900: (3, 3, 5, 5, 4)}
"""Downsampling factors of the released encoders for 5, 10 and 30 s at 30 Hz."""


class ResNet1dOptions(Options):
    """Stages of a convolution, residual blocks and a downsampling. Defaults are the released 5 s encoder's."""

    widths: tuple[Positive, ...] = Field((64, 128, 256, 256, 512), min_length=1, description="channels of each stage")
    blocks: tuple[int, ...] = Field((2, 2, 2, 2, 0), min_length=1, description="residual blocks of each stage")
    factors: tuple[int, ...] | None = Field(
        None, description="downsampling of each stage; default: the released ones, else so that one frame is left"
    )
    kernel: int = Field(5, ge=1, description="samples a convolution spans; odd")

    @model_validator(mode="after")
    def _as_many(self) -> ResNet1dOptions:
        lengths = {len(self.widths), len(self.blocks), len(self.widths if self.factors is None else self.factors)}
        if len(lengths) > 1:
            raise ValueError("widths, blocks and factors name different numbers of stages; give one of each a stage")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even; expected an odd number, so that lengths stay")
        return self


def derived_factors(length: int, stages: int) -> tuple[int, ...]:
    """Nearly equal factors, one a stage, that leave one frame of ``length`` samples. The released ones for released lengths.

    >>> derived_factors(300, 5), derived_factors(128, 5), derived_factors(24, 5)
    ((2, 2, 5, 5, 3), (3, 3, 2, 3, 2), (2, 2, 2, 2, 1))
    """
    if stages == 5 and length in _RELEASED:
        return _RELEASED[length]
    factors = []
    for left in range(stages, 0, -1):
        factor = length if left == 1 else max(round(length ** (1 / left)), min(length, 2))
        factors.append(factor)
        length //= factor
    return tuple(factors)


class Circular(nn.Module):
    """Convolution of a signal that continues at its own start; as many frames as samples."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Tensor) -> Tensor:
        """(m, inputs, F) -> (m, outputs, F)."""
        reach, length = self.weight.shape[2] // 2, frames.shape[2]
        if length >= reach:
            around = pad(frames, (reach, reach), mode="circular")
        else:  # torch's own circular padding goes round once at most
            around = frames[:, :, torch.arange(-reach, length + reach, device=frames.device) % length]
        return conv1d(around, self.weight)


class Residual(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x))))))."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(width), nn.ReLU(), Circular(width, width, kernel),
            nn.BatchNorm1d(width), nn.ReLU(), Circular(width, width, kernel),
        )  # fmt: skip

    def forward(self, frames: Tensor) -> Tensor:
        """(m, width, F) -> (m, width, F)."""
        out: Tensor = frames + self.layers(frames)
        return out


class Downsample(nn.Module):
    """Smooth by repeated box filters of length ``factor``, take every ``factor``-th frame: F -> floor(F / factor).

    Two boxes for odd factors and three for even ones: an even number of zeros is then added, half on each side. Fewer frames
    than ``factor`` become one, their mean.
    """

    kernel: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        order = 1 if factor % 2 else 2
        kernel = np.ones(factor)
        for _ in range(order):
            kernel = np.convolve(kernel, np.ones(factor))
        self.padding = order * (factor - 1) // 2
        self.register_buffer("kernel", torch.tensor(kernel / kernel.sum(), dtype=torch.float32), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(m, width, F) -> (m, width, floor(F / factor))."""
        if frames.shape[2] < self.factor:
            return frames.mean(2, keepdim=True)
        kernel = self.kernel.to(frames.dtype).expand(frames.shape[1], 1, -1)
        return conv1d(frames, kernel, stride=self.factor, padding=self.padding, groups=frames.shape[1])


class ResNet1d(nn.Module):
    """``resnet1d(view) -> Embedding`` of level window (m, d): the last frame, or the mean of those that are left."""

    def __init__(self, options: ResNet1dOptions, channels: int, factors: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = pairwise((channels, *options.widths))
        for (inputs, width), blocks, factor in zip(sizes, options.blocks, factors, strict=True):
            layers.append(Circular(inputs, width, options.kernel))
            layers += [Residual(width, options.kernel) for _ in range(blocks)]
            layers += [nn.BatchNorm1d(width), nn.ReLU()]
            if factor > 1:
                layers.append(Downsample(factor))
        self.layers = nn.Sequential(*layers)
        self.dims: Mapping[str, int] = {"window": options.widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's windows."""
        frames: Tensor = self.layers(one_length(view.data, "resnet1d"))
        return Embedding({"window": frames.mean(2)})


def build(options: ResNet1dOptions, spec: SignalSpec) -> ResNet1d:
    """The encoder for the data's channels and length. Raises UsageError where factors ask for more samples than there are."""
    factors = options.factors or derived_factors(spec.length, len(options.widths))
    if any(factor < 1 for factor in factors) or int(np.prod(factors)) > 4 * spec.length:
        raise UsageError(
            f"encoder.factors {list(factors)} shorten {spec.length} samples by {int(np.prod(factors))}; expected factors of 1 "
            f"or more whose product is about {spec.length}."
        )
    return ResNet1d(options, len(spec.channels), factors)
