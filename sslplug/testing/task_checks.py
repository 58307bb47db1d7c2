"""Checks of labelled tasks: no leak between the parts of a split, no label where none was asked for, blind raw features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sslplug.contracts import DomainData, Order, Split, Task, tasks_of
from sslplug.testing.leaves import Leaf, differences, leaves, snapshot
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable

STEPS = 4


def task_names(material: Material) -> str:
    """Tasks are named as their keys say.

    Mend: use one name for the key and for Task(name=...).
    """
    if not material.data.tasks:
        raise NotApplicable("this data has no task.")
    for name, task in material.data.tasks.items():
        if task.name != name:
            return f"tasks[{name!r}] is called {task.name!r}; expected one name."
    return ""


def splits(material: Material) -> str:
    """No row is in two parts of a split, and every part is what Task demands of it.

    Mend: cut one permutation of the rows into parts.
    """
    for name, number, parts in _splits(material):
        for one, other in combinations(parts, 2):
            shared = np.intersect1d(parts[one], parts[other])
            if len(shared):
                where = f"task {name!r}, split {number}"
                return f"{where}: {len(shared)} rows are in {one} and {other}, first row {shared[0]}; expected none."
    for task in material.labelled.values():
        replace(task, groups=None)  # the constructor checks what is left once more
    return ""


def groups(material: Material) -> str:
    """No group (a person, a device, a site) is on two sides of a split.

    Mend: draw groups, not rows, into the parts.
    """
    grouped = {name: task.groups for name, task in material.labelled.items() if task.groups is not None}
    if not grouped:
        raise NotApplicable("no task has groups.")
    for name, number, parts in _splits(material):
        if name not in grouped:
            continue
        for one, other in combinations(parts, 2):
            shared = np.intersect1d(grouped[name][parts[one]], grouped[name][parts[other]])
            if len(shared):
                where = f"task {name!r}, split {number}"
                return f"{where}: group {shared[0]} is in {one} and {other} ({len(shared)} such); expected none."
    return ""


def _splits(material: Material) -> list[tuple[str, int, dict[str, np.ndarray]]]:
    """(task, split number, {part: rows}) of every labelled task. NotApplicable where there is none."""
    if not material.labelled:
        raise NotApplicable("this data has no labelled task.")

    def parts(split: Split) -> dict[str, np.ndarray]:
        return {"train": split.train, "val": split.val, "test": split.test}

    named = [(name, task) for name, task in material.labelled.items()]
    return [(name, number, parts(split)) for name, task in named for number, split in enumerate(task.splits)]


def tasks_fixed(material: Material) -> str:
    """A second build of the data has the same labels and the same splits.

    Mend: draw splits from Rng.root(context.seed).
    """
    if not material.data.tasks:
        raise NotApplicable("this data has no task.")
    changed = differences(snapshot(dict(material.data.tasks)), snapshot(dict(material.again.tasks)))
    return f"built twice, tasks differ at {', '.join(changed[:5])}; expected the same." if changed else ""


def no_label_in_batches(material: Material) -> str:
    """Without Order.labels no vector of a batch, and none of ``rows()``, tells the classes.

    Mend: leave labels out of batches; give them as the target "label" where Order.labels asks for them.
    """
    for what, value in (("batch", material.batch()), ("rows()[0]", material.clean[0].data)):
        found = dict(leaves(value))
        for task in material.labelled.values():
            if task.kind != "classification":
                continue
            for path, leaf in found.items():
                if _is_vector(leaf) and any(_tells_classes(leaf, other, task) for other in found.values()):
                    return f"{what}{path} holds the labels of task {task.name!r} though Order.labels is None; expected none."
    return ""


def _is_vector(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and not leaf.is_floating_point() and leaf.ndim == 1


def _tells_classes(leaf: object, other: object, task: Task) -> bool:
    """Whether ``leaf`` are the classes, under other names, of the instances that ``other`` numbers."""
    assert isinstance(leaf, Tensor)  # a vector
    if not isinstance(other, Tensor) or other.dtype != torch.int64 or other.shape != leaf.shape or not len(other):
        return False
    order = other.numpy()
    known = order.min() >= 0 and order.max() < len(task.labels)
    if not known or len(np.unique(order)) != len(order):
        return False
    values, labels = leaf.numpy(), task.labels[order]
    pairs = {(int(v), int(c)) for v, c in zip(values, labels, strict=True)}
    return 1 < len(pairs) == len({v for v, _ in pairs}) == len({c for _, c in pairs}) < len(values)


def labels_unread(material: Material) -> str:
    """With all labels shuffled, batches and ``rows()`` are the same: without Order.labels pretraining reads none.

    Mend: let no batch, no sampling and no scaling depend on labels.
    """
    if not material.labelled:
        raise NotApplicable("this data has no labelled task.")
    blind = material.new_data()
    for task in tasks_of(Task, blind.tasks).values():
        shuffled = shuffle_labels(task).labels
        if task.labels.flags.writeable:
            task.labels[:] = shuffled  # in place: whoever kept the array itself is found too
        else:
            object.__setattr__(task, "labels", shuffled)
    for what, plain, other in (
        ("batches", _first(material.data, material), _first(blind, material)),
        ("rows()", snapshot(material.clean[0]), snapshot(next(iter(blind.rows())))),
    ):
        changed = differences(plain, other)
        if changed:
            return f"with shuffled labels, {what} differ at {', '.join(changed[:5])}; expected the same bits."
    return ""


def _first(data: DomainData, material: Material) -> dict[str, Leaf]:
    batches = data.batches(Order(seed=4, epoch=0, batch_size=material.several))
    return snapshot([batches[step] for step in range(min(len(batches), STEPS))])


def raw_features(material: Material) -> str:
    """Raw features have one row a row of the level, no infinity, and codes in their categorical columns.

    Mend: give NaN for a missing value, finite numbers else, and codes 0, 1, ... where a column is named categorical.
    """
    for name, task in _featured(material).items():
        raw = material.raw_features.own()[name]
        features = raw.values
        instances = len(task.labels) if task.members is None else int(task.members.max()) + 1
        if features.ndim != 2 or (features.shape[0] != instances if task.members is None else features.shape[0] < instances):
            return f"raw_features({task.name!r}) is {features.shape}; expected ({instances}, f)."
        if np.isinf(_numbers(features)).any():
            return f"raw_features({task.name!r}) holds an infinity; expected finite numbers, NaN for a missing value."
        for column in raw.categorical:
            codes = np.asarray(features[:, column])
            if not (np.isnan(codes) | ((codes >= 0) & (codes == np.round(codes)))).all():
                return f"raw_features({task.name!r}): column {column} is categorical; expected codes 0, 1, ... alone."
    return ""


def raw_features_blind(material: Material) -> str:
    """Raw features are the same when the labels are shuffled, and on a second build of the data.

    Mend: compute them from the inputs alone: no target encoding, no selection by label.
    """
    for name, task in _featured(material).items():
        plain = _numbers(material.raw_features.lend()[name].values)
        blind = _numbers(material.again.raw_features(shuffle_labels(task)).values)
        if not np.array_equal(plain, blind, equal_nan=True):
            return f"raw_features({task.name!r}) changes when the labels are shuffled; expected the same numbers."
    return ""


def _featured(material: Material) -> Mapping[str, Task]:
    if not material.labelled:
        raise NotApplicable("this data has no labelled task.")
    return material.labelled


def _numbers(features: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """The stored numbers."""
    return features.data if isinstance(features, sparse.csr_matrix) else features


def shuffle_labels(task: Task) -> Task:
    """The task with its usable labels in another order."""
    known = np.isfinite(task.labels) if task.labels.dtype.kind == "f" else task.labels >= 0
    labels = task.labels.copy()
    labels[known] = np.random.Generator(np.random.Philox(key=1)).permutation(labels[known])
    shuffled = copy(task)
    object.__setattr__(shuffled, "labels", labels)  # past the constructor: data/splits holds the task to it
    return shuffled


CHECKS: Mapping[str, Callable[[Material], str]] = {
    "task-names": task_names,
    "splits": splits,
    "groups": groups,
    "tasks-fixed": tasks_fixed,
    "no-label-in-batches": no_label_in_batches,
    "labels-unread": labels_unread,
    "raw-features": raw_features,
    "raw-features-blind": raw_features_blind,
}
