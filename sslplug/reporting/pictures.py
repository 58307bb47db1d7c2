"""The pictures of a comparison: which there are, and what each is drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sslplug.reporting.comparison import Cell, Comparison, Entry, Ranking
from sslplug.reporting.curve import BAR
from sslplug.reporting.drawing.chart import Line, Point, line_chart
from sslplug.reporting.drawing.critical_difference import rank_diagram
from sslplug.reporting.drawing.heat_map import Heat, heat_map
from sslplug.reporting.drawing.scatter import Cloud, scatter
from sslplug.reporting.drawing.shapes import Drawing
from sslplug.reporting.objective_view import TREES, best_cells, better, model_of, models, tasks, trees_share
from sslplug.reporting.table import ControlRow, TableRow

OUTCOMES = {1: "win", 0: "tie", -1: "loss"}
"""Against LightGBM on raw features."""

_MOST_LINES = 12


@dataclass(frozen=True)
class Picture:
    """A drawing, the part of the comparison it belongs to ("objectives", "ranks", "labels", "diagnostics"), and its caption."""

    name: str
    part: str
    drawing: Drawing
    caption: str


def pictures(comparison: Comparison) -> list[Picture]:
    """Every picture that the comparison has numbers for."""
    found = [*_heat(comparison), *_ranks(comparison)]
    for task in tasks(comparison):
        found += _labels(comparison, task)
    return [*found, *_predictions(comparison)]


def _heat(comparison: Comparison) -> list[Picture]:
    if not comparison.cells:
        return []
    best = best_cells(comparison)
    cells: dict[tuple[str, str], Heat] = {}
    for (task, model), cell in best.items():
        word = "" if cell.outcome is None else OUTCOMES[cell.outcome]
        cells[task, model] = Heat(cell.share, word if cell.share is not None else "no scale", _told(cell))
    for task in tasks(comparison):
        cells[task, TREES] = _trees(comparison, task)
    drawing = heat_map(
        tasks(comparison),
        (*models(comparison), TREES),
        cells,
        "Share of the gap closed between the untrained encoder and the best known, %",
        "no judged run of this objective on this task",
    )
    caption = (
        "0 is the untrained encoder, 100 the best of all runs, controls and LightGBM on this task; of several runs of an "
        "objective the best counts. The word is the outcome against LightGBM on raw features after correction. "
        "Hatched: no number; its tip says why."
    )
    return [Picture("heat-map", "objectives", drawing, caption)]


def _trees(comparison: Comparison, task: str) -> Heat:
    found = trees_share(comparison, task)
    if found is None:
        return Heat(None, "", "LightGBM on raw features was not judged on this task, or the gap is nil")
    share, cell = found
    return Heat(share, "", f"{cell.metric} {cell.trees:.4f}, on the scale of {cell.entry}")


def _told(cell: Cell) -> str:
    """One cell in words: what was measured, beside what, and why a number is missing."""
    interval = "" if cell.low is None or cell.high is None else f" [{cell.low:.4f}, {cell.high:.4f}]"
    known = (("untrained", cell.untrained), ("LightGBM raw", cell.trees), ("best known", cell.best))
    beside = ", ".join(f"{name} {value:.4f}" for name, value in known if value is not None)
    return f"{cell.entry}, {cell.metric} {cell.mean:.4f}{interval}, n {cell.n}; {beside}" + (
        f"; {cell.note}" if cell.note else ""
    )


def _ranks(comparison: Comparison) -> list[Picture]:
    ranking = comparison.ranking
    if ranking is None or not ranking.models:
        return []
    drawing = rank_diagram(ranking, f"Mean ranks over {tasks_text(ranking)}, best at the left")
    p = "" if ranking.p is None else f"Friedman's test: p {ranking.p:.3g}. "
    bars = "" if ranking.difference is None else "A bar joins models that Nemenyi's test cannot tell apart at 5 %. "
    caption = f"{p}{bars}{sentence(ranking.note)}"
    return [Picture("critical-difference", "ranks", drawing, caption.strip())]


def tasks_text(ranking: Ranking) -> str:
    """How many tasks a ranking is over."""
    return f"{len(ranking.tasks)} task{'' if len(ranking.tasks) == 1 else 's'}"


def sentence(note: str) -> str:
    """A note as a sentence of its own; "" stays.

    >>> sentence("one task allows no test"), sentence("")
    ('One task allows no test.', '')
    """
    return note and f"{note[0].upper()}{note[1:].rstrip('.')}."


def _labels(comparison: Comparison, task: str) -> list[Picture]:
    """Label efficiency of every entry on one task against LightGBM on raw features."""
    named = {entry.name: entry for entry in comparison.entries}
    cells: list[Cell] = []
    for cell in comparison.cells:  # the best first
        if cell.task == task:
            place = next((n for n, other in enumerate(cells) if better(cell, other)), len(cells))
            cells.insert(place, cell)
    lines: list[Line] = []
    bar: dict[float, ControlRow] = {}
    for cell in cells:
        rows = first_probe(named[cell.entry], cell)
        colour: int | None = models(comparison).index(model_of(named[cell.entry]))  # of an objective in every chart
        if colour in {line.colour for line in lines}:
            colour = None
        points = _points({row.fraction: row for row in rows})
        lines.append(Line(cell.entry, points, strong=not lines, band=not lines, colour=colour))
        for row in rows:
            for control in row.controls:
                if control.name == BAR and (row.fraction not in bar or control.n > bar[row.fraction].n):
                    bar[row.fraction] = control
    if not lines or len({point.x for line in lines for point in line.points}) < 2:
        return []
    shown = [*([Line(TREES, _points(bar), bar=True)] if bar else []), *lines[:_MOST_LINES]]
    drawing = line_chart(shown, f"{task}: {cells[0].metric} by share of the labels", "share of the labels", cells[0].metric)
    left = f" Drawn are the best {_MOST_LINES} of {len(lines)} entries." if len(lines) > _MOST_LINES else ""
    caption = (
        f"{'Larger' if cells[0].higher_is_better else 'Smaller'} is better. Bands are 95 % intervals of LightGBM and of the best "
        f"entry, cut at the axes; a dot's tip has each interval.{left}"
    )
    return [Picture(_slug(f"labels-{task}"), "labels", drawing, caption)]


def first_probe(entry: Entry, cell: Cell) -> list[TableRow]:
    """The rows of a cell's probe and metric at every share of the labels, least labels first."""
    mine = [
        row for row in entry.rows if cell.task == f"{entry.plugin}/{entry.data}/{row.task}" and row.metric == cell.metric
    ]
    return sorted((row for row in mine if row.probe == mine[0].probe), key=lambda row: row.fraction)


def _points(found: Mapping[float, TableRow | ControlRow]) -> tuple[Point, ...]:
    return tuple(Point(share, row.mean, row.low, row.high) for share, row in sorted(found.items()))


def _predictions(comparison: Comparison) -> list[Picture]:
    """A picture a diagnostic, a colour a task; RankMe first."""
    found = []
    names = dict.fromkeys(one.diagnostic for one in comparison.predictions if one.points)
    for name in sorted(names, key=lambda one: (one != "rankme", one)):
        mine = [one for one in comparison.predictions if one.diagnostic == name and one.points]
        clouds = [Cloud(f"{one.task}, {_tau(one.tau, one.p)}", one.points) for one in mine]
        label = {"rankme": "RankMe"}.get(name, name)
        drawing = scatter(clouds, f"Does {label} predict the score?", label, "share of the gap closed")
        caption = "One dot an entry. tau: Kendall's rank correlation within a task, 1 where both order the entries alike."
        found.append(Picture(_slug(f"predicts-{name}"), "diagnostics", drawing, caption))
    return found


def _tau(tau: float | None, p: float | None) -> str:
    if tau is None:
        return "tau unknown"
    return f"tau {tau:.2f}" + ("" if p is None else f" (p {p:.2g})")


def _slug(words: str) -> str:
    return re.sub(r"[^\w.-]+", "_", words)
