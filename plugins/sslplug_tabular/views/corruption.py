"""What corrupts cells: values of other rows in the same column. Every view that swaps values does it through this file.

A cell's draw depends on its row's number, not on the row's place in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec


class Marginals:
    """Independent draws from every column's empirical marginal: the values of ``spec.reference``, missing ones among them."""

    def __init__(self, spec: TableSpec) -> None:
        self.columns = spec.width
        self._reference = {torch.device("cpu"): spec.reference}

    def on(self, device: torch.device) -> Rows:
        """The reference rows on ``device``; copied once a device."""
        if device not in self._reference:
            self._reference[device] = self._reference[torch.device("cpu")].to(device)
        return self._reference[device]

    def draw(self, batch: Rows, rng: Rng) -> Rows:
        """``batch`` with every cell replaced by a draw of its own."""
        reference = self.on(batch.device)
        donor = (rng.uniform(batch.index, self.columns).double() * reference.n).long()
        numeric, codes = donor[:, : batch.num], donor[:, batch.num :]
        return replace(
            batch,
            numeric=reference.numeric.gather(0, numeric),
            missing=reference.missing.gather(0, numeric),
            codes=reference.codes.gather(0, codes),
        )


def struck(batch: Rows, count: int, rng: Rng) -> Tensor:
    """(n, D) bool with ``count`` cells of every row true."""
    keys = rng.uniform(batch.index, batch.num + batch.cat)
    picked = keys.topk(count, dim=1, sorted=False).indices
    return torch.zeros_like(keys, dtype=torch.bool).scatter_(1, picked, True)


def chance(batch: Rows, rate: float, rng: Rng) -> Tensor:
    """(n, D) bool, each cell true with probability ``rate``."""
    return rng.uniform(batch.index, batch.num + batch.cat) < rate


def replaced(batch: Rows, cells: Tensor, other: Rows) -> Rows:
    """``batch`` with the (n, D) ``cells`` taken from ``other``."""
    numeric, codes = cells[:, : batch.num], cells[:, batch.num :]
    return replace(
        batch,
        numeric=torch.where(numeric, other.numeric, batch.numeric),
        missing=torch.where(numeric, other.missing, batch.missing),
        codes=torch.where(codes, other.codes, batch.codes),
    )


def changed(before: Rows, after: Rows) -> Tensor:
    """(n, D) bool: the cells whose value differs."""
    numeric = (before.numeric != after.numeric) | (before.missing != after.missing)
    return torch.cat([numeric, before.codes != after.codes], 1)


def partners(batch: Rows, rng: Rng) -> Tensor:
    """(n,) int64: another row of the batch for each row, every row once (itself where the batch has one row)."""
    order = rng.uniform(batch.index)[:, 0].argsort()
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def swap_rates(spec: TableSpec, share: float) -> Mapping[str, float]:
    """The share of entries that differ when ``share`` of the cells are redrawn: a draw may hit the value that was there.

    By field, as the conformance kit measures it: {"change:numeric": ..., "change:codes": ...}.
    """
    reference = spec.reference
    fields = {"change:numeric": reference.numeric, "change:codes": reference.codes}
    return {
        name: share * (1.0 - sum(_repeat(column) for column in values.T) / values.shape[1])
        for name, values in fields.items()
        if values.shape[1]
    }


def _repeat(column: Tensor) -> float:
    """The chance that two draws from the column's values are equal."""
    counts = torch.unique(column, return_counts=True)[1].double()
    return float((counts / counts.sum()).square().sum())
