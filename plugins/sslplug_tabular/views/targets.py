"""What a view asks to be predicted of its cells. A cell is r * D + c: column c of row r of the batch.

    numeric     Target("cell", (m, 1) float32, cells): the scaled values of numeric cells; mean squared error
    categories  Target("cell", (m,) int64, cells): the codes of categorical cells; cross-entropy among the column's own codes
    mask        Target("cell", (n D,) int64, None): 1 where a cell was corrupted; cross-entropy of two classes

Cells without a value are never asked for. A table without columns of a kind has an empty target of that kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sslplug.contracts import Target
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec


def cell_targets(clean: Rows, chosen: Tensor | None = None) -> dict[str, Target]:
    """The values in ``clean`` of the ``chosen`` (n, D) cells (all, when None) that have one."""
    width = clean.num + clean.cat
    first = torch.arange(0, clean.n * width, max(width, 1), device=clean.device)[:, None]
    known, present = ~clean.missing, clean.codes > 0
    if chosen is not None:
        known, present = known & chosen[:, : clean.num], present & chosen[:, clean.num :]
    column = torch.arange(width, device=clean.device)
    return {
        "numeric": Target("cell", clean.numeric[known][:, None], (first + column[: clean.num])[known]),
        "categories": Target("cell", clean.codes[present], (first + column[clean.num :])[present]),
    }


def mask_target(cells: Tensor) -> dict[str, Target]:
    """Which of the (n, D) cells were corrupted."""
    return {"mask": Target("cell", cells.flatten().long())}


def outputs(options: Any, spec: TableSpec) -> Mapping[str, int]:
    """Widths of predictions: one number, logits of the column with most codes."""
    return {"numeric": 1, "categories": max(spec.cardinalities, default=1)}


def outputs_with_mask(options: Any, spec: TableSpec) -> Mapping[str, int]:
    """The same, and the two classes of a mask."""
    return {**outputs(options, spec), "mask": 2}
