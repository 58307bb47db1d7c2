"""Before anything is fitted: which columns are targets or serve the split, what the labels are, and which row is in which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.contracts import DataContext
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
) -> Division:
    """Read targets, and divide the rows as ``parts`` or else ``options.split`` say. ``notes`` gets what was left out."""
    fitted = context.fitted
    options = _with_present_columns(options, source, fitted is not None, notes)
    split = options.split
    side = [column for column in (split.column, split.group, split.time) if column is not None]
    table = source.columns([*options.targets, *side])
    labels = _read_targets(table, options, source.where, fitted)
    parts = parts or _parts(table, labels, options, source, context.seed if split.seed is None else split.seed)
    targets = {}
    for task, label in labels.items():
        try:
            known = None if fitted is None else fitted["targets"][task]
            targets[task] = make_target(task, label, parts, source.where, known)
        except DataError as error:
            if fitted is None:
                raise
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


def _read_targets(table: pa.Table, options: OwnOptions, where: str, fitted: Mapping[str, Any] | None) -> dict[str, Labels]:
    """{task name: labels}: one target is called "target", several are called as their columns."""
    found = {}
    for column in options.targets:
        task = ONLY_TARGET if len(options.targets) == 1 else column
        cells = tidy(table[column], options.missing)
        if fitted is None:
            found[task] = read_labels(column, cells, options.target_kind, where)
        elif task in fitted["targets"] and len(cells.drop_null()):
            facts = fitted["targets"][task]
            found[task] = read_labels(column, cells, facts["kind"], where, facts.get("classes", ()))
    return found


def _parts(table: pa.Table, labels: Mapping[str, Labels], options: OwnOptions, source: TableSource, seed: int) -> Parts:
    split, rng, drawn = options.split, Rng.root(seed), options.split.seed is None
    val, test, where = split.val_share, split.test_share, source.where
    if split.column is not None:
        return named_parts(tidy(table[split.column], options.missing), split.column, where)
    if split.group is not None:
        return replace(
            group_parts(tidy(table[split.group], options.missing), split.group, val, test, rng, where), drawn=drawn
        )
    if split.time is not None:
        return time_parts(_times(tidy(table[split.time], options.missing), split.time, where), split.time, val, test, where)
    if not labels:
        return Parts(np.zeros(source.rows, np.int8), "none")
    return replace(random_parts(next(iter(labels.values())), source.rows, val, test, split.stratify, rng), drawn=drawn)


def _times(cells: pa.Array, name: str, where: str) -> np.ndarray:
    """(n,) float64: days of dates, or numbers."""
    words = is_text(plain(cells).type)
    dates = pa.types.is_temporal(cells.type) or (words and not looks_like_number(as_words(cells.drop_null())).all())
    times, bad = as_days(cells) if dates else as_numbers(cells)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where}, row {row + 1}, column {name!r}: {plain(cells)[row].as_py()!r}; expected a date (2024-05-31) or a number."
        )
    return times
