"""The heads of the plugin's methods: linear layers with normalisation and ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def perceptron(dim: int, widths: Sequence[int]) -> tuple[nn.Module, int]:
    """The network (k, dim) -> (k, widths[-1]) and its output width; no widths: the identity."""
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        layers.append(nn.Linear(dim, width))
        if number + 1 < len(widths):
            layers += [nn.LayerNorm(width), nn.ReLU()]
        dim = width
    return nn.Sequential(*layers), dim
