"""The form of a cell's prediction: a number, logits of its own column's codes, or the two logits of a mask.

Logits of all categorical columns share one width, the largest cardinality; places beyond a column's own codes hold a logit so
low that softmax gives them 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sslplug.contracts import View
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec


def own_codes(spec: TableSpec) -> Tensor:
    """(cat, K) bool: the codes a column has, K the largest cardinality."""
    return torch.arange(max(spec.cardinalities, default=0)) < torch.tensor(spec.cardinalities, dtype=torch.int64)[:, None]


def only_own(logits: Tensor, own: Tensor) -> Tensor:
    """(n, cat, K) logits with those of other columns' codes made impossible."""
    return logits.masked_fill(~own, torch.finfo(logits.dtype).min / 2)


def asked(view: View, grids: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From predictions for every cell, those that the view's targets ask for, in their order.

    grids  numeric (n, num), categories (n, cat, K), mask (n, D, 2), as far as there are any
    """
    rows: Rows = view.data
    width, found = rows.num + rows.cat, {}
    for name, grid in grids.items():
        if name not in view.targets:
            continue
        cells = view.targets[name].rows
        flat = grid.reshape(-1, 1) if name == "numeric" else grid.flatten(0, 1)
        if cells is not None:
            row, column = cells // width, cells % width
            flat = flat[row * grid.shape[1] + (column - rows.num if name == "categories" else column)]
        found[name] = flat
    return found
