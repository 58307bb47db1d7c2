"""A one-dimensional convolutional network over a spectrum."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_spectra.data import SpectraSpec


class ConvolutionOptions(Options):
    """Sizes of the network."""

    width: int = Field(default=32, ge=4, description="channels of the first layer; they double at each of the next two")
    kernel: int = Field(default=7, ge=3, description="channels each convolution spans; odd")


class Convolution(nn.Module):
    """Three convolutions with stride 2, then mean and maximum in each of four parts of the axis: a peak's place matters."""

    parts = 4

    def __init__(self, options: ConvolutionOptions, spec: SpectraSpec) -> None:
        super().__init__()
        widths = [1, options.width, 2 * options.width, 4 * options.width]
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv1d(before, after, options.kernel, stride=2, padding=options.kernel // 2), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.mean, self.largest = nn.AdaptiveAvgPool1d(self.parts), nn.AdaptiveMaxPool1d(self.parts)
        self.dims: Mapping[str, int] = {"spectrum": 2 * self.parts * widths[-1]}

    def forward(self, view: View) -> Embedding:
        """One row a spectrum."""
        hidden: Tensor = self.layers(view.data.values[:, None, :])
        return Embedding({"spectrum": torch.cat([self.mean(hidden), self.largest(hidden)], dim=1).flatten(1)})


def build(options: ConvolutionOptions, spec: SpectraSpec) -> nn.Module:
    """The component's build function."""
    return Convolution(options, spec)
