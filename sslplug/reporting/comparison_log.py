"""A comparison in TensorBoard: a table of hyper-parameters, curves with bands grouped by domain, pictures, embeddings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sslplug.reporting.comparison import Cell, Comparison
from sslplug.reporting.comparison_hparams import columns, scalar, session
from sslplug.reporting.comparison_projector import write_projectors
from sslplug.reporting.comparison_tables import task_sheet
from sslplug.reporting.curve import BAR, write_curve
from sslplug.reporting.drawing.raster import png
from sslplug.reporting.drawing.shapes import Drawing
from sslplug.reporting.markdown import markdown_table, plain
from sslplug.reporting.objective_view import TREES
from sslplug.reporting.pictures import first_probe, pictures
from sslplug.reporting.table import ControlRow, TableRow
from sslplug.reporting.whole_folder import replace_folder

SHOWN = 40
"""How many runs TensorBoard selects by itself."""

FOLDER = "comparison"
"""Where the log lies in the log directory: a folder of its own, so that the runs' own events may lie beside it."""


def write_tensorboard(logdir: Path, comparison: Comparison) -> int:
    """Writes ``logdir/comparison``, replacing what an earlier call wrote there; other files in ``logdir`` stay.

    One run an entry and task holds its row of the table and its label-efficiency curve ``labels/<task>/<metric>``, with the ends
    of the interval under ``interval/``; the run "LightGBM raw" holds the trees' curves under the same names, so that they are
    drawn together. The run "summary" holds the layout of custom scalars (a category a plugin, a chart with bands a task), the
    pictures and the verdicts. Steps count labels: percent, or finer where shares need it. Beside an entry's events lie its
    label curves as files (:func:`sslplug.reporting.curve.write_curve`).

    Returns how many runs TensorBoard will see: of more than :data:`SHOWN` it shows none until they are selected.
    Raises UsageError where ``logdir/comparison`` is somebody else's, RunFolderError where the disk refuses.
    """

    def fill(folder: Path) -> None:
        named = {entry.name: entry for entry in comparison.entries}
        unit = step_unit(comparison)
        names = _places(comparison)
        bars: dict[str, dict[float, ControlRow]] = {}
        for cell in comparison.cells:
            entry = named[cell.entry]
            rows = first_probe(entry, cell)
            _write(folder / names[cell.entry] / _slug(_last(cell.task)), [*session(entry, cell), *_curve(cell, rows, unit)])
            for row in rows:
                for control in row.controls:
                    found = bars.setdefault(_tag(cell), {})
                    if control.name == BAR and (row.fraction not in found or control.n > found[row.fraction].n):
                        found[row.fraction] = control
        _write(
            folder / TREES,
            [
                value
                for tag, found in bars.items()
                for share, one in found.items()
                for value in _point(tag, share, one, unit)
            ],
        )
        _write(
            folder / "summary", [*columns(comparison), *_layout(comparison, unit), *_words(comparison), *_images(comparison)]
        )
        write_projectors(folder / "summary", comparison)
        for entry in comparison.entries:
            (folder / names[entry.name]).mkdir(parents=True, exist_ok=True)
            write_curve(folder / names[entry.name], entry.rows)

    replace_folder(logdir / FOLDER, fill)
    return sum(1 for _ in (logdir / FOLDER).rglob("*.comparison"))


def step_unit(comparison: Comparison) -> int:
    """How many steps all labels are: 100, or the first further power of ten at which all shares have steps of their own."""
    shares = {row.fraction for entry in comparison.entries for row in entry.rows}
    unit = 100
    while unit < 10**9 and len({round(share * unit) for share in shares} - {0}) < len(shares):
        unit *= 10
    return unit


def _write(folder: Path, values: Sequence[tuple[int, Any]]) -> None:
    """An event file with (step, summary) in order; nothing where there is none."""
    from torch.utils.tensorboard import SummaryWriter

    if not values:
        return
    writer: Any = SummaryWriter(str(folder), filename_suffix=".comparison")
    try:
        for step, summary in values:
            writer.file_writer.add_summary(summary, step)
    finally:
        writer.close()


def _curve(cell: Cell, rows: Sequence[TableRow], unit: int) -> list[tuple[int, Any]]:
    return [value for row in rows for value in _point(_tag(cell), row.fraction, row, unit)]


def _point(tag: str, share: float, found: TableRow | ControlRow, unit: int) -> list[tuple[int, Any]]:
    """The mean and the ends of its interval, as a chart with bands needs them; one observation has a band of no width."""
    step = round(share * unit)
    low, high = (found.mean if end is None else end for end in (found.low, found.high))
    ends = {f"labels/{tag}": found.mean, f"interval/{tag}/low": low, f"interval/{tag}/high": high}
    return [(step, scalar(name, value)) for name, value in ends.items()]


def _layout(comparison: Comparison, unit: int) -> list[tuple[int, Any]]:
    """Custom scalars: a category a plugin, a chart with bands a task that was judged at several shares of the labels."""
    from torch.utils.tensorboard.summary import custom_scalars

    named = {entry.name: entry for entry in comparison.entries}
    layout: dict[str, dict[str, list[Any]]] = {}
    share = "%" if unit == 100 else f"1/{unit}"
    for cell in sorted(comparison.cells, key=lambda one: one.task):
        entry = named[cell.entry]
        if len(first_probe(entry, cell)) > 1:
            tag = _tag(cell)
            title = f"{entry.data}, {_last(cell.task)}: {cell.metric} by labels in {share} (no band: one observation)"
            layout.setdefault(entry.plugin, {})[title] = [
                "Margin",
                [f"labels/{tag}", f"interval/{tag}/low", f"interval/{tag}/high"],
            ]
    make: Any = custom_scalars
    return [(0, make(layout))] if layout else []


def _words(comparison: Comparison) -> list[tuple[int, Any]]:
    from torch.utils.tensorboard.summary import text

    make: Any = text
    said = "\n".join(f"- **{plain(one.task)}: {one.word}.** {plain(one.sentence)}" for one in comparison.verdicts)
    found = [(0, make("verdicts", said))] if said else []
    return [*found, (0, make("tasks", markdown_table(task_sheet(comparison))))] if comparison.cells else found


def _images(comparison: Comparison) -> list[tuple[int, Any]]:
    return [(0, _image(f"{one.part}/{one.name}", one.drawing)) for one in pictures(comparison)]


def _image(tag: str, drawing: Drawing) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    # TensorBoard shows pixels as they are, so one pixel of the drawing is one of the picture.
    size = {"width": math.ceil(drawing.width), "height": math.ceil(drawing.height), "colorspace": 3}
    picture = Summary.Image(**size, encoded_image_string=png(drawing, scale=1))
    return Summary(value=[Summary.Value(tag=tag, image=picture)])


def _places(comparison: Comparison) -> Mapping[str, str]:
    """{entry: its folder}: ``<plugin>/<recipe>`` and in what it differs; a number where two would be the same."""
    found: dict[str, str] = {}
    for entry in comparison.entries:
        recipe, _, apart = entry.name.removesuffix(")").partition(" (")
        place = "/".join(_slug(part) for part in recipe.split("/")) + (f",{_slug(apart)}" if apart else "")
        taken = sum(other == place or other.startswith(f"{place},no") for other in found.values())
        found[entry.name] = f"{place},no{taken + 1}" if taken else place
    return found


def _tag(cell: Cell) -> str:
    """``<plugin>/<data>/<task>/<metric>`` in letters that every part of TensorBoard takes literally."""
    return "/".join(_slug(part) for part in (*cell.task.split("/"), cell.metric))


def _slug(words: str) -> str:
    slug = re.sub(r"[^\w.=,+-]+", "_", words)
    return slug if slug.strip(".") else f"_{slug}"


def _last(task: str) -> str:
    return task.rpartition("/")[2]
