"""Before anything is fitted: which columns are targets or serve the split, what the labels are, and which row is in which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.contracts import DataContext, Faults, Reading, attempt
from sslplug.contracts.tables import Table
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_tabular.data.options import OwnOptions
from sslplug_tabular.data.source import TableSource
from sslplug_tabular.data.words import as_days, as_numbers, as_words, is_text, looks_like_number, plain, tidy
from sslplug_tabular.tasks import (
    Labels,
    Parts,
    Target,
    group_parts,
    make_target,
    named_parts,
    random_parts,
    read_labels,
    time_parts,
)

ONLY_TARGET = "target"
"""The task's name where there is one target column."""


@dataclass(frozen=True, eq=False)
class Division:
    """The rows' parts and the tasks on them.

    options   as given, less what new data for a trained encoder lacks
    labels    {task: labels};  targets: {task: the task and its record}
    features  names of the columns that may be used
    """

    options: OwnOptions
    labels: Mapping[str, Labels]
    parts: Parts
    targets: Mapping[str, Target]
    features: tuple[str, ...]


def divide(
    source: TableSource, options: OwnOptions, context: DataContext, parts: Parts | None, notes: list[str]
) -> Reading[Division]:
    """Read targets, and divide the rows as ``parts`` or else ``options.split`` say. ``notes`` gets what was left out.

    A target that cannot be used is told, and there is no such task.
    """
    fitted = context.fitted
    options = _with_present_columns(options, source, fitted is not None, notes)
    split = options.split
    side = [column for column in (split.column, split.group, split.time) if column is not None]
    table = Table(source.where, source.columns([*options.targets, *side]), source.told(np.arange(source.rows)))
    labels = yield from _read_targets(table, options, fitted)
    if parts is None:
        seed = context.seed if split.seed is None else split.seed
        parts = yield from attempt(_parts(table, labels, options, seed))
    if parts is None:  # told above: without parts no task can be looked at
        parts, labels = Parts(np.zeros(source.rows, np.int8), "none"), {}
    targets: dict[str, Target] = {}
    for task, label in labels.items():
        making = make_target(task, label, parts, table, None if fitted is None else fitted["targets"][task])
        if fitted is None:
            made = yield from attempt(making)
            targets |= {} if made is None else {task: made}
            continue
        try:
            targets[task] = yield from making
        except DataError as error:
            notes.append(f"no task {task!r}: {error}")
    used = {*options.targets, *(column for column in side if column not in options.types)}
    features = (name for name in source.names if name not in used and options.types.get(name) != "ignore")
    return Division(options, labels, parts, targets, tuple(features))


def _with_present_columns(options: OwnOptions, source: TableSource, fitted: bool, notes: list[str]) -> OwnOptions:
    """Options whose columns all exist. New data for a trained encoder may lack targets and columns of the split."""
    split = options.split
    named: dict[str, Sequence[str]] = {
        "target": options.targets,
        "split.column": [split.column] if split.column else [],
        "split.group": [split.group] if split.group else [],
        "split.time": [split.time] if split.time else [],
        "types": [] if fitted else list(options.types),
        "orders": [] if fitted else list(options.orders),
    }
    absent = {where: [c for c in columns if c not in source.names] for where, columns in named.items()}
    lacking = [(where, column) for where, columns in absent.items() for column in columns]
    if lacking and not fitted:
        where, column = lacking[0]
        shown = ", ".join(source.names[:40]) + (", ..." if len(source.names) > 40 else "")
        raise UsageError(f"data.{where}: {source.where} has no column {column!r}; it has {shown}.")
    if lacking:
        # A split needs its column, and a task needs its split: without one of them the rows are only to be embedded.
        notes.append(f"no column {', '.join(repr(c) for _, c in lacking)}: no task, all rows are only to be embedded")
        return options.model_copy(update={"target": None, "split": type(split)()})
    twice = [column for column in options.targets if options.targets.count(column) > 1]
    if twice:
        raise UsageError(f"data.target names {twice[0]!r} twice; name each target once.")
    return options


def _read_targets(table: Table, options: OwnOptions, fitted: Mapping[str, Any] | None) -> Reading[dict[str, Labels]]:
    """{task name: labels}: one target is called "target", several are called as their columns."""
    found: dict[str, Labels] = {}
    for column in options.targets:
        task = ONLY_TARGET if len(options.targets) == 1 else column
        cells = tidy(table.content[column], options.missing)
        if pa.types.is_nested(cells.type) or pa.types.is_binary(cells.type):
            mend = "Take it apart, or name another target."
            yield Faults("nested-column", table.file, f"a column of {cells.type}", "classes or numbers", mend, column=column)
            continue
        if fitted is None:
            labels = yield from attempt(read_labels(table, column, cells, options.target_kind))
            found |= {} if labels is None else {task: labels}
        elif task in fitted["targets"] and len(cells.drop_null()):
            facts = fitted["targets"][task]
            found[task] = yield from read_labels(table, column, cells, facts["kind"], facts.get("classes", ()))
    return found


def _parts(table: Table, labels: Mapping[str, Labels], options: OwnOptions, seed: int) -> Reading[Parts]:
    split, rng, drawn = options.split, Rng.root(seed), options.split.seed is None
    val, test = split.val_share, split.test_share
    if split.column is not None:
        return (yield from named_parts(table, tidy(table.content[split.column], options.missing), split.column))
    if split.group is not None:
        cells = tidy(table.content[split.group], options.missing)
        return replace((yield from group_parts(table, cells, split.group, val, test, rng)), drawn=drawn)
    if split.time is not None:
        times = yield from _times(table, tidy(table.content[split.time], options.missing), split.time)
        return (yield from time_parts(table, times, split.time, val, test))
    if not labels:
        return Parts(np.zeros(len(table), np.int8), "none")
    return replace(random_parts(next(iter(labels.values())), len(table), val, test, split.stratify, rng), drawn=drawn)


def _times(table: Table, cells: pa.Array, name: str) -> Reading[np.ndarray]:
    """(n,) float64: days of dates, or numbers."""
    words = is_text(plain(cells).type)
    dates = pa.types.is_temporal(cells.type) or (words and not looks_like_number(as_words(cells.drop_null())).all())
    times, bad = as_days(cells) if dates else as_numbers(cells)
    if bad.any():
        yield table.wrong("not-a-time", bad, name, "a date (2024-05-31) or a number", "Mend it.")
        times = np.where(bad, -np.inf, times)
    return times
