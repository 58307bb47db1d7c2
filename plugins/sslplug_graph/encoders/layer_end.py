"""What follows a message-passing step: norm, activation, dropout."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

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
