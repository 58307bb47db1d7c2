"""SCARF's views (Bahri et al. 2022, arXiv:2106.15147): the row, and the row with some cells drawn from their marginals.

I = floor(c D) columns of each row, drawn anew;    x~_j = column j of an independent training row if j in I, else x_j
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import Marginals, replaced, struck, swap_rates
from sslplug_tabular.views.look import look


class ScarfOptions(Options):
    """How much is corrupted."""

    rate: float = Field(0.6, ge=0, le=1, description="share of a row's cells that is redrawn")
    both: bool = Field(False, description="corrupt the first view too, by draws of its own")


@dataclass(frozen=True)
class Scarf:
    """The clean view and the corrupted one. Columns are drawn independently: a whole donor row would be CutMix."""

    options: ScarfOptions
    spec: TableSpec
    marginals: Marginals

    @property
    def count(self) -> int:
        """Cells redrawn in each row."""
        return int(self.options.rate * self.spec.width)

    @property
    def rates(self) -> Mapping[str, float]:
        """Shares of entries that differ; fewer than are redrawn where values repeat."""
        share = swap_rates(self.spec, self.count / self.spec.width)
        return {f"{view}/{what}": rate for view in range(self.first, 2) for what, rate in share.items()}

    @property
    def first(self) -> int:
        """The first view that is corrupted."""
        return 0 if self.options.both else 1

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The two views of ``batch``."""
        views = [look(batch)] * self.first
        for number in range(self.first, 2):
            own = rng.fork("view", number)
            cells = struck(batch, self.count, own.fork("cells"))
            views.append(look(batch, replaced(batch, cells, self.marginals.draw(batch, own.fork("draws")))))
        return views


def build(options: ScarfOptions, spec: TableSpec) -> Scarf:
    """The component's build function."""
    return Scarf(options, spec, Marginals(spec))
