"""The result table: every number of a pretrained encoder beside its controls, and a sentence that calls a loss a loss."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

ALPHA = 0.05


@dataclass(frozen=True)
class ControlRow:
    """A control on the same test rows, and how the pretrained encoder compares with it.

    name             "logistic on untrained", "lightgbm on raw"
    mean, low, high  of the control; n observations
    difference       pretrained minus control in the metric's own unit, with its 95 % interval; None where not compared
    p_holm           Holm-corrected p value; None where no test was possible, ``note`` says why
    """

    name: str
    mean: float
    low: float | None
    high: float | None
    n: int
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_holm: float | None = None
    note: str = ""


@dataclass(frozen=True)
class TableRow:
    """One probe on pretrained features, with everything it must be read beside.

    fraction   share of the labels fitted with;  n  observations behind the mean
    published  the published number in the metric's own unit, where the recipe gives one
    collapsed  why the run counts as collapsed, or empty
    primary    the metric that the verdict is about; the others stand in a table of their own and are not tested
    labelled   whether anything was fitted on labels
    """

    task: str
    protocol: str
    probe: str
    metric: str
    fraction: float
    higher_is_better: bool
    mean: float
    low: float | None
    high: float | None
    n: int
    controls: tuple[ControlRow, ...] = ()
    published: float | None = None
    collapsed: str = ""
    primary: bool = True
    labelled: bool = True

    @property
    def name(self) -> str:
        """The row's own name, in the form of its controls' names."""
        return f"{self.probe} on pretrained"


def verdict(row: TableRow) -> str:
    """One sentence: what the pretrained encoder wins, loses and cannot be told from, each with its evidence."""
    groups: dict[str, list[str]] = {"wins against": [], "LOSES to": [], "cannot be told from": []}
    untested: dict[str, list[str]] = {}  # by reason: what holds for several controls is said once
    for control in row.controls:
        if control.difference is None:
            untested.setdefault(control.note or "not compared", []).append(control.name)
            continue
        better = control.difference > 0 if row.higher_is_better else control.difference < 0
        size = f"{abs(control.difference):.4f} {'better' if better else 'worse'}"
        size = size if round(control.difference, 4) else "equal"
        if control.p_holm is None:
            untested.setdefault(control.note or "no test possible", []).append(f"{control.name} ({size})")
        elif control.p_holm < ALPHA and control.difference:
            groups["wins against" if better else "LOSES to"].append(f"{control.name} ({size}, p {_p(control.p_holm)})")
        else:
            groups["cannot be told from"].append(f"{control.name} ({size}, p {_p(control.p_holm)})")
    parts = [f"{word} {' and '.join(names)}" for word, names in groups.items() if names]
    parts += [f"was not tested against {' and '.join(names)}: {reason}" for reason, names in untested.items()]
    said = "; ".join(parts) if parts else "stands without a control"
    collapsed = f" The run COLLAPSED: {row.collapsed.removeprefix('Collapsed: ').rstrip('.')}." if row.collapsed else ""
    where = f"{row.task} ({row.protocol}{f', {100 * row.fraction:g}% of labels' if row.labelled else ''})"
    return f"{where}: {row.name}, {row.metric} {row.mean:.4f}, {said}.{collapsed}"


def result_table(rows: Sequence[TableRow], title: str = "") -> Table:
    """A table with one block a row: the pretrained encoder, its controls, the published number."""
    table = Table(title=Text(title) if title else None, title_justify="left")
    for heading, right in (
        ("task", False), ("labels", True), ("features", False), ("metric", False), ("mean", True), ("95 % interval", False),
        ("n", True), ("pretrained minus this", False), ("p (Holm)", True),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        labels = f"{100 * row.fraction:g}%" if row.labelled else "-"
        head = (f"{row.task} ({row.protocol})", labels, row.name, row.metric)
        _add(table, (*head, f"{row.mean:.4f}", _interval(row.low, row.high), str(row.n), "", ""), bold=True)
        for control in row.controls:
            p = "-" if control.p_holm is None else _p(control.p_holm)
            mean = (f"{control.mean:.4f}", _interval(control.low, control.high), str(control.n))
            _add(table, ("", "", control.name, row.metric, *mean, _difference(control), p))
        if row.published is not None:
            _add(
                table,
                ("", "", "published", row.metric, f"{row.published:.4f}", "", "", f"{row.mean - row.published:+.4f}", ""),
            )
        table.add_section()
    return table


def further_table(rows: Sequence[TableRow]) -> Table:
    """Further metrics of one task, which are not tested: a line a model, a column a metric, what was published below."""
    table = Table(title=Text(f"{rows[0].task}, further metrics"), title_justify="left")
    table.add_column("features", overflow="fold")
    for row in rows:
        table.add_column(row.metric, justify="right", no_wrap=True)
    means = [{row.name: row.mean} | {control.name: control.mean for control in row.controls} for row in rows]
    for number, model in enumerate(dict.fromkeys(name for column in means for name in column)):
        cells = (f"{column[model]:.4f}" if model in column else "" for column in means)
        _add(table, (model, *cells), bold=not number)
    if any(row.published is not None for row in rows):
        _add(table, ("published", *("" if row.published is None else f"{row.published:.4f}" for row in rows)))
    return table


def show_table(rows: Sequence[TableRow], title: str = "", stream: TextIO | None = None) -> None:
    """Prints the table of primary metrics, one of further metrics a task that has any, then a verdict a row.

    Outside a terminal tables keep their full width.
    """
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=stream or sys.stdout, highlight=False, width=200)
    primary = [row for row in rows if row.primary]
    console.print(result_table(primary, title))
    for task in dict.fromkeys(row.task for row in rows if not row.primary):
        console.print(further_table([row for row in rows if row.task == task and not row.primary]))
    for row in primary:
        console.print(verdict(row), markup=False, soft_wrap=True)


def _add(table: Table, cells: Iterable[str], bold: bool = False) -> None:
    """Adds a row of literal text: brackets in it are no markup."""
    table.add_row(*(Text(cell) for cell in cells), style="bold" if bold else None)


def _interval(low: float | None, high: float | None) -> str:
    return "one observation" if low is None or high is None else f"[{low:.4f}, {high:.4f}]"


def _difference(control: ControlRow) -> str:
    if control.difference is None:
        return control.note or "not compared"
    interval = control.difference_low is not None and control.difference_high is not None
    return f"{control.difference:+.4f}" + (
        f" {_interval(control.difference_low, control.difference_high)}" if interval else ""
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
