"""Label efficiency: what every model reaches with each share of the labels, as numbers for a plot and as a table to read."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from sslplug.reporting.drawing.chart import Line, Point, line_chart
from sslplug.reporting.drawing.svg import svg
from sslplug.reporting.runfolder import write_json, write_text
from sslplug.reporting.table import ControlRow, TableRow

BAR = "lightgbm on raw"
"""The control that pretraining must beat."""


def label_curve(rows: Sequence[TableRow]) -> list[dict[str, Any]]:
    """One point a task, model and share of labels: mean, 95 % interval (None with one observation) and n.

    Controls that several probes share are one curve. Sorted by task, metric, model and share.
    """
    points: dict[tuple[str, str, str, float], dict[str, Any]] = {}
    for row in rows:
        models: list[tuple[str, TableRow | ControlRow]] = [(row.name, row), *((one.name, one) for one in row.controls)]
        for name, found in models:
            points[row.task, row.metric, name, row.fraction] = {
                "task": row.task,
                "metric": row.metric,
                "higher_is_better": row.higher_is_better,
                "model": name,
                "labels": row.fraction,
                "mean": found.mean,
                "low": found.low,
                "high": found.high,
                "n": found.n,
            }
    return [points[place] for place in sorted(points)]


def markdown_curve(rows: Sequence[TableRow]) -> str:
    """A Markdown table a task and metric, one line a model and one column a share of the labels; "" with one share alone."""
    points = label_curve(rows)
    parts = []
    for task, metric in dict.fromkeys((point["task"], point["metric"]) for point in points):
        mine = [point for point in points if (point["task"], point["metric"]) == (task, metric)]
        shares = sorted({point["labels"] for point in mine})
        if len(shares) < 2:
            continue
        best = "larger is better" if mine[0]["higher_is_better"] else "smaller is better"
        lines = [
            f"{task}, {metric} by share of labels ({best}), mean [95 % interval]\n",
            "| model | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |",
            "|---|" + "--:|" * len(shares),
        ]
        for model in dict.fromkeys(point["model"] for point in mine):
            cells = {point["labels"]: _cell(point) for point in mine if point["model"] == model}
            lines.append(f"| {model} | " + " | ".join(cells.get(share, "") for share in shares) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def curve_pictures(rows: Sequence[TableRow], title: str = "") -> dict[str, str]:
    """{file name: SVG} of label efficiency, one a task and metric that was judged at several shares of the labels."""
    points = label_curve(rows)
    probes = {row.name for row in rows}
    found = {}
    for task, metric in dict.fromkeys((point["task"], point["metric"]) for point in points):
        mine = [point for point in points if (point["task"], point["metric"]) == (task, metric)]
        if len({point["labels"] for point in mine}) < 2:
            continue
        lines = [
            Line(
                model,
                tuple(Point(p["labels"], p["mean"], p["low"], p["high"]) for p in mine if p["model"] == model),
                strong=model in probes,
                band=model in probes or model == BAR,  # more bands than these hide each other
                bar=model == BAR,
            )
            for model in dict.fromkeys(point["model"] for point in mine)
        ]
        name = re.sub(r"[^\w.-]+", "_", f"labels-{task}-{metric}.svg")
        found[name] = svg(line_chart(lines, f"{title or task}, 95 % intervals", "share of the labels", metric))
    return found


def show_curve(rows: Sequence[TableRow], stream: TextIO | None = None) -> None:
    """Prints the tables of :func:`markdown_curve` where there are any."""
    text = markdown_curve(rows)
    if text:
        (stream or sys.stdout).write(f"\n{text}\n")


def write_curve(folder: Path, rows: Sequence[TableRow]) -> None:
    """``labels.json``, ``labels.md`` and a picture a task and metric in ``folder``, replaced whole.

    Nothing where one share of labels was judged.
    """
    text = markdown_curve(rows)
    if text:
        for name, picture in curve_pictures(rows).items():
            write_text(folder / name, picture)
        write_text(folder / "labels.md", text + "\n")
        write_json(folder / "labels.json", {"points": label_curve(rows)})


def _cell(point: dict[str, Any]) -> str:
    interval = "" if point["low"] is None else f" [{point['low']:.4f}, {point['high']:.4f}]"
    return f"{point['mean']:.4f}{interval}"
