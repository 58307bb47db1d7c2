"""Numbers in pieces: the piecewise linear encoding (Gorishniy et al. 2022, arXiv:2203.05556, section 3.2).

    share_t = (x - e_t) / (e_t+1 - e_t), clipped to [0, 1]    for the pieces t between a column's edges e_0 < e_1 < ...

The first piece goes on below e_0 and the last one beyond the last edge, so that x = e_0 + sum_t share_t (e_t+1 - e_t) for every x.
A map of x is a straight line; a map of its shares bends at each edge, as a tree's splits do.

The edges are quantiles of a column's *different* values. The paper takes quantiles of its rows: a column that is 0 in nine of ten
rows (capital gains) then has nearly no edge where it says something.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sslplug_tabular.spec import TableSpec


class Pieces(nn.Module):
    """``pieces(x)``: (n, num) scaled numbers to (n, num, count) shares.

    A column of fewer different values has fewer pieces, the rest is 0; a constant column has none. The edges, (num, count + 1),
    are kept with the parameters: those of new data are not what was trained on.
    """

    edges: Tensor

    def __init__(self, spec: TableSpec, count: int) -> None:
        super().__init__()
        rows = spec.reference
        columns = (rows.numeric[~rows.missing[:, column], column] for column in range(len(spec.numeric)))
        edges = [_edges(values, count) for values in columns]
        self.register_buffer("edges", torch.stack(edges) if edges else torch.zeros(0, count + 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        real = high > low
        share = torch.where(real, (x[:, :, None] - low) / torch.where(real, high - low, 1.0), 0.0)
        share = torch.where(high == self.edges[:, -1:], share, share.clamp(max=1.0))
        return torch.cat([share[:, :, :1], share[:, :, 1:].clamp(min=0.0)], 2)


def _edges(values: Tensor, count: int) -> Tensor:
    """(count + 1,) ascending edges of one column's numbers (m,); the last one is repeated where there are fewer."""
    different = np.unique(values.double().numpy())
    if not len(different):
        return torch.zeros(count + 1)
    shares = np.linspace(0, 1, min(count, len(different) - 1) + 1)
    edges = torch.from_numpy(np.unique(np.quantile(different, shares).astype(np.float32)))
    return torch.cat([edges, edges[-1:].expand(count + 1 - len(edges))])
