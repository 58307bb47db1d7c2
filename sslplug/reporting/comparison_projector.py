"""The projector of a comparison: labelled embeddings of the best run of every domain, copied so that the log can be moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sslplug.reporting.comparison import Cell, Comparison, Entry
from sslplug.reporting.objective_view import better, model_of
from sslplug.reporting.runfolder import write_text


def write_projectors(folder: Path, comparison: Comparison) -> int:
    """One ``projector_config.pbtxt`` in ``folder`` with an embedding a plugin and data; returns how many there are.

    Of several entries on the same data the one with the best score counts whose first run left projector files
    (:func:`sslplug.reporting.tensorboard.write_projector`). Data without a labelled task has none.
    """
    (folder / "projector").mkdir(parents=True, exist_ok=True)
    parts = []
    for number, entry in enumerate(_chosen(comparison)):
        source = entry.runs[0] / "projector"
        for kind in ("tensors", "labels"):
            shutil.copyfile(source / f"{kind}.tsv", folder / "projector" / f"{number}-{kind}.tsv")
        name = f"{entry.plugin}, {entry.data}, {model_of(entry)}"
        parts.append(
            f"embeddings {{\n  tensor_name: {json.dumps(name)}\n"
            f'  tensor_path: "projector/{number}-tensors.tsv"\n  metadata_path: "projector/{number}-labels.tsv"\n}}\n'
        )
    if parts:
        write_text(folder / "projector_config.pbtxt", "".join(parts))
    return len(parts)


def _chosen(comparison: Comparison) -> list[Entry]:
    """The best entry with projector files of every plugin and data, in that order."""
    first: dict[str, Cell] = {}
    for cell in comparison.cells:
        first.setdefault(cell.entry, cell)
    found: dict[tuple[str, str], Entry] = {}
    for entry in comparison.entries:
        place = (entry.plugin, entry.data)
        if not all((entry.runs[0] / "projector" / f"{kind}.tsv").is_file() for kind in ("tensors", "labels")):
            continue
        mine, other = first.get(entry.name), first.get(found[place].name) if place in found else None
        if place not in found or (mine and (other is None or (other.task == mine.task and better(mine, other)))):
            found[place] = entry
    return [found[place] for place in sorted(found)]
