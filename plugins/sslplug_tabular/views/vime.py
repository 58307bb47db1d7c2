"""VIME's view (Yoon et al. 2020, NeurIPS): corrupted cells, to be found and to be put right.

    m_j ~ Bernoulli(p),  x~ = m xbar + (1 - m) x with xbar_j drawn from column j's marginal,  m' = 1[x~ != x]

The mask to predict is m', not m: a draw that hits the value it replaces corrupts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import Marginals, chance, changed, replaced, swap_rates
from sslplug_tabular.views.look import look
from sslplug_tabular.views.targets import cell_targets, mask_target


class VimeOptions(Options):
    """How much is corrupted."""

    rate: float = Field(0.3, ge=0, le=1, description="chance that a cell is redrawn")


@dataclass(frozen=True)
class Vime:
    """One corrupted view with the targets mask (every cell), numeric and categories (every cell that has a value)."""

    options: VimeOptions
    spec: TableSpec
    marginals: Marginals

    @property
    def rates(self) -> Mapping[str, float]:
        """Shares of entries that differ; fewer than are redrawn where values repeat."""
        return swap_rates(self.spec, self.options.rate)

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The view of ``batch``."""
        own = rng.fork("view", 0)
        cells = chance(batch, self.options.rate, own.fork("cells"))
        shown = replaced(batch, cells, self.marginals.draw(batch, own.fork("draws")))
        return [look(batch, shown, targets={**mask_target(changed(batch, shown)), **cell_targets(batch)})]


def build(options: VimeOptions, spec: TableSpec) -> Vime:
    """The component's build function."""
    return Vime(options, spec, Marginals(spec))
