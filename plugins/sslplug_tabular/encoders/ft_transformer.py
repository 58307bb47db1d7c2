"""A transformer over columns: FT-Transformer (Gorishniy et al. 2021), T-JEPA's encoder and SAINT's, by options.

    sequence: [REG], numerics, categoricals -> L blocks -> end -> codes of [REG] and of every cell

Letters: n rows, D columns, t tokens that are visible, d width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sslplug.contracts import Embedding, Tags, View
from sslplug_tabular.batch import Rows
from sslplug_tabular.encoders.attention import RowAttention
from sslplug_tabular.encoders.block import Block, BlockOptions
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.tokeniser import Tokeniser, TokeniserOptions, hidden_cells, mixed


class FtTransformerOptions(BlockOptions, TokeniserOptions):
    """FT-Transformer's default form; T-JEPA: norm post, activation relu, positions sinusoidal, end projection, row flatten."""

    positions: Literal["none", "sinusoidal"] = Field("none", description="fixed numbers added by a token's place")
    end: Literal["none", "norm", "projection"] = Field(
        "norm", description="after the last block: nothing, a layer norm, or norm - linear - norm (T-JEPA)"
    )
    row: Literal["reg", "mean", "max", "flatten"] = Field(
        "reg", description="a row's embedding: [REG], mean or maximum over visible tokens, or all tokens in a row"
    )
    hidden: Literal["drop", "token"] = Field(
        "drop", description="cells a view hides are left out, or replaced by a learned token that is attended to"
    )
    initial: Literal["uniform", "truncated"] = Field(
        "uniform", description="linear maps and tokens start as FT-Transformer's, or normal, deviation 0.02 (T-JEPA)"
    )
    rows: bool = Field(
        False, description="attention among the rows of a batch after each block (SAINT); needs hidden: token"
    )
    row_heads: int = Field(8, ge=1, description="heads of the attention among rows")
    row_head_width: int = Field(64, ge=1, description="width of each of these heads")
    row_group: int = Field(256, ge=1, description="rows that see each other in eval mode, in the data's order; 1: none")

    @model_validator(mode="after")
    def _rows_need_all_tokens(self) -> FtTransformerOptions:
        if self.rows and self.hidden == "drop":
            raise ValueError("rows: true compares whole rows, so that no token may be left out; set hidden: token")
        return self


class FtTransformer(nn.Module):
    """``encoder(view) -> Embedding`` of levels row (n, d) or (n, (1 + D) d), reg (n, d) and cell (n D, d).

    ``mask["cell"]`` hides cells, ``mask["reg"]`` (n,) the [REG] token. Left out (``hidden: drop``), they take part in nothing,
    and their own codes are 0; where every row hides as many, the visible tokens are gathered and no attention mask is needed.
    Replaced by a token, they have codes, which know their column and what is visible. ``params["mixup"]`` mixes tokens.
    """

    def __init__(self, options: FtTransformerOptions, spec: TableSpec) -> None:
        super().__init__()
        width, length = options.width, 1 + spec.width
        self.options, self.columns = options, spec.width
        self.dims: Mapping[str, int] = {
            "row": width * length if options.row == "flatten" else width, "reg": width, "cell": width
        }  # fmt: skip
        positions = sinusoids(length, width) if options.positions == "sinusoidal" else None
        self.tokens = Tokeniser(spec, width, width**-0.5, options.pieces, reg=True, positions=positions)
        self.mask = nn.Parameter(torch.zeros(width)) if options.hidden == "token" else None
        self.blocks = nn.ModuleList(
            Block(options, _among_rows(options, length) if options.rows else None, first=number == 0)
            for number in range(options.layers)
        )
        self.end = _end(options)
        if options.initial == "truncated":
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)
            for name, parameter in self.tokens.named_parameters():
                if name != "missing":
                    nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, view: View) -> Embedding:
        """The embeddings of a view's rows and cells."""
        rows: Rows = view.data
        x, hidden = self.tokens(rows), self._hidden(view)
        real = look = place = None
        if hidden is not None and self.mask is not None:
            x = torch.where(hidden[:, :, None], self._blank(), x)
        elif hidden is not None and "mixup" in view.params:
            x = x * ~hidden[:, :, None]  # what is hidden in one row may not reach another
        x = mixed(x, view)
        if hidden is not None and self.mask is None:
            place, real = visible_places(hidden)
            x = x.gather(1, place[:, :, None].expand(-1, -1, x.shape[2]))
            if real is not None:
                # Attention over nothing is not a number: a row that sees nothing looks at one token of zeros.
                x = x * real[:, :, None]
                look = real | (torch.arange(x.shape[1], device=x.device) == 0)
        for block in self.blocks:
            x = block(x, look)
        x = self.end(x)
        codes = x if place is None else _spread(x, place, real, 1 + self.columns)
        levels = {
            "row": self._row(codes, hidden if self.mask is None else None),
            "reg": codes[:, 0],
            "cell": codes[:, 1:].flatten(0, 1),
        }
        owner = torch.arange(rows.n, device=rows.device).repeat_interleave(self.columns)
        return Embedding(levels, {"cell": owner})

    def _hidden(self, view: View) -> Tensor | None:
        """(n, 1 + D) bool, the tokens that the view hides, or None."""
        cells, reg = hidden_cells(view), view.mask.get("reg")
        if cells is None and reg is None:
            return None
        rows: Rows = view.data
        first = torch.zeros(rows.n, dtype=torch.bool, device=rows.device) if reg is None else reg
        cells = first.new_zeros(rows.n, self.columns) if cells is None else cells
        return torch.cat([first[:, None], cells], 1)

    def _blank(self) -> Tensor:
        """(1 + D, width): what stands in for a hidden token: the mask token, and the column's own bias and position."""
        tokeniser, mask = self.tokens, self.mask
        assert mask is not None  # asked for only where hidden cells are replaced
        blank = torch.cat([torch.zeros_like(tokeniser.bias[:1]), tokeniser.bias]) + mask
        return blank if tokeniser.positions is None else blank + tokeniser.positions

    def _row(self, codes: Tensor, absent: Tensor | None) -> Tensor:
        """A row's embedding from (n, 1 + D, d) codes; ``absent`` (n, 1 + D) tokens have none."""
        if self.options.row == "flatten":
            return codes.flatten(1)
        if self.options.row == "reg":
            return codes[:, 0]
        if self.options.row == "mean":
            return codes.mean(1) if absent is None else codes.sum(1) / (~absent).sum(1, keepdim=True).clamp(min=1)
        if absent is None:
            return codes.amax(1)
        least = torch.finfo(codes.dtype).min
        some = ~absent.all(1, keepdim=True)
        return codes.masked_fill(absent[:, :, None], least).amax(1) * some


def visible_places(hidden: Tensor) -> tuple[Tensor, Tensor | None]:
    """Places (n, t) of each row's visible tokens in order, and which of them are real (n, t), None where all are.

    Rows that see fewer are filled up with hidden tokens; there is at least one place.
    """
    visible = ~hidden
    counts = visible.sum(1)
    fewest, most = (int(count) for count in counts.aminmax()) if len(counts) else (0, 0)
    if fewest == most and most:
        return visible.nonzero()[:, 1].view(len(hidden), most), None
    place = hidden.to(torch.uint8).argsort(dim=1, stable=True)[:, : max(most, 1)]
    return place, torch.arange(place.shape[1], device=hidden.device) < counts[:, None]


def _spread(x: Tensor, place: Tensor, real: Tensor | None, length: int) -> Tensor:
    """(n, t, d) codes back at their places among ``length`` tokens, 0 elsewhere."""
    if real is not None:
        x = x * real[:, :, None]
    return x.new_zeros(len(x), length, x.shape[2]).scatter(1, place[:, :, None].expand_as(x), x)


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) positions: sines in even, cosines in odd places (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(10_000.0)) / width))
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width]


def _among_rows(options: FtTransformerOptions, length: int) -> RowAttention:
    return RowAttention(
        options.width, length, options.row_heads, options.row_head_width, options.attention_dropout, options.row_group
    )


def _end(options: FtTransformerOptions) -> nn.Module:
    width = options.width
    if options.end == "none":
        return nn.Identity()
    if options.end == "norm":
        return nn.LayerNorm(width)
    drop = options.residual_dropout
    return nn.Sequential(
        nn.Dropout(drop), nn.LayerNorm(width), nn.Linear(width, width), nn.Dropout(drop), nn.LayerNorm(width)
    )


def build(options: FtTransformerOptions, spec: TableSpec) -> FtTransformer:
    """The encoder for the data's columns."""
    return FtTransformer(options, spec)


def provides(options: FtTransformerOptions) -> Tags:
    """All levels, and hiding."""
    return frozenset({"level:row", "level:reg", "level:cell", "two-levels", "hides"})
