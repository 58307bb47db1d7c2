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

    writer: Any = SummaryWriter(str(logdir / name))
    try:
        for row in rows:
            step = round(100 * row.fraction)
            writer.add_scalar(f"eval/{row.task}/{row.metric}/{row.name}", row.mean, step)
            for control in row.controls:
                writer.add_scalar(f"eval/{row.task}/{row.metric}/{control.name}", control.mean, step)
    finally:
        writer.close()
