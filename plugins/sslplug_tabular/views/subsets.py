"""SubTab's views (Ucar et al. 2021): a view a column subset, noisy, and each asked for the whole row.

The published code feeds every subset to the first inputs of one encoder, which cannot know the columns it sees. Here the
columns outside a subset are hidden, so that it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.column_subsets import SubsetLayout, hidden_in
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import Marginals, chance, replaced, swap_rates
from sslplug_tabular.views.look import look
from sslplug_tabular.views.targets import cell_targets


class SubsetsOptions(SubsetLayout):
    """Which columns are in which view, and how noisy they are."""

    swap: float = Field(0.3, ge=0, le=1, description="chance that a cell is redrawn from its column (swap noise)")


@dataclass(frozen=True)
class Subsets:
    """One view a subset, with the targets numeric and categories of the whole clean row."""

    options: SubsetsOptions
    spec: TableSpec
    hidden: Tensor
    marginals: Marginals

    @property
    def rates(self) -> Mapping[str, float]:
        """Columns hidden in each view, and entries that differ by swap noise (hidden ones among them)."""
        shares = {f"{number}/mask:cell": float(row.float().mean()) for number, row in enumerate(self.hidden)}
        swapped = swap_rates(self.spec, self.options.swap)
        return {**shares, **{f"{number}/{what}": r for number in range(len(self.hidden)) for what, r in swapped.items()}}

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        targets, views = cell_targets(batch), []
        for number, hidden in enumerate(self.hidden.to(batch.device)):
            own = rng.fork("view", number)
            shown = batch
            if self.options.swap:
                cells = chance(batch, self.options.swap, own.fork("cells"))
                shown = replaced(batch, cells, self.marginals.draw(batch, own.fork("draws")))
            views.append(look(batch, shown, hidden.expand(batch.n, -1), targets))
        return views


def build(options: SubsetsOptions, spec: TableSpec) -> Subsets:
    """The component's build function."""
    return Subsets(options, spec, hidden_in(options, spec.width), Marginals(spec))
