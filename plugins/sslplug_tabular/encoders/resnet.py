"""ResNet for tables (Gorishniy et al. 2021, arXiv:2106.11959, section 3.2).

x <- x + dropout(linear(dropout(relu(linear(norm(x))))))    for each block,    then relu(norm(x))
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.tokeniser import Tokeniser, TokeniserOptions, hidden_cells, mixed


class ResnetOptions(TokeniserOptions):
    """Size of the network."""

    width: int = Field(192, ge=1, description="width between the blocks")
    blocks: int = Field(2, ge=1, description="residual blocks")
    factor: float = Field(2.0, gt=0, description="hidden width of a block, in widths")
    hidden_dropout: float = Field(0.0, ge=0, lt=1, description="dropout inside a block")
    residual_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on what a block adds")


class ResidualBlock(nn.Module):
    """One block, (n, width) -> (n, width)."""

    def __init__(self, options: ResnetOptions) -> None:
        super().__init__()
        hidden = max(1, int(options.width * options.factor))
        self.part = nn.Sequential(
            nn.BatchNorm1d(options.width),
            nn.Linear(options.width, hidden),
            nn.ReLU(),
            nn.Dropout(options.hidden_dropout),
            nn.Linear(hidden, options.width),
            nn.Dropout(options.residual_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The rows and what the block adds."""
        out: Tensor = x + self.part(x)
        return out


class Resnet(nn.Module):
    """``encoder(view) -> Embedding`` of level row. Cells that the view hides are left out of the first layer's sum."""

    def __init__(self, options: ResnetOptions, spec: TableSpec) -> None:
        super().__init__()
        self.dims: Mapping[str, int] = {"row": options.width}
        self.cells = Tokeniser(spec, options.width, spec.width**-0.5, options.pieces)
        nn.init.zeros_(self.cells.bias)  # D biases add up: from 0 they start as one layer's would
        self.blocks = nn.Sequential(*(ResidualBlock(options) for _ in range(options.blocks)))
        self.end = nn.Sequential(nn.BatchNorm1d(options.width), nn.ReLU())

    def forward(self, view: View) -> Embedding:
        """The embeddings of a view's rows."""
        x = mixed(self.cells.total(view.data, hidden_cells(view)), view)
        return Embedding({"row": self.end(self.blocks(x))})


def build(options: ResnetOptions, spec: TableSpec) -> Resnet:
    """The encoder for the data's columns."""
    return Resnet(options, spec)
