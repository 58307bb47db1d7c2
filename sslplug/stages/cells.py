"""Entries on their tasks: one cell each, with its interval, what stands beside it, and the share of the gap it closes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sslplug.evaluation.across import DIGITS
from sslplug.evaluation.bootstrap import bootstrap_interval
from sslplug.evaluation.paired import ALPHA
from sslplug.evaluation.score import Score
from sslplug.evaluation.statistics import Interval, pair
from sslplug.reporting.comparison import Cell, Entry
from sslplug.reporting.curve import BAR
from sslplug.reporting.table import ControlRow, TableRow
from sslplug.stages.entries import Group, first_rows


@dataclass(frozen=True)
class Placed:
    """A group as an entry of the comparison; ``rows`` {task's full name: the row its cell is made of}."""

    group: Group
    entry: Entry
    rows: Mapping[str, TableRow]


def placed(group: Group, entry: Entry) -> Placed:
    """A group with its tasks named as in the comparison."""
    return Placed(group, entry, {f"{entry.plugin}/{entry.data}/{task}": row for task, row in first_rows(group).items()})


def make_cells(found: Sequence[Placed]) -> list[Cell]:
    """A cell an entry and task, sorted by task and entry."""
    best = _best_known(found)
    data = defaultdict(set)
    for one in found:
        data[one.entry.plugin, one.group.recipe["data"]["name"]].add(one.entry.data)
    cells = []
    for one in found:
        apart = data[one.entry.plugin, one.group.recipe["data"]["name"]] - {one.entry.data}
        for task, row in one.rows.items():
            cells.append(_cell(one, task, row, best[task], sorted(apart)))
    return sorted(cells, key=lambda cell: (cell.task, cell.entry))


def scores_at(group: Group, row: TableRow, model: str, share: float | None = None) -> list[Score]:
    """A model's scores ("logistic on untrained") in a row's task and metric; ``share`` is the row's by default."""
    share = row.fraction if share is None else share
    return [
        score
        for score in group.scores
        if (score.task, score.metric, score.fraction) == (row.task, row.metric, share)
        and f"{score.probe} on {score.features}" == model
    ]


def _best_known(found: Sequence[Placed]) -> dict[str, float]:
    """{task: the best mean of every model that any entry was judged with, at the cells' share of labels}."""
    known: dict[str, list[float]] = defaultdict(list)
    higher = {}
    for one in found:
        for task, first in one.rows.items():
            higher[task] = first.higher_is_better
            for row in one.group.rows:
                if (row.task, row.metric, row.fraction) == (first.task, first.metric, first.fraction):
                    known[task] += [row.mean, *(control.mean for control in row.controls)]
    return {task: max(means) if higher[task] else min(means) for task, means in known.items()}


def _cell(one: Placed, task: str, row: TableRow, best: float, apart: Sequence[str]) -> Cell:
    own = scores_at(one.group, row, row.name)
    found, note = _interval(own)
    controls = {control.name: control for control in row.controls}
    untrained, trees = controls.get(f"{row.probe} on untrained"), controls.get(BAR)
    gap = None if untrained is None else round(best - untrained.mean, DIGITS)
    beside = scores_at(one.group, row, BAR)
    notes = [note]
    if untrained is None:
        notes.append("no untrained encoder was judged, so the share of the gap is unknown")
    elif not gap:
        notes.append("the untrained encoder is the best known: there is no gap to close")
    if row.fraction < 1 and row.labelled:
        notes.append(f"judged with {100 * row.fraction:g} % of the labels at most")
    if row.collapsed:
        notes.append("collapsed")
    if apart:
        notes.append(f"{' and '.join(apart)} are judged on other rows or otherwise, so they are other tasks")
    return Cell(
        task=task,
        entry=one.entry.name,
        metric=row.metric,
        higher_is_better=row.higher_is_better,
        mean=row.mean,
        low=found.low,
        high=found.high,
        n=found.n,
        untrained=None if untrained is None else untrained.mean,
        trees=None if trees is None else trees.mean,
        best=best,
        share=(row.mean - untrained.mean) / (best - untrained.mean) if untrained is not None and gap else None,
        outcome=_outcome(trees, row.higher_is_better),
        note="; ".join(filter(None, notes)),
        effect=_effect(own, beside, row.higher_is_better),
    )


def _interval(scores: Sequence[Score]) -> tuple[Interval, str]:
    """The interval over seeds, each averaged over its splits; over splits where there is one seed."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    for score in scores:
        by_seed[score.seed].append(score.value)
    if len(by_seed) > 1:
        return bootstrap_interval([float(np.mean(values)) for values in by_seed.values()])
    found, note = bootstrap_interval([score.value for score in scores])
    splits = f"one seed: the interval is over its {len(scores)} splits" if len(scores) > 1 else "one seed"
    return found, "; ".join(filter(None, [splits, note]))


def _outcome(trees: ControlRow | None, higher: bool) -> int | None:
    """Win, tie or loss against LightGBM, as the result table's corrected test says."""
    if trees is None or trees.p_holm is None or trees.difference is None:
        return None
    if trees.p_holm >= ALPHA or not trees.difference:
        return 0
    return 1 if (trees.difference > 0) == higher else -1


def _effect(own: Sequence[Score], other: Sequence[Score], higher: bool) -> float | None:
    """Cohen's d_z over splits (or seeds), positive where pretraining is better; None where nothing varies."""
    pairs = pair(own, other) if other else None
    if pairs is None:
        return None
    differences = pairs.observations()
    if len(differences) < 2 or np.ptp(differences) <= 1e-12:
        return None
    return float(differences.mean() / differences.std(ddof=1)) * (1.0 if higher else -1.0)
