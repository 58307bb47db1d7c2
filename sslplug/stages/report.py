"""What runs say: the result table of one recipe's seeds; and the state of this installation."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from sslplug import discovery
from sslplug.evaluation.judge import UNLABELLED, shown
from sslplug.evaluation.statistics import Summary, summarise
from sslplug.reporting.curve import show_curve
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import RunRecord, read_run
from sslplug.reporting.table import ControlRow, TableRow, show_table
from sslplug.stages.gather import scores_of


def show(folders: Sequence[Path], name: str = "") -> None:
    """Print the result table of runs of one recipe, seeds joined, controls beside them; ``name`` is the recipe's by default."""
    records = [read_run(folder) for folder in folders]
    rows = table_rows(records)
    if not rows:
        kept = ", ".join(str(folder / "embeddings.parquet") for folder in folders)
        say(f"The data has no task, so there is nothing to judge. The embeddings: {kept}")
        return
    show_rows(rows, name or f"{records[0].recipe['plugin']}/{records[0].recipe['name']}", records)


def show_rows(rows: Sequence[TableRow], name: str, records: Sequence[RunRecord]) -> None:
    """Print the result table of one recipe that :func:`table_rows` made, its label-efficiency tables and its verdicts."""
    seeds = sorted({int(record.recipe["seed"]) for record in records})
    data = ", ".join(sorted({str(record.metrics.get("data", {}).get("name", "unnamed")) for record in records}))
    which = f"seeds {seeds[0]}..{seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    show_table(rows, f"{name}, {which}, data {data}")
    show_curve(rows)
    if len(seeds) == 1 and any(row.controls and row.n > 1 for row in rows):
        say("One seed of pretraining: the claims hold for this encoder; --seeds N also shows how much the seed matters.")


def table_rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row for each task, probe, metric that is shown, and fraction of runs of one recipe; the primary metric first."""
    scores = [score for record in records for score in scores_of(record)]
    collapsed = "; ".join(sorted({str(r.metrics["collapsed"]) for r in records if r.metrics.get("collapsed")}))
    published = records[0].recipe.get("evaluate", {}).get("published", {})
    summaries = summarise(scores)
    metrics: dict[tuple[str, str, float], list[str]] = defaultdict(list)
    for summary in summaries:
        metrics[summary.task, summary.probe, summary.fraction].append(summary.metric)
    rows = []
    for summary in summaries:
        known = metrics[summary.task, summary.probe, summary.fraction]
        if summary.metric in shown(summary.probe, known):
            primary = summary.metric == known[0]
            said = published.get(f"{summary.task}/{summary.metric}", published.get(summary.task) if primary else None)
            row = _table_row(summary, collapsed, said if summary.fraction == 1.0 else None)
            rows.append(replace(row, primary=primary, labelled=summary.probe not in UNLABELLED))
    return rows


def doctor() -> list[str]:
    """Sentences about this installation: versions, devices, data root, plugins."""
    root = os.environ.get("SSLPLUG_DATA")
    lines = [
        f"sslplug {version('sslplug')}, Python {platform.python_version()}, torch {torch.__version__}",
        f"CUDA: {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no card; training runs on the CPU'}",
        f"CPU threads used by torch: {torch.get_num_threads()}",
        f"data root: {root}" if root else "data root: none; set SSLPLUG_DATA or --data-root to a folder with the datasets",
    ]
    if root and not Path(root).is_dir():
        lines.append(f"data root {root} is not a folder; named datasets will not be found")
    for status in discovery.status():
        lines.append(f"plugin {status.found.name}: {status.state}; {status.text} ({status.found.label})")
    return lines


def _table_row(summary: Summary, collapsed: str, published: float | None) -> TableRow:
    compared = {comparison.control: comparison for comparison in summary.comparisons}
    controls = []
    for name, interval in summary.controls.items():
        found = compared.get(name)
        controls.append(
            ControlRow(
                name,
                interval.mean,
                interval.low,
                interval.high,
                interval.n,
                None if found is None or not found.n else found.difference,
                None if found is None else found.low,
                None if found is None else found.high,
                None if found is None else found.p_holm,
                "" if found is None else found.note,
            )
        )
    return TableRow(
        summary.task,
        summary.protocol,
        summary.probe,
        summary.metric,
        summary.fraction,
        summary.higher_is_better,
        summary.mean,
        summary.low,
        summary.high,
        summary.n,
        tuple(controls),
        published,
        collapsed,
    )
