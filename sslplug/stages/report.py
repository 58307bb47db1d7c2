"""What runs say: the result table of one recipe's seeds, several runs side by side, and the state of this installation."""

from __future__ import annotations

import json
import os
import platform
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sslplug import discovery
from sslplug.errors import RunFolderError
from sslplug.evaluation import Score
from sslplug.evaluation.judge import UNLABELLED, shown
from sslplug.evaluation.statistics import Summary, summarise
from sslplug.reporting.comparison_log import write_comparison
from sslplug.reporting.curve import show_curve, write_curve
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import RunRecord, read_run
from sslplug.reporting.table import ControlRow, TableRow, show_table


def show(folders: Sequence[Path], name: str = "") -> None:
    """Print the result table of runs of one recipe, seeds joined, controls beside them; ``name`` is the recipe's by default."""
    records = [read_run(folder) for folder in folders]
    rows = table_rows(records)
    if not rows:
        kept = ", ".join(str(folder / "embeddings.parquet") for folder in folders)
        say(f"The data has no task, so there is nothing to judge. The embeddings: {kept}")
        return
    name = name or f"{records[0].recipe['plugin']}/{records[0].recipe['name']}"
    seeds = sorted({int(record.recipe["seed"]) for record in records})
    data = ", ".join(sorted({str(record.metrics.get("data", {}).get("name", "unnamed")) for record in records}))
    which = f"seeds {seeds[0]}..{seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    show_table(rows, f"{name}, {which}, data {data}")
    show_curve(rows)
    if len(seeds) == 1 and any(row.controls and row.n > 1 for row in rows):
        say("One seed of pretraining: the claims hold for this encoder; --seeds N also shows how much the seed matters.")


def table_rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row for each task, probe, metric that is shown, and fraction of runs of one recipe; the primary metric first."""
    scores = [score for record in records for score in _scores(record)]
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


def compare(runs: Sequence[Path], logdir: Path | None) -> None:
    """Print one table a recipe for all runs below the given folders; with ``logdir``, TensorBoard gets the same numbers.

    Runs are seeds of one recipe where nothing but the seed differs; of two runs with one seed the newer counts.
    Raises RunFolderError when there is no judged run.
    """
    records: list[RunRecord] = []
    for folder in sorted({found for run in runs for found in _runs_below(run)}):
        record = read_run(folder)
        if _scores(record):
            records.append(record)
        elif "scores" in record.metrics:
            say(f"{folder}: left out, its data has no task to judge.")
        else:
            say(f"{folder}: left out, it was not judged; `sslplug resume {folder}` goes on with it.")
    if not records:
        raise RunFolderError(
            f"No judged run below {', '.join(map(str, runs))}; expected folders with scores in metrics.json."
        )
    for name, members in _groups(records).items():
        show([record.path for record in members], name)
        if logdir is not None:
            recipe, _, apart = name.removesuffix(")").partition(" (")
            variant = re.sub(r"[^\w.=,+-]+", "_", apart)
            place = f"{recipe},{variant}" if variant else recipe
            write_comparison(logdir, place, table_rows(members))
            write_curve(logdir / place, table_rows(members))


def _groups(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs by recipe, one a seed. Recipes that share a name are told apart by what differs between them."""
    recipes: dict[str, dict[str, dict[int, RunRecord]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        seeds = recipes[f"{record.recipe['plugin']}/{record.recipe['name']}"][json.dumps(_content(record), sort_keys=True)]
        older = seeds.get(int(record.recipe["seed"]))
        if older is not None:
            say(f"{older.path}: left out, {record.path} is a newer run of the same recipe and seed.")
        seeds[int(record.recipe["seed"])] = record
    groups: dict[str, list[RunRecord]] = {}
    for name, variants in recipes.items():
        labels = _differences([json.loads(content) for content in variants])
        for label, seeds in zip(labels, variants.values(), strict=True):
            groups[f"{name} ({label})" if label else name] = list(seeds.values())
    return groups


def _content(record: RunRecord) -> dict[str, Any]:
    """{dotted path: value} of a recipe, but its seed, its line of meaning, and what others published."""
    return {
        path: value
        for path, value in _flat(record.recipe, "").items()
        if path not in ("seed", "about") and not path.startswith("evaluate.published")
    }


def _flat(value: object, path: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{path}.{key}" if path else str(key)).items()}
    return {path: value}


def _differences(contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is special about each of several recipes: its values of the options in which they differ; "" for one alone.

    Where another component was chosen, its name stands for all of its options.
    """
    paths = dict.fromkeys(path for content in contents for path in content)
    differing = [path for path in paths if len({json.dumps(content.get(path)) for content in contents}) > 1]
    chosen = {path.removesuffix(".name") for path in differing if path.endswith(".name")}
    shown = [p for p in differing if p.endswith(".name") or not any(p.startswith(f"{part}.") for part in chosen)]
    return [
        ", ".join(f"{path.removesuffix('.name')}={content[path]}" for path in shown if path in content)
        for content in contents
    ]


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
        return [
            Score(**{**row, "value": float(row["value"]), "without": _numbers(row.get("without", ()))})
            for row in record.metrics.get("scores", [])
        ]
    except (KeyError, TypeError, ValueError) as error:
        file = record.path / "metrics.json"
        raise RunFolderError(
            f"{file}: its scores cannot be read ({type(error).__name__}: {error}); "
            f"`sslplug evaluate {record.path}` writes them anew."
        ) from error


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    """Numbers that JSON holds as null where they are not finite."""
    return tuple(float("nan") if value is None else float(value) for value in values)


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
