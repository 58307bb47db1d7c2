"""A user's own interactions: files or memory become a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug_recsys.batch import FeatureTable
from sslplug_recsys.data.corpus import TEST, TRAIN, VAL, Corpus
from sslplug_recsys.data.features import Words, binned, edges_of, several, single, table_of
from sslplug_recsys.data.lightgcn_text import read_parts
from sslplug_recsys.data.options import FileOptions, TableOptions
from sslplug_recsys.data.own_tables import Table, names_of, numbers_of, read_table, times_of


@dataclass(frozen=True)
class Log:
    """Interactions of one file."""

    users: np.ndarray
    items: np.ndarray
    time: np.ndarray | None
    notes: tuple[str, ...]


def from_files(options: FileOptions, context: DataContext) -> tuple[Corpus, dict[str, Any]]:
    """The corpus of a user's files, and what of it must encode new data: vocabularies and bin edges of features.

    Users and items are numbered in the order in which the interactions, then the feature tables, name them. Those of a feature
    table alone have no interaction: such items are cold. Entities that their table does not name have missing features.
    """
    places = {"train": options.path, "val": options.val, "test": options.test}
    files = {part: _find(path, context) for part, path in places.items() if path is not None}
    if files["train"].suffix == ".txt":
        if options.users is not None or options.items is not None:
            raise UsageError(
                "LightGCN's text numbers users and items; data.users and data.items need named ones (CSV, Parquet)."
            )
        corpus = read_parts(files["train"].stem, files)
        return (corpus if len(files) > 1 else replace(corpus, part=None)), {}
    logs = {part: _log(read_table(file), options) for part, file in files.items()}
    sides = {}
    for side, path in (("user", options.users), ("item", options.items)):
        sides[side] = None if path is None else read_table(_find(path, context))
    return _join(files["train"].stem, logs, sides, options, context.fitted or {})


def from_memory(options: TableOptions, context: DataContext) -> Corpus:
    """The corpus of interactions in memory: a data frame, a pyarrow table or a mapping of columns."""
    memory = context.memory
    if memory is None:
        raise UsageError("data.name is 'memory', but no table was handed over; use data.name: files for files.")
    try:
        if isinstance(memory, pa.Table):
            content = memory
        elif isinstance(memory, Mapping):
            content = pa.table({str(name): np.asarray(column) for name, column in memory.items()})
        else:
            content = pa.Table.from_pandas(memory, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"the table in memory: {error}; expected a data frame, a pyarrow table or columns by name."
        ) from error
    log = _log(Table("the table in memory", content, {}), options)
    return _join("memory", {"train": log}, {"user": None, "item": None}, options, {})[0]


def _find(path: Path, context: DataContext) -> Path:
    places = [path] + ([context.root / path] if context.root is not None else [])
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{' and '.join(map(str, places))}: no such file; give a table of interactions or of features.")


def _log(table: Table, options: TableOptions) -> Log:
    """The interactions of a table that are positives."""
    c = options.columns
    users, items = names_of(table, c.user), names_of(table, c.item)
    time = times_of(table, c.time) if c.time in table.content.column_names else None
    notes: tuple[str, ...] = ()
    if options.least_rating is not None:
        rating = numbers_of(table, c.rating)
        kept = rating >= options.least_rating
        if not kept.all():
            notes = (
                f"{int((~kept).sum())} interactions rated below {options.least_rating:g}, or not at all, are no positives",
            )
        users, items, time = users[kept], items[kept], None if time is None else time[kept]
        if not len(users):
            raise DataError(
                f"{table.source}: no interaction is rated {options.least_rating:g} or higher; lower least_rating."
            )
    if time is not None and (np.diff(time) < 0).any():
        notes = (
            *notes,
            f"{table.source}: interactions are not in the order of time; they are ordered by it where order counts",
        )
    return Log(users, items, time, notes)


def _join(
    name: str, logs: Mapping[str, Log], sides: Mapping[str, Table | None], options: TableOptions, fitted: Mapping[str, Any]
) -> tuple[Corpus, dict[str, Any]]:
    column = {"user": options.columns.user, "item": options.columns.item}
    named = {"user": [log.users for log in logs.values()], "item": [log.items for log in logs.values()]}
    numbers: dict[str, dict[str, int]] = {}
    keys: dict[str, np.ndarray] = {}
    notes = [note for log in logs.values() for note in log.notes]
    for side in ("user", "item"):
        known: dict[str, int] = {}
        for words in named[side]:
            for word in words:
                known.setdefault(word, len(known))
        table, acting = sides[side], len(known)
        if table is not None:
            keys[side] = names_of(table, column[side])
            _refuse_repeats(table, column[side], keys[side])
            lacking = acting - len(known.keys() & set(keys[side]))
            if lacking:
                notes.append(f"{lacking} {side}s are not in {table.source}: their features are missing")
            for word in keys[side]:
                known.setdefault(word, len(known))
            if len(known) > acting:
                notes.append(f"{len(known) - acting} {side}s of {table.source} have no interaction")
        numbers[side] = known
    features: dict[str, FeatureTable | None] = {"user": None, "item": None}
    learned: dict[str, Any] = {}
    for side, table in sides.items():
        if table is not None and isinstance(options, FileOptions):
            rows = np.array([numbers[side][word] for word in keys[side]], np.int64)
            features[side], learned[side] = _features(
                table, column[side], rows, len(numbers[side]), options, fitted.get(side)
            )
    part = [np.full(len(log.users), {"train": TRAIN, "val": VAL, "test": TEST}[p], np.int8) for p, log in logs.items()]
    times = [log.time for log in logs.values()]
    timed = [one for one in times if one is not None]
    if timed and len(timed) < len(times):
        raise DataError(
            f"{name}: some files have a time column {options.columns.time!r} and others have none; give it to all."
        )
    users, items = numbers["user"], numbers["item"]
    corpus = Corpus(
        name,
        len(users),
        len(items),
        np.array([users[word] for log in logs.values() for word in log.users], np.int64),
        np.array([items[word] for log in logs.values() for word in log.items], np.int64),
        np.concatenate(timed) if timed else None,
        np.concatenate(part) if len(logs) > 1 else None,
        user_features=features["user"],
        item_features=features["item"],
        user_names=tuple(users),
        item_names=tuple(items),
        notes=tuple(notes),
        unit="of the time column",
    )
    return corpus, learned


def _refuse_repeats(table: Table, column: str, keys: np.ndarray) -> None:
    first: dict[str, int] = {}
    for row, key in enumerate(keys, start=1):
        if key in first:
            raise DataError(
                f"{table.source}, row {row}, column {column!r}: {key!r} was in row {first[key]} already; expected one row each. "
                "Join the rows; a cell may hold several values."
            )
        first[key] = row


def _features(
    table: Table, key: str, rows: np.ndarray, n: int, options: FileOptions, fitted: Mapping[str, Any] | None
) -> tuple[FeatureTable | None, dict[str, Any]]:
    """Features of ``n`` entities; row r of the table is entity ``rows[r]``. Numbers with a fraction become bins."""
    fields: dict[str, Words] = {}
    edges: dict[str, Sequence[float]] = {}
    for name in table.content.column_names:
        if name == key:
            continue
        column = table.content[name]
        if pa.types.is_floating(column.type):
            values = numbers_of(table, name)
            edges[name] = fitted["edges"][name] if fitted else edges_of(values).tolist()
            words = single(binned(values, np.asarray(edges[name], np.float64)))
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            words = several([[str(value) for value in cell or () if value is not None] for cell in column.to_pylist()])
        else:
            separator = table.sequences.get(name, options.separator)
            text = ["" if value is None else str(value) for value in column.to_pylist()]
            words = several([[word for word in (part.strip() for part in cell.split(separator)) if word] for cell in text])
        fields[name] = Words(rows[words.owner], words.values)
    if not fields:
        return None, {}
    known = fitted["vocabularies"] if fitted else None
    if known is not None and set(known) != set(fields):
        raise DataError(
            f"{table.source} has the features {', '.join(fields)}; the encoder was trained on {', '.join(known)}."
        )
    coded, vocabularies = table_of(fields, n, options.most_values, options.least_count, known)
    return coded, {"vocabularies": vocabularies, "edges": edges}
