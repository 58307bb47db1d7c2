"""The toy domain's encoders and its decoder: cells into cell and row embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug.testing.toy_data import ToyBatch, ToySpec


class CellsOptions(Options):
    """Widths of the cell encoder."""

    hidden: int = Field(default=64, ge=1, description="width of the layer inside")
    width: int = Field(default=32, ge=1, description="width of the row and cell embeddings")


class CellsEncoder(nn.Module):
    """Each visible cell through its own linear map; their mean makes the row; the row tells hidden cells what they miss.

    levels "cell" (n*t, width) and "row" (n, width), rows in the order of the batch; owner["cell"] is the cell's row.
    """

    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__()
        self.dims: Mapping[str, int] = {"cell": options.width, "row": options.width}
        self.weight = nn.Parameter(torch.randn(spec.cells, spec.width, options.hidden) * (2 / spec.width) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(spec.cells, options.hidden))
        self.row = nn.Sequential(
            nn.Linear(options.hidden, options.hidden), nn.ReLU(), nn.Linear(options.hidden, options.width)
        )
        self.own = nn.Linear(options.hidden, options.width)
        self.context = nn.Linear(options.width, options.width)

    def forward(self, view: View) -> Embedding:
        """Embed the cells of ``view`` that are present and not hidden."""
        batch: ToyBatch = view.data
        n, cells, _ = batch.cells.shape
        visible = batch.present
        if "cell" in view.mask:
            visible = visible & ~view.mask["cell"].view(n, cells)
        code = torch.relu(torch.einsum("ntf,tfh->nth", batch.cells, self.weight) + self.bias) * visible[..., None]
        row = self.row(code.sum(1) / visible.sum(1, keepdim=True).clamp(min=1))
        cell = self.own(code) + self.context(row)[:, None, :]
        owner = torch.arange(n, device=row.device).repeat_interleave(cells)
        return Embedding({"cell": cell.flatten(0, 1), "row": row}, {"cell": owner})


class TowersEncoder(nn.Module):
    """Two cell encoders: views of role "right" go through the second, all others through the first."""

    def __init__(self, options: CellsOptions, spec: ToySpec) -> None:
        super().__init__()
        self.dims: Mapping[str, int] = {"cell": options.width, "row": options.width}
        self.left = CellsEncoder(options, spec)
        self.right = CellsEncoder(options, spec)

    def forward(self, view: View) -> Embedding:
        """Embed ``view`` by its role."""
        embedding: Embedding = self.right(view) if view.role == "right" else self.left(view)
        return embedding


class CellDecoderOptions(Options):
    """Which target the decoder predicts."""

    target: str = Field(default="features", description="name of the target, at level cell")
    hidden: int = Field(default=64, ge=1, description="width of the layer inside")


class CellDecoder(nn.Module):
    """Predicts cells' numbers from their embeddings, each position with its own output map: {target: (m, f)}."""

    def __init__(self, options: CellDecoderOptions, spec: ToySpec, dims: Mapping[str, int]) -> None:
        super().__init__()
        if "cell" not in dims:
            raise UsageError(f"The mlp decoder needs embeddings of level 'cell'; the encoder has {', '.join(sorted(dims))}.")
        self.target = options.target
        self.spec = spec
        self.inner = nn.Linear(dims["cell"], options.hidden)
        self.weight = nn.Parameter(torch.randn(spec.cells, options.hidden, spec.width) / options.hidden**0.5)

    def forward(self, view: View, embedding: Embedding) -> dict[str, Tensor]:
        """Predictions for the target's rows."""
        inner = torch.relu(self.inner(embedding["cell"]))
        inner = inner.view(-1, self.spec.cells, inner.shape[-1])
        every = torch.einsum("nth,thf->ntf", inner, self.weight).flatten(0, 1)
        rows = view.targets[self.target].rows
        return {self.target: every if rows is None else every[rows]}


def build_cells(options: CellsOptions, spec: ToySpec) -> nn.Module:
    """The encoder component's build function."""
    return CellsEncoder(options, spec)


def build_towers(options: CellsOptions, spec: ToySpec) -> nn.Module:
    """The two-tower component's build function."""
    return TowersEncoder(options, spec)


def build_cell_decoder(options: CellDecoderOptions, spec: ToySpec, dims: Mapping[str, int]) -> nn.Module:
    """The decoder component's build function."""
    return CellDecoder(options, spec, dims)
