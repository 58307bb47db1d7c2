"""Randomized quantization (Wu et al. 2023, arXiv:2212.08663) for tables: a channel is a column.

    edges e_1 < ... < e_{R-1} ~ U(low, high) a column and view;    x' = one random point of the bin that x lies in

The range is the column's among the reference rows: within one row a column has no range. Codes of categories are never touched,
nor are missing cells and constant columns. Values beyond the range fall into the outer bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.look import look


class QuantizeOptions(Options):
    """How coarse the quantization is."""

    regions: int = Field(8, ge=1, description="bins of each column, R")
    rate: float = Field(1.0, ge=0, le=1, description="chance that a column is quantized in a view")


@dataclass(frozen=True)
class Quantize:
    """Two views, each quantized by draws of its own."""

    options: QuantizeOptions
    spec: TableSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of numbers that change: those of columns that are quantized and not constant, where they are there."""
        if not self.spec.numeric:
            return {}
        varied = (~self.spec.reference.missing).float().mean(0) * (self.spec.low < self.spec.high)
        return {"change:numeric": self.options.rate * float(varied.mean())}

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The two views of ``batch``."""
        low, high = self.spec.low.to(batch.device), self.spec.high.to(batch.device)
        return [look(batch, self._quantized(batch, low, high, rng.fork("view", number))) for number in range(2)]

    def _quantized(self, batch: Rows, low: Tensor, high: Tensor, rng: Rng) -> Rows:
        if not batch.num:
            return batch
        column = torch.arange(batch.num, device=batch.device)
        points = quantized(
            batch.numeric.T.contiguous(),
            low,
            high,
            rng.fork("edges").uniform(column, self.options.regions - 1),
            rng.fork("points").uniform(column, self.options.regions),
        ).T
        chosen = (rng.fork("columns").uniform(column)[:, 0] < self.options.rate) & (low < high)
        return replace(batch, numeric=torch.where(chosen & ~batch.missing, points, batch.numeric))


def quantized(x: Tensor, low: Tensor, high: Tensor, edges: Tensor, points: Tensor) -> Tensor:
    """(c, n) values of c columns, each replaced by the point of its bin: R bins between ``low`` and ``high`` (c,).

    edges (c, R - 1) and points (c, R) are uniform in [0, 1): where the bins end, and where in its bin a point lies.
    O(c n log R).
    """
    span = (high - low)[:, None]
    inner = (low[:, None] + edges * span).sort(1).values
    start = torch.cat([low[:, None], inner], 1)
    stop = torch.cat([inner, high[:, None]], 1)
    return (start + points * (stop - start)).gather(1, torch.searchsorted(inner, x, right=True))


def build(options: QuantizeOptions, spec: TableSpec) -> Quantize:
    """The component's build function."""
    return Quantize(options, spec)
