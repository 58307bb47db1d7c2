"""Runs side by side in TensorBoard: one sub-log a recipe, whose scalars are the result table's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslplug.reporting.table import TableRow


def write_comparison(logdir: Path, name: str, rows: Sequence[TableRow]) -> None:
    """``eval/<task>/<metric>/<probe on features>`` at step = percent of labels, under ``logdir/name``.

    Label fractions become a curve; every control is a curve of its own beside the pretrained encoder's.
    """
    from torch.utils.tensorboard import SummaryWriter

    # Several probes share a control: it is one point of one curve all the same.
    points: dict[tuple[str, int], float] = {}
    for row in rows:
        step = round(100 * row.fraction)
        points[f"eval/{row.task}/{row.metric}/{row.name}", step] = row.mean
        for control in row.controls:
            points[f"eval/{row.task}/{row.metric}/{control.name}", step] = control.mean
    writer: Any = SummaryWriter(str(logdir / name))
    try:
        for (tag, step), mean in points.items():
            writer.add_scalar(tag, mean, step)
    finally:
        writer.close()
