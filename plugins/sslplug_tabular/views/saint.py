"""SAINT's views (Somepalli et al. 2021, arXiv:2106.01342): CutMix on cells and mixup on embeddings, beside the clean row.

    x' = m x_a + (1 - m) x, one donor row a a row, m ~ Bernoulli(cell_rate) a cell;    e' = (1 - s) E(x') + s E(x'_b)

Both rates say how much is changed. The published code's mixup coefficient is the share that is kept: its 0.3 is 0.7 here.
The embedding belongs to the encoder, so the view carries b and s as params "partner" and "mixup", which encoders apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import chance, partners, replaced, swap_rates
from sslplug_tabular.views.look import look
from sslplug_tabular.views.targets import cell_targets


class SaintOptions(Options):
    """How much is mixed."""

    cell_rate: float = Field(0.1, ge=0, le=1, description="chance that a cell is taken from the row's donor (CutMix)")
    mixup: float = Field(0.3, ge=0, le=1, description="share of another row's embedding in the mixture (mixup)")


@dataclass(frozen=True)
class Saint:
    """The mixed view, with the clean cells as targets numeric and categories, and the clean view."""

    options: SaintOptions
    spec: TableSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """Shares of entries of the mixed view that differ; fewer than are taken over where values repeat."""
        return {f"0/{what}": share for what, share in swap_rates(self.spec, self.options.cell_rate).items()}

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The mixed and the clean view of ``batch``."""
        own = rng.fork("view", 0)
        cells = chance(batch, self.options.cell_rate, own.fork("cells"))
        shown = replaced(batch, cells, _cells_of(batch, partners(batch, own.fork("donors"))))
        params = {}
        if self.options.mixup:
            share = torch.full((batch.n,), self.options.mixup, device=batch.device)
            params = {"mixup": share, "partner": partners(batch, own.fork("mixup"))}
        return [look(batch, shown, targets=cell_targets(batch), params=params), look(batch)]


def _cells_of(batch: Rows, rows: torch.Tensor) -> Rows:
    """The cells of ``rows``, without their numbers and labels."""
    return Rows(batch.numeric[rows], batch.missing[rows], batch.codes[rows], batch.index)


def build(options: SaintOptions, spec: TableSpec) -> Saint:
    """The component's build function."""
    return Saint(options, spec)
