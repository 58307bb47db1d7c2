"""From a source and options to everything a run needs: targets, parts, kinds, encoding, notes. Labels never reach the encoding.

The order matters: the parts come first, and from then on only the rows that the protocol allows are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from sslplug.contracts import DataContext, Task
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.data.encoding import UNSEEN, TableEncoding, fit_encoding, load_encoding
from sslplug_tabular.data.leaks import leaking
from sslplug_tabular.data.options import OwnOptions
from sslplug_tabular.data.source import TableSource
from sslplug_tabular.data.types import ColumnType, infer, type_table
from sslplug_tabular.data.words import as_days, as_numbers, as_words, is_text, looks_like_number, plain, tidy
from sslplug_tabular.spec import REFERENCE_ROWS, TableSpec
from sslplug_tabular.tasks import (
    TEST,
    TRAIN,
    VAL,
    Labels,
    Parts,
    group_parts,
    make_target,
    named_parts,
    random_parts,
    read_labels,
    time_parts,
)

STATISTICS_ROWS = 250_000
"""Statistics are taken from all allowed rows, or from so many of them, drawn by seed."""
ONLY_TARGET = "target"
"""The task's name where there is one target column."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table made ready. ``allowed`` (m,) int64, ascending: the rows that training may see."""

    source: TableSource
    encoding: TableEncoding
    spec: TableSpec
    allowed: np.ndarray
    tasks: Mapping[str, Task]
    description: Mapping[str, Any]
    fitted: Mapping[str, Any]


def prepare(
    name: str,
    source: TableSource,
    options: OwnOptions,
    context: DataContext,
    parts: Parts | None = None,
    notes: Sequence[str] = (),
) -> Prepared:
    """Make a table ready.

    parts  the set's own split; None: as ``options.split`` says

    With ``context.fitted`` nothing is fitted: its columns must be there, targets and columns of the split may be missing.
    Raises DataError with row and column for what cannot be used, UsageError for options that name no column.
    """
    found = list(notes)
    fitted = context.fitted
    options = _with_present_columns(options, source, fitted is not None, found)
    if not source.rows:
        raise DataError(f"{source.where}: no rows; expected at least one.")
    side = [column for column in (options.split.column, options.split.group, options.split.time) if column is not None]
    table = source.columns([*options.targets, *side])
    labels = _read_targets(table, options, source.where, fitted)
    seed = context.seed if options.split.seed is None else options.split.seed
    parts = parts or _parts(table, labels, options, source, seed)
    targets = {}
    for task, label in labels.items():
        try:
            targets[task] = make_target(
                task, label, parts, source.where, None if fitted is None else fitted["targets"][task]
            )
        except DataError as error:
            if fitted is None:
                raise
            found.append(f"no task {task!r}: {error}")
    allowed = np.flatnonzero(parts.part == TRAIN) if options.protocol == "inductive" else np.arange(source.rows)
    if len(allowed) < 2 and fitted is None:
        raise DataError(f"{source.where}: {len(allowed)} of {source.rows} rows may be trained on; expected at least 2.")
    rng = Rng.root(context.seed).fork("tabular")
    rows = allowed if len(allowed) else np.arange(source.rows)
    if len(rows) > STATISTICS_ROWS:
        rows = np.sort(rng.fork("statistics").numpy().choice(rows, STATISTICS_ROWS, replace=False))
        found.append(
            f"statistics and kinds of columns come from {STATISTICS_ROWS} of the {len(allowed)} rows for training, drawn by seed"
        )
    used = {*options.targets, *(column for column in side if column not in options.types)}
    features = [column for column in source.names if column not in used and options.types.get(column) != "ignore"]
    if fitted is None:
        sample = source.take(rows, features, finite=options.infinities == "refuse")
        columns = {column: tidy(sample[column], options.missing) for column in features}
        types = infer(columns, rows, source.where, options.types, options.orders)
        encoding = fit_encoding(
            sample,
            rows,
            types,
            scaler=options.scaler,
            most_categories=options.most_categories,
            missing=options.missing,
            infinities=options.infinities,
            rng=rng,
            where=source.where,
            note=found.append,
        )
        seen = {t.name: t for t in types}
        found.append(type_table([seen.get(column) or _set_aside(column, options) for column in source.names]))
    else:
        encoding = load_encoding(fitted["encoding"])
        lacking = [column for column in encoding.sources if column not in source.names]
        if lacking:
            raise DataError(
                f"{source.where}: no column {', '.join(map(repr, lacking))}, which the encoder was trained on; it has "
                f"{', '.join(source.names)}."
            )
        sample = source.take(rows, encoding.sources, finite=False)
        found.append("encoded as the data that the encoder was trained on")
    values, codes = encoding.decode(sample, rows, source.where)
    for task, label in labels.items():
        _refuse_leaks(values, codes, encoding, label, parts, rows, options, source.where, task, found)
    reference = np.arange(len(rows))
    if len(rows) > REFERENCE_ROWS:
        reference = np.sort(rng.fork("reference").numpy().choice(len(rows), REFERENCE_ROWS, replace=False))
    # An encoder trained without gaps has no vector for them: new data's gaps change nothing of it.
    gaps = bool(np.isnan(values).any()) if fitted is None else bool(fitted["gaps"])
    if fitted is not None:
        found += _strange(encoding, values, codes, gaps)
    spec = TableSpec(
        encoding.numeric,
        encoding.categorical,
        encoding.cardinalities,
        to_rows(encoding, values[reference], codes[reference], rows[reference]),
        gaps,
    )
    kept = {"encoding": encoding.state, "gaps": gaps, "targets": {task: target.fitted for task, target in targets.items()}}
    sizes = {part: int((parts.part == number).sum()) for part, number in (("train", TRAIN), ("val", VAL), ("test", TEST))}
    description = {
        "name": name,
        "rows": source.rows,
        "columns": len(source.names),
        "numeric": len(encoding.numeric),
        "categorical": len(encoding.categorical),
        "protocol": options.protocol,
        "split": parts.protocol if targets or sizes["train"] < source.rows else "none",
        "sizes": sizes,
        "trained_rows": len(allowed),
        "statistics_rows": len(rows),
        "targets": {task: target.facts for task, target in targets.items()},
        "preprocessing": {"scaler": options.scaler, "most_categories": options.most_categories, "missing": options.missing},
        "notes": [_protocol_note(options.protocol, len(allowed), source.rows), *found],
        "sha256": source.sha256,
    }
    tasks = {
        task: replace(target.task, protocol=f"{parts.protocol}; {options.protocol}") for task, target in targets.items()
    }
    return Prepared(source, encoding, spec, allowed, tasks, description, kept)


def _strange(encoding: TableEncoding, values: np.ndarray, codes: np.ndarray, gaps: bool) -> list[str]:
    """Sentences about what a trained encoder never saw: words, and gaps among numbers where it was trained without."""
    found = []
    for column, name in enumerate(encoding.categorical):
        unseen = int((codes[:, column] == UNSEEN).sum())
        if unseen:
            found.append(
                f"column {name!r}: {unseen} of {len(codes)} values are no category of training; they share one code"
            )
    if not gaps and np.isnan(values).any():
        found.append("numbers are missing, as none were in training: they count as the centre of their column")
    return found


def to_rows(encoding: TableEncoding, values: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> Rows:
    """Decoded cells as the plugin's batch type; ``rows`` (n,) int64 are their numbers."""
    numeric, missing = encoding.scale(values)
    return Rows(
        torch.from_numpy(numeric),
        torch.from_numpy(missing),
        torch.from_numpy(codes.astype(np.int64)),
        torch.from_numpy(np.array(rows, np.int64)),
    )


def _set_aside(column: str, options: OwnOptions) -> ColumnType:
    """Why a column was not even looked at."""
    if column in options.targets:
        return ColumnType(column, "ignore", "a target")
    return ColumnType(column, "ignore", "asked for" if options.types.get(column) == "ignore" else "serves the split")


def _protocol_note(protocol: str, allowed: int, rows: int) -> str:
    if protocol == "transductive":
        return f"transductive: pretraining and all statistics see all {rows} rows, those of validation and test too"
    return f"inductive: pretraining and all statistics see {allowed} of {rows} rows, none of validation or test"


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
    split, rng = options.split, Rng.root(seed)
    val, test, where = split.val_share, split.test_share, source.where
    if split.column is not None:
        return named_parts(tidy(table[split.column], options.missing), split.column, where)
    if split.group is not None:
        return group_parts(tidy(table[split.group], options.missing), split.group, val, test, rng, seed, where)
    if split.time is not None:
        return time_parts(_times(tidy(table[split.time], options.missing), split.time, where), split.time, val, test, where)
    if not labels:
        return Parts(np.zeros(source.rows, np.int8), "none")
    return random_parts(next(iter(labels.values())), source.rows, val, test, split.stratify, rng, seed)


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


def _refuse_leaks(
    values: np.ndarray,
    codes: np.ndarray,
    encoding: TableEncoding,
    label: Labels,
    parts: Parts,
    rows: np.ndarray,
    options: OwnOptions,
    where: str,
    task: str,
    notes: list[str],
) -> None:
    use = label.known[rows] & (parts.part[rows] == TRAIN)
    names = [*encoding.numeric, *encoding.categorical]
    found = leaking(values[use], codes[use], names, label.values[rows[use]], label.classes is not None)
    if not found:
        return
    shown = ", ".join(map(repr, found))
    sentence = f"column {shown} tells the target {label.name!r} exactly in all {int(use.sum())} labelled training rows"
    if options.leaks == "refuse":
        raise DataError(
            f"{where}: {sentence}: a copy of it. Leave it out with data.types.{found[0]}: ignore, or keep it with data.leaks: "
            "note."
        )
    notes.append(f"LEAK: {sentence}; scores of task {task!r} mean nothing if it is a copy")
