"""Checks of data: batches are pure functions of their order, rows are complete and in order, tasks do not leak."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sslplug.contracts import Order, RankingTask, Task, tasks_of
from sslplug.errors import SslplugError
from sslplug.testing.leaves import differences, leaves, snapshot
from sslplug.testing.material import Material, NotApplicable


def batches_pure(material: Material) -> str:
    """``batches(order)[step]`` is the same whenever and wherever it is asked for."""
    order = Order(seed=5, epoch=1, batch_size=_small(material))
    batches, again = material.data.batches(order), material.new_data().batches(order)
    steps = range(len(batches))
    forward = [snapshot(batches[step]) for step in steps]
    for step in reversed(steps):
        changed = differences(forward[step], snapshot(again[step]))
        if changed:
            where = ", ".join(changed[:5])
            return f"batch {step} differs at {where} when asked for in another order; draw from (order, step) alone."
    return ""


def batches_own_memory(material: Material) -> str:
    """A caller that edits a batch changes no other batch, unless the plugin claims that its batches are shared and frozen."""
    if "shared-batches" in material.plugin.traits:
        raise NotApplicable("the plugin's trait shared-batches says that batches share memory and nobody writes into them.")
    order = Order(seed=5, epoch=0, batch_size=_small(material))
    data = material.new_data()
    before = snapshot(data.batches(order)[0])
    for _, leaf in leaves(data.batches(order)[0]):
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel():
            leaf.add_(1.0)
    changed = differences(before, snapshot(data.batches(order)[0]))
    return f"editing a batch changed the data at {', '.join(changed)}; hand out copies." if changed else ""


def ranks_join(material: Material) -> str:
    """The shares of two ranks are the one-process batch, and both ranks count the same steps."""
    size = _small(material)
    whole = material.data.batches(Order(0, 0, batch_size=size))
    try:
        shares = [material.data.batches(Order(0, 0, rank, 2, size)) for rank in range(2)]
    except SslplugError as error:
        raise NotApplicable(f"this data is not shared over ranks: {error}") from error
    if len({len(whole), *map(len, shares)}) > 1:
        return f"one process has {len(whole)} steps, two ranks have {[len(s) for s in shares]}; they must be equal."
    for step in range(len(whole)):
        joined = _instances(whole[step])
        parts = [_instances(share[step]) for share in shares]
        for path, values in joined.items():
            both = torch.cat([part[path] for part in parts])
            if len(both) == len(values) and not torch.equal(both.sort().values, values.sort().values):
                return f"step {step}: the ranks' {path} joined are not those of the one-process batch."
            if len(both) < len(values):
                return (
                    f"step {step}: two ranks hold {len(both)} {path}, the one-process batch {len(values)}; none may be lost."
                )
    return ""


def _instances(batch: Any) -> dict[str, Tensor]:
    """The batch's whole-number vectors: among them the numbers of its instances."""
    found = dict(leaves(batch))
    return {path: v for path, v in found.items() if isinstance(v, Tensor) and v.dtype == torch.int64 and v.ndim == 1}


def _small(material: Material) -> int:
    """A batch size that leaves several steps, where the task's data is large enough; 0 (all) where it is not shared out.

    Without a labelled task that tells how many rows there are, the default recipe's own.
    """
    labelled = tasks_of(Task, material.data.tasks).values()
    rows = max((len(task.labels) for task in labelled if task.members is None), default=0)
    size = max(2, rows // 8 * 2) if rows else material.batch_size // 2 * 2
    try:
        material.data.batches(Order(0, 0, batch_size=size))[0]
    except SslplugError:
        return 0
    return size


def no_label_in_batches(material: Material) -> str:
    """Without Order.labels no vector of a batch tells the classes."""
    batch = dict(leaves(material.batch()))
    for task in tasks_of(Task, material.data.tasks).values():
        if task.kind != "classification":
            continue
        for path, leaf in batch.items():
            if not isinstance(leaf, Tensor) or leaf.is_floating_point() or leaf.ndim != 1 or len(leaf) != len(task.labels):
                continue
            for other in batch.values():
                if isinstance(other, Tensor) and other.dtype == torch.int64 and other.shape == leaf.shape:
                    order = other.numpy()
                    known = order.min() >= 0 and order.max() < len(task.labels)
                    if known and len(np.unique(order)) == len(order) and _tells(leaf.numpy(), task.labels[order]):
                        found = f"batch{path} holds the labels of task {task.name!r}"
                        return f"{found} though Order.labels is None; leave them out."
    return ""


def _tells(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the values are the classes under other names."""
    pairs = {(int(v), int(c)) for v, c in zip(values, labels, strict=True)}
    return 1 < len(pairs) == len({v for v, _ in pairs}) == len({c for _, c in pairs}) < len(values)


def rows_fixed(material: Material) -> str:
    """``rows()`` gives the same views in the same order every time, on a second build of the data too."""
    first, second = snapshot(list(material.data.rows())), snapshot(list(material.new_data().rows()))
    changed = differences(first, second) + differences(second, first)
    return f"two passes over rows() differ at {', '.join(changed[:5])}; keep one fixed order." if changed else ""


def rows_complete(material: Material) -> str:
    """Every row of every task's level comes exactly once."""
    counts: dict[str, int] = {}
    ids: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for view in material.data.rows():
            for level, rows in material.default_encoder(view).levels.items():
                counts[level] = counts.get(level, 0) + len(rows)
            for level, numbers in view.ids.items():
                ids.setdefault(level, []).append(numbers)
    for level, parts in ids.items():
        numbers = torch.cat(parts)
        twice = len(numbers) - len(set(numbers.tolist()))
        if twice:
            return f"rows() names {twice} instances of level {level!r} twice."
    for task in tasks_of(Task, material.data.tasks).values():
        needed = len(task.labels) if task.members is None else int(task.members.max()) + 1
        have = counts.get(task.level, 0)
        if have < needed or (task.members is None and have != needed):
            return f"task {task.name!r} needs {needed} rows of level {task.level!r}, rows() and the encoder give {have}."
    for ranked in tasks_of(RankingTask, material.data.tasks).values():
        last = max(int(part.queries.max()) for part in ranked.parts.values() if len(part.queries))
        if counts.get(ranked.level, 0) != ranked.candidates or counts.get(ranked.query, 0) <= last:
            return (
                f"task {ranked.name!r} ranks {ranked.candidates} rows of level {ranked.level!r} for rows up to {last} of level "
                f"{ranked.query!r}; rows() and the encoder give {counts.get(ranked.level, 0)} and {counts.get(ranked.query, 0)}."
            )
    return ""


def splits(material: Material) -> str:
    """Tasks are named as their keys say, and keep what ``Task`` demands: disjoint parts, groups on one side."""
    if not material.data.tasks:
        raise NotApplicable("this data has no task.")
    for name, task in material.data.tasks.items():
        if task.name != name:
            return f"tasks[{name!r}] is called {task.name!r}; use one name."
        replace(task)  # the constructor checks the splits once more
    return ""


def raw_features(material: Material) -> str:
    """Never infinite, one row a row of the level, codes in categorical columns, the same every time, and blind to labels."""
    for task in tasks_of(Task, material.data.tasks).values():
        raw = material.data.raw_features(task)
        features = raw.values
        instances = len(task.labels) if task.members is None else int(task.members.max()) + 1
        if features.ndim != 2 or (features.shape[0] != instances if task.members is None else features.shape[0] < instances):
            return f"raw_features({task.name!r}) is {features.shape}; expected ({instances}, f)."
        if np.isinf(_numbers(features)).any():
            return f"raw_features({task.name!r}) holds an infinity; give NaN for a missing value and finite numbers else."
        for column in raw.categorical:
            codes = np.asarray(features[:, column])
            if not (np.isnan(codes) | ((codes >= 0) & (codes == np.round(codes)))).all():
                return f"raw_features({task.name!r}): column {column} is categorical but holds other values than codes 0, 1, ..."
        if not np.array_equal(
            _numbers(features), _numbers(material.new_data().raw_features(_shuffled(task)).values), equal_nan=True
        ):
            return f"raw_features({task.name!r}) changes when the labels are shuffled; features may not look at labels."
    return ""


def _numbers(features: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """The stored numbers."""
    return features.data if isinstance(features, sparse.csr_matrix) else features


def _shuffled(task: Task) -> Task:
    """The task with its usable labels in another order."""
    known = np.isfinite(task.labels) if task.labels.dtype.kind == "f" else task.labels >= 0
    labels = task.labels.copy()
    labels[known] = np.random.Generator(np.random.Philox(key=1)).permutation(labels[known])
    return replace(task, labels=labels)


def description(material: Material) -> str:
    """The record is plain data with the sha256 of the content."""
    try:
        json.dumps(dict(material.data.description))
    except TypeError as error:
        return f"description is not plain data: {error}."
    sha = material.data.description.get("sha256")
    return "" if isinstance(sha, str) and sha else f"description['sha256'] is {sha!r}; give the hash of the data's content."


def fitted(material: Material) -> str:
    """What was fitted is plain JSON, and encodes the same rows to the same views when it is handed back."""
    try:
        kept = json.loads(json.dumps(dict(material.data.fitted), allow_nan=False))
    except (TypeError, ValueError) as error:
        return f"fitted is not JSON: {error}; give plain finite numbers, words, lists and dicts."
    if not kept:
        raise NotApplicable("this data fits nothing.")
    again = material.new_data(kept)
    first, second = snapshot(list(material.data.rows())), snapshot(list(again.rows()))
    changed = differences(first, second) + differences(second, first)
    if changed:
        return f"rows() encoded by DataContext.fitted differ at {', '.join(changed[:5])}; fit nothing where it is given."
    return (
        "" if json.loads(json.dumps(dict(again.fitted))) == kept else "data built by fitted has another fitted; hand it on."
    )


CHECKS: Mapping[str, Callable[[Material], str]] = {
    "batches-pure": batches_pure,
    "batches-own-memory": batches_own_memory,
    "ranks-join": ranks_join,
    "no-label-in-batches": no_label_in_batches,
    "rows-fixed": rows_fixed,
    "rows-complete": rows_complete,
    "splits": splits,
    "raw-features": raw_features,
    "description": description,
    "fitted": fitted,
}
