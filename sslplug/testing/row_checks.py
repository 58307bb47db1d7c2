"""Checks of ``rows()``: every row once, in the order in which tasks number them, clean, encoded by what may be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import Order, RankingTask, tasks_of
from sslplug.evaluation import embed
from sslplug.randomness import Rng
from sslplug.testing.leaves import differences, leaves, snapshot
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable


def rows_fixed(material: Material) -> str:
    """``rows()`` gives the same views in the same order every time, on a second build of the data too.

    Mend: go through the rows by number, and draw nothing.
    """
    first, second = snapshot(list(material.data.rows())), snapshot(list(material.again.rows()))
    changed = differences(first, second) + differences(second, first)
    return f"two passes over rows() differ at {', '.join(changed[:5])}; expected one fixed order." if changed else ""


def rows_complete(material: Material) -> str:
    """Every row of every task's level comes exactly once.

    Mend: yield each instance in one view of rows(), the remainder too.
    """
    counts = {level: len(rows) for level, rows in material.rows.own().items()}
    for level, numbers in _ids(material).items():
        twice = len(numbers) - len(torch.unique(numbers))
        if twice:
            return f"rows() names {twice} instances of level {level!r} twice; expected each once."
    for task in material.labelled.values():
        needed = len(task.labels) if task.members is None else int(task.members.max()) + 1
        have = counts.get(task.level, 0)
        if have < needed or (task.members is None and have != needed):
            return f"rows() and the encoder give {have} rows of level {task.level!r}; task {task.name!r} expected {needed}."
    for ranked in tasks_of(RankingTask, material.data.tasks).values():
        last = max(int(part.queries.max()) for part in ranked.parts.values() if len(part.queries))
        if counts.get(ranked.level, 0) != ranked.candidates or counts.get(ranked.query, 0) <= last:
            return (
                f"task {ranked.name!r} ranks {ranked.candidates} rows of level {ranked.level!r} for rows up to {last} of level "
                f"{ranked.query!r}; rows() and the encoder give {counts.get(ranked.level, 0)} and {counts.get(ranked.query, 0)}."
            )
    return ""


def rows_in_order(material: Material) -> str:
    """The ids of ``rows()`` ascend at the level of each task: label i belongs to embedding row i.

    Mend: yield instances by their number in the whole data, the number that labels and splits use.
    """
    ids = _ids(material)
    levels = {task.level for task in material.labelled.values() if task.members is None} | {material.data.level}
    named = sorted(level for level in levels if level in ids)
    if not named:
        raise NotApplicable("the views of rows() name no instances of a task's level.")
    for level in named:
        wrong = (ids[level].diff() <= 0).nonzero()
        if len(wrong):
            place = int(wrong[0])
            before, after = ids[level][place : place + 2].tolist()
            return f"rows(): after instance {before} of level {level!r} comes {after}; expected ascending numbers."
    return ""


def _ids(material: Material) -> dict[str, Tensor]:
    """{level: the ids of all views of rows(), joined}."""
    found: dict[str, list[Tensor]] = {}
    for view in material.clean:
        for level, numbers in view.ids.items():
            found.setdefault(level, []).append(numbers)
    return {level: torch.cat(parts) for level, parts in found.items()}


def rows_clean(material: Material) -> str:
    """Views of ``rows()`` hide nothing and carry no label.

    Mend: make them without masks and without the target "label": labels are for training batches that ask for them.
    """
    for number, view in enumerate(material.clean):
        if "label" in view.targets:
            return f"view {number} of rows() has the target 'label'; expected none."
        hidden = [level for level, mask in view.mask.items() if bool(mask.any())]
        if hidden:
            return f"view {number} of rows() hides rows of level {', '.join(hidden)}; expected nothing hidden."
    return ""


def embeddings_fixed(material: Material) -> str:
    """A row's embedding has the same bits whatever was embedded before: views from last to first give those from first to last.

    Mend: let an encoder remember nothing between calls; key what it caches by content, not by shape.
    """
    first = material.rows.lend()
    encoder = material.encoder(material.default.picked["encoder"].name)
    backwards = [embed(encoder, [view], "cpu") for view in reversed(material.clean)]
    for level, rows in first.items():
        second = np.concatenate([part[level] for part in reversed(backwards) if level in part])
        if not np.array_equal(rows, second):
            number = int(np.flatnonzero((rows != second).any(1))[0])
            return f"embedded from last to first, level {level!r} differs at row {number}; expected the same bits."
    return ""


def statistics(material: Material) -> str:
    """Columns are scaled by rows that training may see: rows that no batch holds take no part.

    Mend: fit scalers on the rows that batches hold, and apply them to the others.
    """
    level = material.data.level
    ids = _ids(material).get(level)
    seen = _trained_rows(material)
    if ids is None or seen is None:
        raise NotApplicable(f"views name no instances of level {level!r}.")
    allowed = torch.isin(ids, seen).numpy()
    if allowed.all() or not allowed.any():
        raise NotApplicable("every row is in a training batch, so every row may be looked at.")
    for path, table in _tables(material, level):
        what = _scaled_by_all(table, allowed)
        if what:
            return f"{path} of rows() {what} over all rows, {int((~allowed).sum())} of which no batch holds; expected it not to."
    return ""


def _trained_rows(material: Material) -> Tensor | None:
    """The ids of all instances that some batch of three epochs holds; None where views do not name them."""
    views = material.views(material.default.picked["views"].name)
    found = []
    for epoch in range(3):
        batches = material.data.batches(Order(0, epoch, batch_size=material.several))
        for step in range(len(batches)):
            for view in views(batches[step], Rng.root(0)):
                if material.data.level not in view.ids:
                    return None
                found.append(view.ids[material.data.level])
    return torch.cat(found)


def _tables(material: Material, level: str) -> Iterator[tuple[str, np.ndarray]]:
    """(path, (n, columns)) of what the views of rows() hold as one row of numbers an instance."""
    parts: dict[str, list[np.ndarray]] = {}
    views = [view for view in material.clean if level in view.ids]
    for view in views:
        for path, leaf in leaves(view.data):
            if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.shape[:1] == view.ids[level].shape:
                parts.setdefault(path, []).append(
                    leaf.flatten(1).double().numpy() if leaf.ndim > 1 else leaf[:, None].double().numpy()
                )
    for path, found in parts.items():
        if len(found) == len(views) and len({part.shape[1] for part in found}) == 1:
            yield path, np.concatenate(found)


def _scaled_by_all(table: np.ndarray, allowed: np.ndarray) -> str:
    """How all rows' statistics show in a table whose allowed rows' statistics do not; empty for not at all."""
    table = table[:, np.isfinite(table).all(0) & (table.std(0) > 1e-6)]
    if not table.shape[1]:
        return ""
    standard = (np.abs(table.mean(0)) < 1e-5) & (np.abs(table.std(0) - 1) < 1e-4)
    if standard.any() and (np.abs(table[allowed][:, standard].mean(0)) > 1e-3).any():
        return "has mean 0 and deviation 1"
    if np.allclose(table.min(0), 0, atol=1e-6) and np.allclose(table.max(0), 1, atol=1e-6):
        part = table[allowed]
        if (part.min(0) > 1e-3).any() or (part.max(0) < 1 - 1e-3).any():
            return "runs from 0 to 1 in every column"
    return ""


CHECKS: Mapping[str, Callable[[Material], str]] = {
    "rows-fixed": rows_fixed,
    "rows-complete": rows_complete,
    "rows-in-order": rows_in_order,
    "rows-clean": rows_clean,
    "embeddings-fixed": embeddings_fixed,
    "statistics": statistics,
}
