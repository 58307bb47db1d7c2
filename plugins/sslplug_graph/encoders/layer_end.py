"""What follows a layer's linear map or message passing: norm, activation, dropout."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, Positive
from sslplug_graph.encoders.pooling import Pool

Activation = Literal["relu", "prelu", "rrelu", "elu", "none"]
Norm = Literal["none", "batch", "layer"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "rrelu": nn.RReLU,
    "elu": nn.ELU,
    "none": nn.Identity,
}


def norm_layer(norm: Norm, width: int, momentum: float) -> nn.Module:
    """The norm over ``width`` columns; ``momentum`` is batch norm's, in PyTorch's sense (the weight of the newest batch)."""
    if norm == "batch":
        return nn.BatchNorm1d(width, momentum=momentum)
    return nn.LayerNorm(width) if norm == "layer" else nn.Identity()


class LayerEnd(nn.Module):
    """(N, d) -> (N, d): norm, then activation, then dropout."""

    def __init__(self, width: int, norm: Norm, momentum: float, activation: Activation, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = norm_layer(norm, width, momentum)
        self.activation = _ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Shape unchanged."""
        out: Tensor = self.dropout(self.activation(self.norm(rows)))
        return out


class StackOptions(Options):
    """Layers of one kind, and what follows each."""

    widths: list[Positive] = Field([256, 128], min_length=1, description="output width of each layer")
    activation: Activation = Field("relu", description="after every layer (see activate_last)")
    activate_last: bool = Field(True, description="norm and activation after the last layer too")
    norm: Norm = Field("none", description="norm between layer and activation")
    batch_norm_momentum: float = Field(0.1, gt=0, le=1, description="weight of the newest batch in running statistics")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after each layer but the last")
    pool: Pool = Field("mean", description="how nodes make a graph embedding")


def layer_ends(options: StackOptions, dropout: float) -> nn.ModuleList:
    """What follows each layer: nothing after the last one unless ``activate_last``; ``dropout`` after all but the last."""
    last = len(options.widths) - 1
    return nn.ModuleList(
        LayerEnd(width, options.norm, options.batch_norm_momentum, options.activation, dropout if number < last else 0.0)
        if number < last or options.activate_last
        else nn.Identity()
        for number, width in enumerate(options.widths)
    )
