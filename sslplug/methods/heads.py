"""Heads: the small networks between an encoder and an objective."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, Positive

Activation = Literal["relu", "elu", "prelu", "gelu"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU, "prelu": nn.PReLU, "gelu": nn.GELU}


class HeadOptions(Options):
    """A multilayer perceptron: linear layers with an activation between them, none after the last."""

    widths: tuple[Positive, ...] = Field((128, 128), min_length=1, description="Output width of each linear layer.")
    activation: Activation = Field("relu", description="Activation between the layers.")
    norm: Literal["none", "batch"] = Field("none", description="Normalisation before each activation.")
    activate_last: bool = Field(False, description="Activation after the last layer too.")
    shortcut: bool = Field(False, description="Add a linear map of the input to the output (InfoGraph's feed-forward net).")
    bias: bool = Field(True, description="Linear layers have a bias.")


class Head(nn.Module):
    """(n, d) -> (n, widths[-1])."""

    def __init__(self, options: HeadOptions, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = dim
        for number, width in enumerate(options.widths):
            layers.append(nn.Linear(width_in, width, bias=options.bias))
            if number + 1 < len(options.widths) or options.activate_last:
                if options.norm == "batch":
                    layers.append(nn.BatchNorm1d(width))
                layers.append(_ACTIVATIONS[options.activation]())
            width_in = width
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Linear(dim, width_in) if options.shortcut else None

    def forward(self, rows: Tensor) -> Tensor:
        """The head's output for (n, d) rows."""
        out: Tensor = self.layers(rows)
        return out if self.shortcut is None else out + self.shortcut(rows)


def make_head(options: HeadOptions | None, dim: int) -> tuple[nn.Module, int]:
    """The head and its output width; no options: the identity."""
    if options is None:
        return nn.Identity(), dim
    return Head(options, dim), options.widths[-1]
