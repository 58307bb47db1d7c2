"""A comparison seen by objective: the model a cell speaks for, and the best cell of each on a task."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.reporting.comparison import Cell, Comparison, Entry

TREES = "LightGBM raw"
"""What boosted trees on raw features are called beside objectives."""


def model_of(entry: Entry) -> str:
    """The objective, or the method where it has none of its own choice."""
    return entry.objective or entry.method


def tasks(comparison: Comparison) -> tuple[str, ...]:
    """Every task, grouped by plugin, sorted."""
    return tuple(sorted({cell.task for cell in comparison.cells}))


def models(comparison: Comparison) -> tuple[str, ...]:
    """Every objective that has a cell, sorted."""
    named = {entry.name: entry for entry in comparison.entries}
    return tuple(sorted({model_of(named[cell.entry]) for cell in comparison.cells}))


def best_cells(comparison: Comparison) -> Mapping[tuple[str, str], Cell]:
    """{(task, objective): the cell with the best mean of the entries of this objective}."""
    named = {entry.name: entry for entry in comparison.entries}
    found: dict[tuple[str, str], Cell] = {}
    for cell in comparison.cells:
        place = (cell.task, model_of(named[cell.entry]))
        if place not in found or better(cell, found[place]):
            found[place] = cell
    return found


def best_cell(comparison: Comparison, task: str) -> Cell:
    """The best cell of a task. Raises KeyError without one."""
    mine = [cell for cell in comparison.cells if cell.task == task]
    if not mine:
        raise KeyError(task)
    found = mine[0]
    for cell in mine[1:]:
        found = cell if better(cell, found) else found
    return found


def better(one: Cell, other: Cell) -> bool:
    """Whether a cell's mean is strictly better than another's of the same task."""
    return one.mean > other.mean if one.higher_is_better else one.mean < other.mean


def trees_share(comparison: Comparison, task: str) -> tuple[float, Cell] | None:
    """Where LightGBM on raw features stands on the scale of :attr:`Cell.share`, and the cell whose scale it is.

    Entries start from untrained encoders of their own, so scales differ: the one of the task's best cell that has one counts.
    None where no cell has a scale and the trees' score.
    """
    found: Cell | None = None
    for cell in comparison.cells:
        known = cell.share is not None and cell.trees is not None and cell.untrained is not None and cell.best is not None
        if cell.task == task and known and cell.best != cell.untrained and (found is None or better(cell, found)):
            found = cell
    if found is None or found.trees is None or found.untrained is None or found.best is None:
        return None
    return (found.trees - found.untrained) / (found.best - found.untrained), found
