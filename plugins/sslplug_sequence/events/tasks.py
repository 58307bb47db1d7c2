"""Labelled tasks of event sequences: of entities in the protocol of CoLES, and of what the next event will be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from sslplug.contracts import Kind, Split, Task
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_sequence.events.data.table import EventTable


def held_out(labels: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """A random share of the labelled entities for the fixed test part; stratified where labels are classes."""
    known = usable(labels)
    order = rng.fork("test").numpy().permutation(known)
    if labels.dtype.kind == "f":
        return np.sort(order[: round(share * len(order))])
    order = order[np.argsort(labels[order], kind="stable")]
    ranks = np.concatenate([np.arange(count) / count for count in np.bincount(labels[order]) if count])
    return np.sort(order[np.argsort(ranks, kind="stable")[: round(share * len(order))]])


def usable(labels: np.ndarray) -> np.ndarray:
    """Entities that have a label."""
    return np.flatnonzero(np.isfinite(labels) if labels.dtype.kind == "f" else labels >= 0)


def folded(
    name: str,
    kind: Kind,
    labels: np.ndarray,
    test: np.ndarray,
    folds: int,
    classes: tuple[str, ...],
    protocol: str,
    drawn: bool = False,
) -> Task:
    """One split a fold: fitted on the other folds, chosen on this one, scored on the fixed test part (``drawn`` by the seed).

    Folds are stratified and shuffled with seed 42, as in the published experiments on CoLES.
    """
    rest = np.setdiff1d(usable(labels), test)
    smallest = int(np.bincount(labels[rest]).min()) if labels.dtype.kind != "f" and len(rest) else len(rest)
    if smallest < folds:
        raise DataError(
            f"Task {name!r}: the smallest class has {smallest} training entities for {folds} folds; lower data.folds."
        )
    cutter = (KFold if labels.dtype.kind == "f" else StratifiedKFold)(folds, shuffle=True, random_state=42)
    splits = [Split(rest[train], rest[val], np.sort(test)) for train, val in cutter.split(rest, labels[rest])]
    told = f"{protocol}, {folds} folds, one test part"
    return Task(name, kind, "entity", labels, splits, told, classes=classes, drawn=drawn)


def next_event_tasks(
    table: EventTable,
    field: str,
    parts: Mapping[str, np.ndarray],
    longest: int,
    most: int,
    rng: Rng,
    protocol: str,
) -> dict[str, Task]:
    """``next-<field>``: which category comes next; ``next-gap``: log(1 + time to the next event / median gap).

    Both are asked at randomly chosen events that another one follows, at most ``most`` a part, of the entities in ``parts``
    (train, val, test). Instances are events of one embedding row each.
    """
    column = list(table.values).index(field)
    start = np.maximum(table.offsets[:-1], table.offsets[1:] - longest)
    first_row = np.concatenate([[0], np.cumsum(table.offsets[1:] - start)])
    events, owners, sizes = [], [], []
    for part in ("train", "val", "test"):
        entities = parts[part]
        length = table.offsets[entities + 1] - start[entities] - 1
        length = np.maximum(length, 0)
        total = int(length.sum())
        picked = np.sort(rng.fork("positions", part).numpy().permutation(total)[:most])
        ends = np.cumsum(length)
        sequence = np.searchsorted(ends, picked, side="right")
        within = picked - (ends - length)[sequence]
        owner = entities[sequence]
        events.append(start[owner] + within)
        owners.append(owner)
        sizes.append(len(picked))
    event, owner = np.concatenate(events), np.concatenate(owners)
    members = (event - start[owner] + first_row[owner])[:, None]
    bounds = np.cumsum([0, *sizes])
    known = table.codes[event + 1, column] >= 0
    rows = [np.arange(a, b)[known[a:b]] for a, b in zip(bounds, bounds[1:])]
    gap = np.asarray(table.time)[event + 1] - np.asarray(table.time)[event]
    training = gap[rows[0]]
    unit = float(np.median(training[training > 0])) if (training > 0).any() else 1.0
    split = Split(*rows)
    words = table.values[field]
    label = table.codes[event + 1, column].astype(np.int64)
    tasks = [
        Task(
            f"next-{field}",
            "classification",
            "event",
            label,
            [split],
            protocol,
            members=members,
            groups=owner,
            classes=words,
        ),
        Task("next-gap", "regression", "event", np.log1p(gap / unit), [split], protocol, members=members, groups=owner),
    ]
    return {task.name: task for task in tasks}


def without_tests(entities: int, tasks: Mapping[str, Task]) -> np.ndarray:
    """Entities that may be trained on: those in no task's test part."""
    kept = np.ones(entities, bool)
    for task in tasks.values():
        for split in task.splits:
            kept[split.test if task.groups is None else task.groups[split.test]] = False
    return np.flatnonzero(kept)
