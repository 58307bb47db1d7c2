"""T-JEPA's predictor: from the codes of the cells a student saw, what the teacher makes of other cells.

T-JEPA (Thimonier et al. 2024, arXiv:2410.05016): codes are brought to a narrow width, each gets the fixed position of its place
in the sequence [REG], columns; one learned token plus a place's position stands for each cell to predict; a transformer reads
both; what it makes of the latter is brought back to the encoder's width. All target sets go through it in one pass, stacked
along the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Tags, View
from sslplug.errors import UsageError
from sslplug_tabular.batch import Rows
from sslplug_tabular.encoders.block import Block, BlockOptions, Gate
from sslplug_tabular.encoders.ft_transformer import sinusoids, visible_places
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.tokeniser import hidden_cells


class JepaPredictorOptions(BlockOptions):
    """Size and form of the predictor; narrower than the encoder."""

    width: int = Field(16, ge=1, description="width of a token")
    layers: int = Field(4, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads; they divide the width")
    feedforward: int = Field(64, ge=1, description="hidden width of a block's feed-forward net")
    activation: Gate = Field("relu", description="reglu and geglu gate one half of the hidden layer by the other")
    norm: Literal["pre", "post"] = Field("post", description="layer norm before each part, or after it is added")


class JepaPredictor(nn.Module):
    """``decoder(view, embedding) -> {set: (m, d)}`` for the target sets of :class:`sslplug_tabular.views.tjepa_masks.TJepaMasks`.

    Needs the levels cell and reg of the embedding of a view whose mask hides cells. Every row of the batch has as many targets.
    """

    positions: Tensor

    def __init__(self, options: JepaPredictorOptions, spec: TableSpec, dims: Mapping[str, int]) -> None:
        super().__init__()
        lacking = [level for level in ("cell", "reg") if level not in dims]
        if lacking:
            raise UsageError(
                f"The predictor reads codes of cells and of [REG]; the encoder makes no level {' and no '.join(lacking)}. "
                "Choose encoder ft_transformer."
            )
        self.columns = spec.width
        self.narrow = nn.Linear(dims["cell"], options.width)
        self.asked = nn.Parameter(torch.zeros(options.width))
        self.register_buffer("positions", sinusoids(1 + spec.width, options.width), persistent=False)
        self.blocks = nn.ModuleList(Block(options, first=number == 0) for number in range(options.layers))
        self.end = nn.Sequential(nn.LayerNorm(options.width), nn.Linear(options.width, dims["cell"]))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.asked, std=0.02)

    def forward(self, view: View, embedding: Embedding) -> dict[str, Tensor]:
        """The predictions of every target set, in the order of its rows."""
        rows: Rows = view.data
        seen, look = self._seen(view, embedding)
        names = [name for name, target in view.targets.items() if name.startswith("set") and target.level == "cell"]
        found = [self._places(view, name, rows.n) for name in names]
        sizes = sorted({places.shape[1] for places, _ in found})
        if len(sizes) != 1:
            raise UsageError(f"Target sets of {sizes or 'no'} cells a row; the predictor needs some, all of one size.")
        places = torch.cat([places for places, _ in found])
        asked = self.asked + self.positions[places]
        x = torch.cat([seen.repeat(len(names), 1, 1), asked], 1)
        keep = None
        if look is not None:
            keep = torch.cat([look.repeat(len(names), 1), torch.ones_like(places, dtype=torch.bool)], 1)
        for block in self.blocks:
            x = block(x, keep)
        codes = self.end(x[:, -sizes[0] :]).view(len(names), rows.n * sizes[0], -1)
        made: dict[str, Tensor] = {}
        for name, code, (_, order) in zip(names, codes, found, strict=True):
            if order is None:
                made[name] = code
                continue
            cells = len(view.targets[name].values)
            restored = torch.empty_like(code).index_copy(0, order, code)
            made[name], made[f"{name}_reg"] = restored[:cells], restored[cells:]
        return made

    def _seen(self, view: View, embedding: Embedding) -> tuple[Tensor, Tensor | None]:
        """(n, t, width) narrow codes of the visible tokens with their positions; which of them are real, None where all."""
        rows: Rows = view.data
        cells, reg = hidden_cells(view), view.mask.get("reg")
        codes = torch.cat([embedding["reg"][:, None], embedding["cell"].view(rows.n, self.columns, -1)], 1)
        if cells is None:
            raise UsageError(
                "The predictor needs a view whose mask hides cells; this one hides none. Choose views tjepa_masks."
            )
        first = torch.zeros(rows.n, dtype=torch.bool, device=cells.device) if reg is None else reg
        place, real = visible_places(torch.cat([first[:, None], cells], 1))
        shown = codes.gather(1, place[:, :, None].expand(-1, -1, codes.shape[2]))
        return self.narrow(shown) + self.positions[place], real

    def _places(self, view: View, name: str, n: int) -> tuple[Tensor, Tensor | None]:
        """(n, n_T) places in the sequence of a set's targets, row by row; and how the set's rows were put in that order.

        With a target ``<name>_reg``, cells and [REG]s of the set are sorted together by row.
        """
        target, reg = view.targets[name], view.targets.get(f"{name}_reg")
        assert target.rows is not None  # the views name cells
        length = 1 + self.columns
        if reg is None:
            if len(target.rows) % n:
                raise UsageError(f"Target {name!r} asks for {len(target.rows)} cells of {n} rows; expected as many of each.")
            first = torch.arange(n, device=target.rows.device)[:, None] * self.columns
            return target.rows.view(n, -1) - first + 1, None
        assert reg.rows is not None  # the views name rows
        token = torch.cat([torch.div(target.rows, self.columns, rounding_mode="floor") + target.rows + 1, reg.rows * length])
        token, order = token.sort()
        if len(token) % n:
            raise UsageError(f"Target {name!r} asks for {len(token)} tokens of {n} rows; expected as many of each.")
        first = torch.arange(n, device=token.device)[:, None] * length
        return token.view(n, -1) - first, order


def build(options: JepaPredictorOptions, spec: TableSpec, dims: Mapping[str, int]) -> JepaPredictor:
    """The decoder for an encoder's codes."""
    return JepaPredictor(options, spec, dims)


def needs(options: JepaPredictorOptions) -> Tags:
    """Codes of cells and of [REG], cells that are hidden, and a set to predict."""
    return frozenset({"level:cell", "level:reg", "hides", "masks", "target:set0"})
