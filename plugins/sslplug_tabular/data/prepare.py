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

from sslplug.contracts import DataContext, Faults, Reading, Refused, Task, finished
from sslplug.contracts.tables import Table
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.data.division import Division, divide
from sslplug_tabular.data.encoding import UNSEEN, TableEncoding, fit_encoding, load_encoding
from sslplug_tabular.data.leaks import leaking
from sslplug_tabular.data.naming import naming_column
from sslplug_tabular.data.options import OwnOptions
from sslplug_tabular.data.source import TableSource
from sslplug_tabular.data.types import ColumnType, infer, type_table
from sslplug_tabular.data.words import tidy
from sslplug_tabular.spec import REFERENCE_ROWS, TableSpec
from sslplug_tabular.tasks import TEST, TRAIN, VAL, Parts

STATISTICS_ROWS = 250_000
"""Statistics are taken from all allowed rows, or from so many of them, drawn by seed."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table made ready.

    allowed  (m,) int64, ascending: the rows that training may see;  looked: those whose cells were looked at already
    types    the kinds of the columns, with reasons; () where nothing is fitted
    naming   the column that names the rows, if any
    """

    source: TableSource
    encoding: TableEncoding
    spec: TableSpec
    allowed: np.ndarray
    looked: np.ndarray
    types: Sequence[ColumnType]
    tasks: Mapping[str, Task]
    description: Mapping[str, Any]
    fitted: Mapping[str, Any]
    naming: str | None


def prepare(
    name: str,
    source: TableSource,
    options: OwnOptions,
    context: DataContext,
    parts: Parts | None = None,
    notes: Sequence[str] = (),
) -> Prepared:
    """What :func:`preparation` makes ready. Raises DataError with row and column for what cannot be used."""
    return accepted(preparation(name, source, options, context, parts, notes))


def accepted(reading: Reading[Prepared]) -> Prepared:
    """What was made ready, with what was passed over among its notes. DataError with the first fault that is not harmless."""
    told: list[str] = []
    prepared = finished(reading, told)
    description = {**prepared.description, "notes": [*told, *prepared.description["notes"]]}
    return replace(prepared, description=description)


def preparation(
    name: str,
    source: TableSource,
    options: OwnOptions,
    context: DataContext,
    parts: Parts | None = None,
    notes: Sequence[str] = (),
    rest_follows: bool = False,
) -> Reading[Prepared]:
    """Make a table ready.

    parts         the set's own split; None: as ``options.split`` says
    rest_follows  every row will be decoded at once, so nothing of the rows beyond the statistics need be looked at here

    With ``context.fitted`` nothing is fitted: its columns must be there, targets and columns of the split may be missing.
    Raises UsageError for options that name no column.
    """
    found = list(notes)
    fitted = context.fitted
    if not source.rows:
        raise Refused(Faults("no-rows", source.where, "no rows", "at least one", "Write it again."))
    divided = yield from divide(source, options, context, parts, found)
    options, parts, targets = divided.options, divided.parts, divided.targets
    allowed = np.flatnonzero(parts.part == TRAIN) if options.protocol == "inductive" else np.arange(source.rows)
    if len(allowed) < 2 and fitted is None:
        many = f"{len(allowed)} of {source.rows} rows that may be trained on"
        raise Refused(Faults("few-rows", source.where, many, "at least 2", "Give more rows."))
    rng = Rng.root(context.seed).fork("tabular")
    # Where nothing is fitted, all rows are looked at for what is strange in them.
    rows = allowed if fitted is None else np.arange(source.rows)
    if len(rows) > STATISTICS_ROWS:
        rows = np.sort(rng.fork("statistics").numpy().choice(rows, STATISTICS_ROWS, replace=False))
        found.append(
            f"statistics and kinds of columns come from {STATISTICS_ROWS} of the {len(allowed)} rows for training, drawn by seed"
            if fitted is None
            else f"{STATISTICS_ROWS} of the {source.rows} rows, drawn by seed, are searched for what training never saw"
        )
    types: Sequence[ColumnType] = ()
    if fitted is None:
        encoding, sample, types = yield from _fitted(source, divided, rows, rng, found, rest_follows)
    else:
        encoding, sample = yield from _loaded(source, fitted, rows, found)
    values, codes = yield from encoding.decode(Table(source.where, sample, source.told(rows)))
    if fitted is None:
        for task in targets:
            yield from _leaks(values, codes, encoding, divided, task, rows, source.where, found)
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
    naming = naming_column(types) if fitted is None else fitted.get("names")
    kept = {
        "names": naming,
        "encoding": encoding.state,
        "gaps": gaps,
        "targets": {task: target.fitted for task, target in targets.items()},
    }
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
        "notes": [_protocol_note(options.protocol, len(allowed), source.rows), *found] if fitted is None else list(found),
        "sha256": source.sha256,
    }
    tasks = {
        task: replace(target.task, protocol=f"{parts.protocol}; {options.protocol}") for task, target in targets.items()
    }
    return Prepared(source, encoding, spec, allowed, rows, types, tasks, description, kept, naming)


def _fitted(
    source: TableSource, divided: Division, rows: np.ndarray, rng: Rng, notes: list[str], rest_follows: bool
) -> Reading[tuple[TableEncoding, pa.Table, list[ColumnType]]]:
    """The encoding of the columns of ``rows``, these rows, and the kinds of the columns."""
    options, features = divided.options, divided.features
    sample = yield from source.take(rows, features, options.infinities == "refuse" and not rest_follows)
    columns = pa.table({column: tidy(sample[column], options.missing) for column in features})
    types = yield from infer(Table(source.where, columns, source.told(rows)), options.types, options.orders)
    encoding = yield from fit_encoding(
        Table(source.where, sample, source.told(rows)),
        types,
        scaler=options.scaler,
        most_categories=options.most_categories,
        missing=options.missing,
        infinities=options.infinities,
        rng=rng,
        note=notes.append,
    )
    seen = {t.name: t for t in types}
    notes.append(type_table([seen.get(column) or _set_aside(column, options) for column in source.names]))
    return encoding, sample, types


def _loaded(
    source: TableSource, fitted: Mapping[str, Any], rows: np.ndarray, notes: list[str]
) -> Reading[tuple[TableEncoding, pa.Table]]:
    """The encoding of the data that an encoder was trained on, and new rows with its columns."""
    encoding = load_encoding(fitted["encoding"])
    lacking = [column for column in encoding.sources if column not in source.names]
    if lacking:
        found = f"no column {', '.join(map(repr, lacking))}, which the encoder was trained on"
        raise Refused(
            Faults("missing-column", source.where, found, "all its columns", f"It has {', '.join(source.names)}; add them.")
        )
    notes.append("encoded as the data that the encoder was trained on")
    return encoding, (yield from source.take(rows, encoding.sources, finite=False))


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


def _leaks(
    values: np.ndarray,
    codes: np.ndarray,
    encoding: TableEncoding,
    divided: Division,
    task: str,
    rows: np.ndarray,
    where: str,
    notes: list[str],
) -> Reading[None]:
    """Tells, or notes where asked for, columns that tell the task's labels on the labelled training rows."""
    label = divided.labels[task]
    use = label.known[rows] & (divided.parts.part[rows] == TRAIN)
    names = [*encoding.numeric, *encoding.categorical]
    found = leaking(values[use], codes[use], names, label.values[rows[use]], label.classes is not None)
    for column in found:
        sentence = f"tells the target {label.name!r} exactly in all {int(use.sum())} labelled training rows"
        if divided.options.leaks == "refuse":
            mend = f"Leave it out with data.types.{column}: ignore, or keep it with data.leaks: note."
            yield Faults("leak", where, f"a copy: it {sentence}", "columns known before the target", mend, column=column)
        else:
            notes.append(f"LEAK: column {column!r} {sentence}; scores of task {task!r} mean nothing if it is a copy")
