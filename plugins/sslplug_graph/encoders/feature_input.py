"""The first linear map of an encoder: sparse features stay sparse, hidden nodes show a learnt token."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslplug.contracts import View
from sslplug_graph.batch import CsrMatrix, Features, GraphBatch, Structure
from sslplug_graph.pieces import by_pieces
from sslplug_graph.propagation import Operator, product

_PATTERNS: WeakKeyDictionary[CsrMatrix, Structure] = WeakKeyDictionary()


def _pattern(matrix: CsrMatrix) -> Structure:
    """The stored entries as edges from columns to rows, with the transpose's order cached. Independent of the values."""
    if matrix not in _PATTERNS:
        _PATTERNS[matrix] = Structure(torch.stack([matrix.col, matrix.row]), max(matrix.shape))
    return _PATTERNS[matrix]


def dropped_product(x: Features, weight: Tensor, rate: float) -> Tensor:
    """(n, d) = dropout(X) @ weight, entry by entry. Sparse storage draws for stored entries alone: a zero stays zero.

    Uses torch's global generator, as dropout in a network does. Rows that ``x.row_map`` repeats share their draw.
    """
    if isinstance(x.matrix, Tensor):
        return functional.dropout(x.dense(), rate).to(weight.dtype) @ weight
    values = functional.dropout(x.matrix.value, rate)
    scaled = weight if x.columns is None else weight * x.columns[:, None].to(weight.dtype)
    mapped = product(_pattern(x.matrix), values, scaled)
    mapped = mapped[: x.matrix.shape[0]] if x.row_map is None else mapped[x.row_map]
    return mapped if x.row_scale is None else mapped * x.row_scale[:, None].to(mapped.dtype)


class FeatureInput(nn.Module):
    """X~ W, or P X~ W for a propagation P: (N, F) -> (N, d). Hidden rows of X~ are ``token``, learnt from 0.

    Sparse X~ is never made dense: hidden rows of X W are replaced by token @ W. Narrow dense features are propagated before
    the product, which then needs no product with the transpose in the backward pass.
    """

    def __init__(self, num_features: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_features, width)))
        self.token = nn.Parameter(torch.zeros(num_features))
        self.dropout = dropout

    def forward(self, view: View, propagate: Operator | None = None, size: int | None = None) -> Tensor:
        """(N, d), ``size`` rows at a time or all at once."""
        batch: GraphBatch = view.data
        nodes, hidden = batch.num_nodes, view.mask.get("node")
        dropping = self.training and self.dropout > 0
        narrow = isinstance(batch.x.matrix, Tensor) and self.weight.shape[0] <= self.weight.shape[1]
        if propagate is not None and hidden is None and narrow and not dropping:
            dense = batch.x.dense().to(self.weight.dtype)
            return by_pieces(lambda start, stop: propagate.part(dense, start, stop) @ self.weight, nodes, size)
        token = None if hidden is None else functional.dropout(self.token, self.dropout, self.training) @ self.weight

        def mapped(start: int, stop: int) -> Tensor:
            x = batch.x.row_slice(start, stop)
            rows = dropped_product(x, self.weight, self.dropout) if dropping else x.matmul(self.weight)
            if hidden is None or token is None:
                return rows
            return torch.where(hidden[start:stop, None], token.to(rows.dtype), rows)

        rows = by_pieces(mapped, nodes, size)
        return rows if propagate is None else by_pieces(partial(propagate.part, rows), nodes, size)
