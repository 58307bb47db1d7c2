"""The comparison stage: judged runs below some folders, put side by side once, then printed and written wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from sslplug.errors import RunFolderError
from sslplug.evaluation.across import complete, rank_models
from sslplug.evaluation.judge import UNLABELLED
from sslplug.evaluation.pairwise import compare_pairs
from sslplug.evaluation.score import Score
from sslplug.evaluation.verdict import Candidate, judge_pretraining
from sslplug.evaluation.verdict_words import verdict_sentence
from sslplug.reporting.comparison import Cell, Comparison, Pair, Prediction, Ranking, Verdict
from sslplug.reporting.comparison_json import read_comparison
from sslplug.reporting.comparison_text import show_comparison
from sslplug.reporting.objective_view import TREES, best_cells, models, tasks
from sslplug.reporting.progress import say
from sslplug.stages.cells import Placed, make_cells, placed
from sslplug.stages.entries import Group, content, data_names, entry_of, group_runs
from sslplug.stages.gather import gather
from sslplug.stages.publish import Outputs, publish
from sslplug.stages.report import show_rows

PREDICTOR = "rankme"
"""The label-free diagnostic that is held against the downstream score."""

_FEWEST_POINTS = 3


def compare(places: Sequence[Path], outputs: Outputs) -> None:
    """Print a result table a recipe for all runs below ``places``, then what holds across recipes; write what ``outputs`` asks.

    Runs are seeds of one recipe where nothing but the seed differs; of two runs with one seed the newer counts. A single JSON
    file that an earlier call wrote stands for its runs.

    Raises RunFolderError when there is no judged run, and what :func:`sslplug.stages.publish.publish` raises.
    """
    if len(places) == 1 and places[0].is_file():
        comparison = read_comparison(places[0])
    else:
        groups, left_out = _groups(places)
        comparison = compared(groups, left_out)
        for group in groups:
            show_rows(group.rows, group.name, [run.record for run in group.runs])
    show_comparison(comparison)
    publish(comparison, outputs)


def compared(groups: Sequence[Group], left_out: Sequence[str] = ()) -> Comparison:
    """Everything that is said of some groups of runs, computed once."""
    found = [placed(group, entry_of(group, data)) for group, data in zip(groups, data_names(groups), strict=True)]
    cells = tuple(make_cells(found))
    plain = Comparison(
        entries=tuple(one.entry for one in found),
        cells=cells,
        ranking=None,
        verdicts=tuple(
            _verdict(task, [one for one in found if task in one.rows]) for task in sorted({c.task for c in cells})
        ),
        predictions=tuple(
            _prediction(task, [c for c in cells if c.task == task], found) for task in sorted({c.task for c in cells})
        ),
        against_trees=_against_trees(cells),
        left_out=tuple(left_out),
    )
    return replace(plain, ranking=_ranking(plain))


def _groups(places: Sequence[Path]) -> tuple[list[Group], list[str]]:
    """The groups of runs below ``places``; what is left out is said."""
    runs, left_out = gather(places)
    groups, replaced = group_runs(runs)
    for sentence in (*left_out, *replaced):
        say(sentence)
    if not groups:
        raise RunFolderError(
            f"No judged run below {', '.join(map(str, places))}; expected folders with scores in metrics.json."
        )
    return groups, [*left_out, *replaced]


def _against_trees(cells: Sequence[Cell]) -> dict[str, tuple[int, int, int]]:
    """{entry: (wins, ties, losses)} over the tasks on which it was tested against LightGBM on raw features."""
    found: dict[str, tuple[int, int, int]] = {}
    for entry in dict.fromkeys(cell.entry for cell in cells):
        outcomes = [cell.outcome for cell in cells if cell.entry == entry and cell.outcome is not None]
        if outcomes:
            found[entry] = (outcomes.count(1), outcomes.count(0), outcomes.count(-1))
    return found


def _ranking(comparison: Comparison) -> Ranking | None:
    """Objectives and LightGBM ranked over tasks; None where there are no two models with a common task."""
    best, places = best_cells(comparison), tasks(comparison)
    names = [*models(comparison), TREES]
    table, higher, gaps = np.full((len(places), len(names)), np.nan), [], np.full(len(places), np.nan)
    for number, task in enumerate(places):
        cells = [cell for cell in comparison.cells if cell.task == task]
        higher.append(cells[0].higher_is_better)
        starts = [cell.untrained for cell in cells if cell.untrained is not None]
        if starts and cells[0].best is not None:
            gaps[number] = abs(cells[0].best - float(np.mean(starts)))
        for column, model in enumerate(names[:-1]):
            if (task, model) in best:
                table[number, column] = best[task, model].mean
        trees = [cell.trees for cell in cells if cell.trees is not None]
        if trees:
            table[number, -1] = float(np.mean(trees))
    rows, columns = complete(~np.isnan(table), always=len(names) - 1)
    if len(columns) < 2:
        return None
    found = rank_models(table[np.ix_(rows, columns)], [higher[row] for row in rows])
    order = tuple(names[columns[position]] for position in found.order)
    pairs = compare_pairs(table, higher, gaps)
    return Ranking(
        models=order,
        mean_ranks=found.mean_ranks,
        tasks=tuple(places[row] for row in rows),
        p=found.p,
        difference=found.difference,
        groups=tuple(order[first : last + 1] for first, last in found.groups),
        note=" ".join(
            f"{said[0].upper()}{said[1:]}."
            for said in (found.note, *_cautions(comparison, [places[row] for row in rows], names, order))
            if said
        ),
        pairs=tuple(
            Pair(names[p.first], names[p.second], p.n, p.wins, p.ties, p.losses, p.effect, p.p, p.p_holm, p.note)
            for p in pairs
            if p.n
        ),
    )


def _cautions(comparison: Comparison, ranked: Sequence[str], names: Sequence[str], order: Sequence[str]) -> list[str]:
    """What a reader of the ranks should know."""
    found = []
    missing = [name for name in names if name not in order]
    if missing:
        found.append(f"not ranked, as they lack too many of these tasks: {', '.join(missing)}")
    data = {task.rpartition("/")[0] for task in ranked}
    if len(data) < len(ranked):
        found.append(f"{len(ranked)} tasks of {len(data)} data sets: tasks of one data set are not independent")
    counts: dict[str, int] = {}
    for cell in comparison.cells:
        counts[cell.task] = counts.get(cell.task, 0) + 1
    if sum(counts[task] for task in ranked) > len(best_cells(comparison)) and any(
        counts[t] > len(order) - 1 for t in ranked
    ):
        found.append("an objective with several entries on a task is ranked by the best of them")
    return found


def _prediction(task: str, cells: Sequence[Cell], found: Sequence[Placed]) -> Prediction:
    """Whether the label-free diagnostic orders a task's entries as their scores do."""
    entries = {one.entry.name: one.entry for one in found}
    points = tuple(
        (cell.entry, entries[cell.entry].diagnostics[PREDICTOR], cell.share)
        for cell in cells
        if cell.share is not None and PREDICTOR in entries[cell.entry].diagnostics
    )
    notes = []
    if len({_shape(one) for one in found if task in one.rows}) > 1:
        notes.append("encoders differ: the diagnostic compares encoders of one kind and width")
    if len(points) < _FEWEST_POINTS:
        return Prediction(PREDICTOR, task, points, None, None, "; ".join([f"{_FEWEST_POINTS} entries are needed", *notes]))
    seen, score = [point[1] for point in points], [point[2] for point in points]
    if len(set(seen)) < 2 or len(set(score)) < 2:
        return Prediction(PREDICTOR, task, points, None, None, "; ".join(["all entries have the same value", *notes]))
    result = stats.kendalltau(seen, score)
    return Prediction(PREDICTOR, task, points, float(result.statistic), float(result.pvalue), "; ".join(notes))


def _shape(one: Placed) -> str:
    return json.dumps(one.group.recipe["encoder"], sort_keys=True)


def _verdict(task: str, found: Sequence[Placed]) -> Verdict:
    """The verdict on one task's entries."""
    candidates = [_candidate(one, task) for one in found]
    finding = judge_pretraining(candidates)
    claim = finding.claim
    labelled = found[0].rows[task].probe not in UNLABELLED
    seconds = next(one.seconds for one in candidates if one.entry == claim.entry)
    return Verdict(
        task=task,
        entry=claim.entry,
        word=finding.word,
        size=claim.gain,
        labels=finding.labels if labelled else None,
        seconds=seconds,
        sentence=verdict_sentence(finding, candidates, labelled),
        low=claim.low,
        high=claim.high,
        control=claim.control,
    )


def _candidate(one: Placed, task: str) -> Candidate:
    """What the verdict's rule is told of an entry: its probe, the controls that need no pretraining, and other uses of it."""
    row = one.rows[task]
    scores: dict[str, list[Score]] = {}
    for score in one.group.scores:
        if (score.task, score.metric) == (row.task, row.metric):
            scores.setdefault(f"{score.probe} on {score.features}", []).append(score)
    controls = {
        name: tuple(v) for name, v in scores.items() if name == f"{row.probe} on untrained" or name.endswith(" on raw")
    }
    others = {
        name: tuple(v) for name, v in scores.items() if name.endswith((" on pretrained", " on both")) and name != row.name
    }
    return Candidate(
        one.entry.name,
        tuple(scores[row.name]),
        controls,
        others,
        one.entry.training_seconds,
        bool(one.entry.collapsed),
        json.dumps(
            {path: value for path, value in content(one.group.recipe).items() if path.startswith("data.")}, sort_keys=True
        ),
    )
