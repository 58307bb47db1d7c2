"""The one way a table's cells become numbers: a token a column, as vectors or summed.

FT-Transformer's feature tokeniser (Gorishniy et al. 2021, arXiv:2106.11959, section 3.3), with a vector for missing numbers:

    token_c = x_c w_c + b_c    (numeric),    m_c + b_c    (numeric, missing),    E_c[code] + b_c    (categorical)

With pieces, a row of shares and a map of the column stand for x_c and w_c (:mod:`sslplug_tabular.pieces`), and a missing number
has the shares of the column's centre beside its vector.
The sum of a row's tokens is the first linear layer of a network on numbers and one-hot codes. It is computed without making
the tokens, so that MLP, ResNet and transformer read cells through the same parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, View
from sslplug_tabular.batch import Rows
from sslplug_tabular.pieces import Pieces
from sslplug_tabular.spec import TableSpec


class TokeniserOptions(Options):
    """What every encoder of tables may choose about its cells."""

    pieces: int = Field(0, ge=0, description="most linear pieces of a numeric column; 0: the number as it is")


class Tokeniser(nn.Module):
    """``tokeniser(rows)``: (n, D, width), one token a column; with ``reg``, (n, 1 + D, width), the [REG] token first.

    Parameters start uniform in +-``bound``, but for the vectors of missing numbers and of unseen categories, which start at 0:
    a column in which training never met one treats it as the column's centre. One table holds the vectors of all categories.
    """

    weight: nn.Parameter | None
    missing: nn.Parameter | None
    table: nn.Parameter | None
    reg: nn.Parameter | None
    offsets: Tensor
    positions: Tensor | None

    def __init__(
        self, spec: TableSpec, width: int, bound: float, pieces: int, reg: bool = False, positions: Tensor | None = None
    ) -> None:
        """``pieces`` of a numeric column, 0: the number itself; ``positions``: (reg + D, width) added to the tokens, or None."""
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter | None:
            # A parameter without entries could never get a gradient.
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound)) if shape[0] else None

        num, cat = len(spec.numeric), len(spec.categorical)
        first = torch.tensor([0, *spec.cardinalities], dtype=torch.int64).cumsum(0)[:-1][:cat]
        self.num, self.columns = num, spec.width
        self.pieces = Pieces(spec, pieces) if pieces else None
        self.weight = drawn(num * max(pieces, 1), width)
        self.bias = nn.Parameter(torch.empty(spec.width, width).uniform_(-bound, bound))
        lacks = num > 0 and bool(spec.gaps)
        self.missing = nn.Parameter(torch.zeros(num, width)) if lacks else None
        self.table = drawn(sum(spec.cardinalities), width)
        if self.table is not None:
            self.table.data[first + 1] = 0.0
        self.reg = drawn(1, width) if reg else None
        self.register_buffer("offsets", first, persistent=False)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, rows: Rows) -> Tensor:
        """The tokens of ``rows``."""
        n = rows.n
        own = self.bias if self.positions is None else self.bias + self.positions[-self.columns :]
        parts: list[Tensor] = []
        if self.reg is not None:
            first = self.reg if self.positions is None else self.reg + self.positions[:1]
            parts.append(first.expand(n, 1, -1))
        if self.weight is not None:
            numeric = self._numeric(rows)
            if self.pieces is None:
                tokens = torch.addcmul(own[: self.num], numeric, self.weight)
            else:
                maps = self.weight.view(self.num, -1, self.weight.shape[1])
                tokens = torch.baddbmm(own[: self.num, None], numeric.transpose(0, 1), maps).transpose(0, 1)
            if self.missing is not None:
                tokens = tokens + rows.missing[:, :, None] * self.missing
            parts.append(tokens)
        if self.table is not None:
            parts.append(F.embedding(rows.codes + self.offsets, self.table) + own[self.num :])
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _numeric(self, rows: Rows) -> Tensor:
        """(n, num, 1) numbers, or (n, num, count) shares of pieces."""
        numeric = rows.numeric.to(self.bias.dtype)
        shares: Tensor = numeric[:, :, None] if self.pieces is None else self.pieces(numeric)
        return shares

    def total(self, rows: Rows, hidden: Tensor | None = None) -> Tensor:
        """(n, width): the sum of each row's column tokens; those of ``hidden`` (n, D) cells are left out."""
        shown = None if hidden is None else (~hidden).to(self.bias.dtype)
        out = self.bias.sum(0).expand(rows.n, -1) if shown is None else shown @ self.bias
        if self.weight is not None:
            numeric = self._numeric(rows)
            numeric = numeric if shown is None else numeric * shown[:, : self.num, None]
            out = torch.addmm(out, numeric.flatten(1), self.weight)
            if self.missing is not None:
                missing = rows.missing.to(self.bias.dtype)
                out = torch.addmm(out, missing if shown is None else missing * shown[:, : self.num], self.missing)
        if self.table is not None:
            weights = None if shown is None else shown[:, self.num :].contiguous()
            out = out + F.embedding_bag(rows.codes + self.offsets, self.table, mode="sum", per_sample_weights=weights)
        return out


def hidden_cells(view: View) -> Tensor | None:
    """(n, D) bool, the cells that ``view`` hides; None where it hides none by its mask."""
    mask = view.mask.get("cell")
    rows: Rows = view.data
    return None if mask is None else mask.view(rows.n, rows.num + rows.cat)


def mixed(x: Tensor, view: View) -> Tensor:
    """Embedding mixup (SAINT): row i becomes (1 - s_i) x_i + s_i x_p(i), s = ``params["mixup"]`` and p = ``params["partner"]``.

    ``x``: (n, ...) embeddings of the view's rows in order. Views without these parameters leave it as it is.
    """
    share = view.params.get("mixup")
    if share is None:
        return x
    weight = share.to(x.dtype).view(-1, *[1] * (x.ndim - 1))
    return torch.lerp(x, x[view.params["partner"]], weight)
