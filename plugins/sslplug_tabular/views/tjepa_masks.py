"""T-JEPA's masks: which columns of a row the student sees, and which sets of other columns it must predict.

T-JEPA (Thimonier et al. 2024, arXiv:2410.05016). For a table of D columns and shares [a, b] and [c, d]:

    n_C uniform over round(a D)..round(b D),  n_T over round(c D)..round(d D),  drawn again until n_C + n_T <= D

Both counts hold for the whole batch, so that every row hides equally many cells; the columns are drawn row by row. Each target
set is drawn on its own from the columns outside the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Tags, Target, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.look import look

FEWEST_COLUMNS = 5


class TJepaMasksOptions(Options):
    """Shares of the columns, as T-JEPA publishes them for Jannis."""

    context: tuple[float, float] = Field(
        (0.136, 0.368), description="Smallest and largest share of columns the student sees."
    )
    target: tuple[float, float] = Field((0.156, 0.622), description="Smallest and largest share of columns in a target set.")
    sets: int = Field(4, ge=1, description="Target sets a row.")
    compat: bool = Field(
        False,
        description="Count as the published code does: [REG] is drawn like a column, the last column never (an off-by-one).",
    )


@dataclass(frozen=True)
class TJepaMasks:
    """Two views: role "target", nothing hidden; role "context" with ``mask["cell"]`` and the targets set0, set1, ...

    ``set<k>`` is Target("cell", columns (n * n_T,), rows (n * n_T,)): the rows of the level to predict, n_T for each row of the
    batch in its order, and their column numbers as values. [REG] is always seen and never a target.

    With ``compat``, masks count D positions of which the first is [REG] and the others are all columns but the last, which is
    neither seen nor predicted. ``mask["reg"]`` (n,) then says where [REG] is hidden, ``set<k>_reg`` is
    Target("reg", zeros, rows) for the rows whose k-th set holds [REG], and ``set<k>`` lacks as many cells.
    """

    options: TJepaMasksOptions
    columns: int

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Every (n_C, n_T) that may be drawn; equally likely, as drawing again makes the pairs that fit."""
        (low, high), (few, many) = (bounds(shares, self.columns) for shares in (self.options.context, self.options.target))
        return tuple((c, t) for c in range(low, high + 1) for t in range(few, many + 1) if c + t <= self.columns)

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of cells hidden from the student, on average over the counts."""
        seen = sum(c for c, _ in self.counts) / len(self.counts)
        if self.options.compat:  # one of the D positions is [REG]; the last column is always hidden
            seen *= (self.columns - 1) / self.columns
        return {"1/mask:cell": 1.0 - seen / self.columns}

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The teacher's and the student's view of ``batch``."""
        n, width = batch.n, self.columns
        whole = replace(look(batch), role="target")
        own = rng.fork("view", 1)
        contexts, wanted = self.counts[int(own.fork("counts").numpy().integers(len(self.counts)))]
        order = own.fork("context").uniform(batch.index, width).argsort(1)
        seen, others = order[:, :contexts], order[:, contexts:]
        keys = own.fork("targets").uniform(batch.index, self.options.sets * others.shape[1])
        picked = keys.view(n, self.options.sets, -1).argsort(2)[:, :, :wanted]
        sets = others[:, None, :].expand(-1, self.options.sets, -1).gather(2, picked)  # (n, sets, n_T) positions
        first = torch.arange(n, device=batch.device)[:, None] * width
        hidden = torch.ones(n, width, dtype=torch.bool, device=batch.device)
        hidden.scatter_(1, seen, False)
        masks, named = {"cell": hidden.flatten()}, dict(whole.targets)
        if self.options.compat:
            masks = {"cell": torch.roll(hidden, -1, 1).flatten(), "reg": hidden[:, 0]}
            masks["cell"][width - 1 :: width] = True
        for number in range(self.options.sets):
            positions = sets[:, number]
            if self.options.compat:
                named |= shifted(f"set{number}", positions, first)
            else:
                named[f"set{number}"] = Target("cell", positions.flatten(), (first + positions).flatten())
        return [whole, replace(whole, mask=masks, targets=named, role="context")]


def shifted(name: str, positions: Tensor, first: Tensor) -> dict[str, Target]:
    """A set of (n, n_T) positions of which 0 is [REG] and p is column p - 1; ``first`` (n, 1): each row's first cell."""
    reg = positions == 0
    rows = reg.any(1).nonzero().squeeze(1)
    columns = positions[~reg] - 1
    cells = (first + positions - 1)[~reg]
    return {name: Target("cell", columns, cells), f"{name}_reg": Target("reg", torch.zeros_like(rows), rows)}


def bounds(shares: tuple[float, float], columns: int) -> tuple[int, int]:
    """The smallest and largest count for ``shares`` of ``columns``."""
    return round(shares[0] * columns), round(shares[1] * columns)


def build(options: TJepaMasksOptions, spec: TableSpec) -> TJepaMasks:
    """The component's build function. UsageError where the table is too narrow for the shares, or the shares make no sense."""
    for what, shares in (("context", options.context), ("target", options.target)):
        if not 0.0 < shares[0] <= shares[1] <= 1.0:
            raise UsageError(f"views.{what} is {shares}; expected two shares of the columns, 0 < smallest <= largest <= 1.")
        if spec.width < FEWEST_COLUMNS or bounds(shares, spec.width)[0] < 1:
            raise UsageError(
                f"T-JEPA's masks: {spec.width} columns, of which views.{what} {shares} takes "
                f"{bounds(shares, spec.width)[0]} to {bounds(shares, spec.width)[1]}; expected at least {FEWEST_COLUMNS} "
                "columns and one in each set. Raise the shares, or choose another method for so narrow a table."
            )
    made = TJepaMasks(options, spec.width)
    if not made.counts:
        raise UsageError(
            f"T-JEPA's masks: no context of views.context {options.context} leaves room for a target set of views.target "
            f"{options.target} in {spec.width} columns; lower one of them."
        )
    return made


def provides(options: TJepaMasksOptions) -> Tags:
    """Masks and the target sets."""
    names = [f"set{number}" for number in range(options.sets)]
    regs = [f"{name}_reg" for name in names] if options.compat else []
    return frozenset({"masks", *(f"target:{name}" for name in (*names, *regs))})
