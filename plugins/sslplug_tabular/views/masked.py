"""Masked cells (masked autoencoders, He et al. 2022; BERT): hide some cells of each row, and ask for their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.corruption import struck
from sslplug_tabular.views.look import look
from sslplug_tabular.views.targets import cell_targets


class MaskedOptions(Options):
    """How much is hidden."""

    rate: float = Field(0.5, ge=0, lt=1, description="share of a row's cells that is hidden, rounded to 1 .. D - 1 cells")


@dataclass(frozen=True)
class Masked:
    """One view with ``mask["cell"]`` and the hidden cells' values as targets numeric and categories.

    Every row hides as many cells, so that encoders can leave them out without an attention mask.
    """

    options: MaskedOptions
    columns: int

    @property
    def count(self) -> int:
        """Cells hidden in each row."""
        return min(max(round(self.options.rate * self.columns), 1), self.columns - 1) if self.options.rate else 0

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of cells hidden."""
        return {"mask:cell": self.count / self.columns}

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The view of ``batch``."""
        hidden = struck(batch, self.count, rng.fork("view", 0))
        return [look(batch, mask=hidden, targets=cell_targets(batch, hidden))]


def build(options: MaskedOptions, spec: TableSpec) -> Masked:
    """The component's build function. UsageError where there is nothing to predict from."""
    if spec.width < 2:
        raise UsageError(f"The table has {spec.width} column; masked cells are predicted from others: expected 2 or more.")
    return Masked(options, spec.width)
