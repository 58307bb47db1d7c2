"""Predicts cells from the codes of cells: a few transformer blocks and an output map a column (MAE's decoder, SAINT's heads).

Masked autoencoders (He et al. 2022, arXiv:2111.06377, section 3): hidden cells get a learned vector of their column before the
blocks, so that an encoder may leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_tabular.batch import Rows
from sslplug_tabular.decoders.outputs import asked, only_own, own_codes
from sslplug_tabular.encoders.block import Block, BlockOptions
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.tokeniser import hidden_cells


class CellsDecoderOptions(Options):
    """The blocks between the cells' codes and the outputs."""

    layers: int = Field(
        1, ge=0, description="transformer blocks; 0 needs an encoder that gives hidden cells codes (hidden: token)"
    )
    width: int = Field(64, ge=1, description="width inside")
    heads: int = Field(4, ge=1, description="attention heads; they divide the width")
    feedforward: int = Field(128, ge=1, description="hidden width of a block's feed-forward net")
    mask: bool = Field(False, description="also predict which cells were corrupted (VIME)")

    @model_validator(mode="after")
    def _heads_divide(self) -> CellsDecoderOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}; choose one that is")
        return self


class CellsDecoder(nn.Module):
    """(n D, d) cells -> predictions of the cells that the view's targets numeric, categories and mask ask for."""

    own: Tensor

    def __init__(self, options: CellsDecoderOptions, spec: TableSpec, width: int) -> None:
        super().__init__()
        inner, num, bound = options.width, len(spec.numeric), options.width**-0.5
        self.num = num
        self.enter = nn.Linear(width, inner)
        self.column = nn.Parameter(torch.empty(spec.width, inner).uniform_(-bound, bound))
        self.blank = nn.Parameter(torch.zeros(inner))
        form = BlockOptions(width=inner, layers=1, heads=options.heads, feedforward=options.feedforward, activation="gelu")
        self.blocks = nn.ModuleList(Block(form) for _ in range(options.layers))
        self.norm = nn.LayerNorm(inner) if options.layers else nn.Identity()

        def heads(*shape: int) -> nn.Parameter | None:
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound)) if shape[0] else None

        own = own_codes(spec)
        self.numeric, self.numeric_bias = heads(num, inner), nn.Parameter(torch.zeros(num)) if num else None
        self.codes = heads(own.shape[0], inner, own.shape[1])
        self.codes_bias = nn.Parameter(torch.zeros(own.shape[0], 1, own.shape[1])) if len(own) else None
        self.mask = nn.Linear(inner, 1) if options.mask else None
        self.register_buffer("own", own, persistent=False)

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{"numeric": (m, 1), "categories": (m, K), "mask": (n D, 2)}, as far as the view asks for them."""
        rows: Rows = view.data
        hidden = hidden_cells(view)
        x = self.enter(embedding["cell"]).view(rows.n, -1, self.column.shape[1]) + self.column
        if hidden is not None:
            x = x + hidden[:, :, None] * self.blank
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        grids: dict[str, Tensor] = {"numeric": x.new_zeros(rows.n, 0), "categories": x.new_zeros(rows.n, 0, 1)}
        if self.numeric is not None and self.numeric_bias is not None:
            grids["numeric"] = (x[:, : self.num] * self.numeric).sum(2) + self.numeric_bias
        if self.codes is not None and self.codes_bias is not None and "categories" in view.targets:
            logits = torch.baddbmm(self.codes_bias, x[:, self.num :].transpose(0, 1), self.codes).transpose(0, 1)
            grids["categories"] = only_own(logits, self.own)
        if self.mask is not None:
            chosen = self.mask(x)
            grids["mask"] = torch.cat([torch.zeros_like(chosen), chosen], 2)
        return asked(view, grids)


def build(options: CellsDecoderOptions, spec: TableSpec, dims: Mapping[str, int]) -> CellsDecoder:
    """A decoder from the encoder's cell width to the data's columns. UsageError where the encoder has no cells."""
    if "cell" not in dims:
        raise UsageError(
            f"The decoder 'cells' needs embeddings of level 'cell'; the encoder has {', '.join(sorted(dims))}. "
            "Choose the encoder ft_transformer, or the decoder row."
        )
    return CellsDecoder(options, spec, dims["cell"])
