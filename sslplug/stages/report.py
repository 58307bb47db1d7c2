"""What runs say: the result table of one recipe's seeds, several runs side by side, and the state of this installation."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from sslplug import discovery
from sslplug.errors import RunFolderError
from sslplug.evaluation import Score
from sslplug.evaluation.statistics import Summary, summarise
from sslplug.reporting.comparison import write_comparison
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import RunRecord, read_run
from sslplug.reporting.table import ControlRow, TableRow, show_table


def show(folders: Sequence[Path]) -> None:
    """Print the result table of runs of one recipe, seeds joined, controls beside them."""
    records = [read_run(folder) for folder in folders]
    rows = table_rows(records)
    title = ", ".join(sorted({f"{r.recipe['plugin']}/{r.recipe['name']}" for r in records}))
    seeds = sorted({int(record.recipe["seed"]) for record in records})
    show_table(rows, f"{title}, seeds {seeds[0]}..{seeds[-1]}" if len(seeds) > 1 else f"{title}, seed {seeds[0]}")


def table_rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row for each task, probe, primary metric and fraction of runs of one recipe."""
    scores = [score for record in records for score in _scores(record)]
    collapsed = "; ".join(sorted({str(r.metrics["collapsed"]) for r in records if r.metrics.get("collapsed")}))
    published = records[0].recipe.get("evaluate", {}).get("published", {})
    first_metric: dict[tuple[str, str, float], str] = {}
    rows = []
    for summary in summarise(scores):
        place = (summary.task, summary.probe, summary.fraction)
        if first_metric.setdefault(place, summary.metric) == summary.metric:
            rows.append(_table_row(summary, collapsed, published.get(summary.task) if summary.fraction == 1.0 else None))
    return rows


def compare(runs: Sequence[Path], logdir: Path | None) -> None:
    """Print one table a recipe for all runs below the given folders; with ``logdir``, TensorBoard gets the same numbers.

    Raises RunFolderError when there is no finished run.
    """
    folders = sorted({found for run in runs for found in _runs_below(run)})
    groups: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        record = read_run(folder)
        if not _scores(record):
            say(f"{folder}: left out, it was not judged; `sslplug resume {folder}` goes on with it.")
            continue
        groups[f"{record.recipe['plugin']}/{record.recipe['name']}"].append(folder)
    if not groups:
        raise RunFolderError(
            f"No judged run below {', '.join(map(str, runs))}; expected folders with scores in metrics.json."
        )
    for name, members in groups.items():
        show(members)
        if logdir is not None:
            write_comparison(logdir, name, table_rows([read_run(folder) for folder in members]))


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


def _runs_below(path: Path) -> list[Path]:
    if not path.is_dir():
        raise RunFolderError(f"{path}: there is no such folder; give run folders, or a folder with runs below it.")
    return [file.parent for file in path.rglob("metrics.json") if (file.parent / "recipe.yaml").is_file()]


def _scores(record: RunRecord) -> list[Score]:
    """The run's scores; none where it was not judged. RunFolderError where they are not what this version writes."""
    try:
        return [Score(**{**row, "value": float(row["value"])}) for row in record.metrics.get("scores", [])]
    except (KeyError, TypeError, ValueError) as error:
        file = record.path / "metrics.json"
        raise RunFolderError(
            f"{file}: its scores cannot be read ({type(error).__name__}: {error}); "
            f"`sslplug evaluate {record.path}` writes them anew."
        ) from error


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
