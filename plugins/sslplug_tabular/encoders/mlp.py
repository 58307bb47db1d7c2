"""A multilayer perceptron on a row's cells: the encoder of SCARF, VIME and SubTab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug_tabular.batch import Rows
from sslplug_tabular.column_subsets import SubsetLayout, hidden_in
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.tokeniser import Tokeniser, TokeniserOptions, hidden_cells, mixed


class MlpOptions(TokeniserOptions):
    """SCARF's encoder by default."""

    widths: tuple[int, ...] = Field((256, 256, 256, 256), min_length=1, description="output width of each layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after each activation")
    norm: Literal["none", "batch"] = Field("none", description="batch norm before each activation")
    activate_last: bool = Field(True, description="norm, activation and dropout after the last layer too")
    subsets: SubsetLayout | None = Field(
        None,
        description="embed a view that hides nothing as the mean over these column subsets (SubTab); give the views' own",
    )


class Mlp(nn.Module):
    """``encoder(view) -> Embedding`` of level row. Cells that the view hides are left out of the first layer's sum."""

    def __init__(self, options: MlpOptions, spec: TableSpec) -> None:
        super().__init__()
        widths = options.widths
        self.dims: Mapping[str, int] = {"row": widths[-1]}
        self.cells = Tokeniser(spec, widths[0], spec.width**-0.5, options.pieces)
        nn.init.zeros_(self.cells.bias)  # D biases add up: from 0 they start as one layer's would
        layers: list[nn.Module] = []
        for number, width in enumerate(widths):
            if number:
                layers.append(nn.Linear(widths[number - 1], width))
            if number + 1 < len(widths) or options.activate_last:
                layers += [nn.BatchNorm1d(width)] if options.norm == "batch" else []
                layers += [nn.ReLU(), nn.Dropout(options.dropout)]
        self.layers = nn.Sequential(*layers)
        hidden = None if options.subsets is None else hidden_in(options.subsets, spec.width)
        self.register_buffer("subsets", hidden, persistent=False)

    subsets: Tensor | None

    def forward(self, view: View) -> Embedding:
        """The embeddings of a view's rows."""
        if self.subsets is None or "cell" in view.mask:
            return Embedding({"row": self._rows(view)})
        rows: Rows = view.data
        parts = [self._rows(replace(view, mask={"cell": hidden.expand(rows.n, -1).flatten()})) for hidden in self.subsets]
        return Embedding({"row": torch.stack(parts).mean(0)})

    def _rows(self, view: View) -> Tensor:
        out: Tensor = self.layers(mixed(self.cells.total(view.data, hidden_cells(view)), view))
        return out


def build(options: MlpOptions, spec: TableSpec) -> Mlp:
    """The encoder for the data's columns."""
    return Mlp(options, spec)
