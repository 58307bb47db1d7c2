"""What the data tells views and encoders about itself. Nothing here comes from a label, nor from a row that is held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sslplug_tabular.batch import Rows

REFERENCE_ROWS = 65_536
"""Most rows of ``TableSpec.reference``."""


@dataclass(frozen=True, eq=False)
class TableSpec:
    """Columns and marginals of a table.

    numeric        names of the numeric columns (numbers, ordinals, parts of dates), in the order of ``Rows.numeric``
    categorical    names of the categorical columns (words, booleans), in the order of ``Rows.codes``
    cardinalities  codes of each categorical column, with the two reserved ones (0 = missing, 1 = unseen or other)
    reference      at most 65,536 of the rows that training may see, on the CPU, drawn once by seed: the empirical marginals,
                   ranges and quantiles that views draw from
    gaps           whether numbers were missing in the rows an encoder is trained on, so that it has vectors for them; as in
                   ``reference`` unless given, which for new data is not what was trained on
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    cardinalities: tuple[int, ...]
    reference: Rows
    gaps: bool | None = None

    def __post_init__(self) -> None:
        if self.gaps is None:
            object.__setattr__(self, "gaps", bool(self.reference.missing.any()))

    @property
    def width(self) -> int:
        """D, the number of columns: numerics, then categoricals."""
        return len(self.numeric) + len(self.categorical)

    @cached_property
    def low(self) -> Tensor:
        """(num,) float32: the smallest scaled value of each numeric column in ``reference``; 0 where all are missing."""
        return self._extreme(torch.inf)

    @cached_property
    def high(self) -> Tensor:
        """(num,) float32: the largest scaled value of each numeric column in ``reference``; 0 where all are missing."""
        return self._extreme(-torch.inf)

    def _extreme(self, neutral: float) -> Tensor:
        values = torch.where(self.reference.missing, neutral, self.reference.numeric)
        found = values.amin(0) if neutral > 0 else values.amax(0)
        return torch.where(torch.isinf(found), 0.0, found)
