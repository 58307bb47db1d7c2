"""A comparison in the terminal: objectives over tasks, ranks, LightGBM, RankMe, and a verdict a task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sslplug.reporting.comparison import Cell, Comparison
from sslplug.reporting.comparison_tables import (
    Field,
    Sheet,
    pair_sheet,
    prediction_sheet,
    rank_sheet,
    sheet,
    trees_sheet,
)
from sslplug.reporting.drawing.heat_map import percent
from sslplug.reporting.objective_view import TREES, best_cells, models, tasks
from sslplug.reporting.pictures import OUTCOMES

_WIDTH = 200
"""Columns of a text that is no terminal."""


def show_comparison(comparison: Comparison, stream: TextIO | None = None) -> None:
    """Prints what holds across recipes; of a single entry only its verdicts, as the rest needs two."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=stream or sys.stdout, highlight=False, width=_WIDTH)
    if len(comparison.entries) > 1:
        for found in (
            score_sheet(comparison),
            rank_sheet(comparison),
            _beside_trees(comparison),
            trees_sheet(comparison) if comparison.against_trees else None,
            _predicted(comparison),
        ):
            if found is not None:
                console.print(_table(found))
                console.print(found.note, markup=False, soft_wrap=True, end="\n\n" if found.note else "")
    for verdict in comparison.verdicts:
        console.print(f"{verdict.task}: {verdict.sentence}", markup=False, soft_wrap=True)


def score_sheet(comparison: Comparison) -> Sheet:
    """Objectives by task: the mean of an objective's best entry, the share of the gap it closes, and the outcome."""
    best, names = best_cells(comparison), models(comparison)
    columns = [("task", False), ("metric", False), *((name, True) for name in names), (TREES, True), ("untrained", True)]
    rows: list[tuple[Field | str, ...]] = []
    for task in tasks(comparison):
        cells = [cell for cell in comparison.cells if cell.task == task]
        metric = cells[0].metric if cells[0].higher_is_better else f"{cells[0].metric} (smaller is better)"
        beside = _range([cell.trees for cell in cells]), _range([cell.untrained for cell in cells])
        rows.append((task, metric, *(_score(best.get((task, name))) for name in names), *beside))
    note = (
        "Mean of the best entry of each objective; in brackets the share of the gap between its untrained encoder and the best "
        "known on the task that it closes; against LightGBM on raw features by the corrected test."
    )
    return sheet("Objectives by task", columns, rows, note)


def _range(values: Sequence[float | None]) -> str:
    """One figure, or the smallest and largest where entries have others: of other seeds, splits or encoders."""
    shown = sorted({f"{value:.4f}" for value in values if value is not None}, key=float)
    return "-" if not shown else shown[0] if len(shown) == 1 else f"{shown[0]}..{shown[-1]}"


def _score(cell: Cell | None) -> Field:
    if cell is None:
        return Field("-")
    share = "" if cell.share is None else f" ({percent(cell.share)} %)"
    return Field(f"{cell.mean:.4f}{share}" + ("" if cell.outcome is None else f" {OUTCOMES[cell.outcome]}"), cell.entry)


def _beside_trees(comparison: Comparison) -> Sheet | None:
    """Every objective beside LightGBM over tasks; the other pairs are for the page."""
    found = pair_sheet(comparison)
    if found is None or comparison.ranking is None or len(comparison.ranking.tasks) < 2:
        return None
    rows = tuple(row for row in found.rows if TREES in (row[0].text, row[1].text))
    return replace(found, title="Objectives and LightGBM over tasks", rows=rows) if rows else None


def _predicted(comparison: Comparison) -> Sheet | None:
    """Whether the diagnostics order entries as their scores do, on tasks where that can be said; None without any."""
    known = tuple(one for one in comparison.predictions if one.tau is not None)
    if not known:
        return None
    taus = [one.tau for one in known if one.tau is not None]
    note = (
        f"Kendall's tau of the entries of a task: above 0 on {sum(tau > 0 for tau in taus)} of {len(taus)} tasks with three "
        f"entries or more, {sum(taus) / len(taus):+.2f} on average."
    )
    return replace(prediction_sheet(replace(comparison, predictions=known)), note=note)


def _table(found: Sheet) -> Table:
    table = Table(title=Text(found.title), title_justify="left")
    for heading, number in zip(found.headings, found.numbers, strict=True):
        table.add_column(Text(heading), justify="right" if number else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*(Text(field.text, style="bold" if field.strong else "") for field in row))
    return table
