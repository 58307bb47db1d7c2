"""A user's own interactions: files or memory become a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import DataContext, Fault, Faults, Reading, Refused, attempt, finished, listed
from sslplug.contracts.cells import ids, repeats
from sslplug.contracts.tables import Table, mask, plain_words, require
from sslplug.errors import DataError, UsageError
from sslplug_recsys.data.corpus import PARTS, TEST, TRAIN, VAL, Corpus, apart
from sslplug_recsys.data.lightgcn_text import reading_of_parts
from sslplug_recsys.data.options import FileOptions, TableOptions
from sslplug_recsys.data.own_features import read_features
from sslplug_recsys.data.own_log import HINT, Log, read_log
from sslplug_recsys.data.own_tables import OwnTable, read_own
from sslplug_recsys.feature_table import FeatureTable

PART = {"train": TRAIN, "val": VAL, "test": TEST}
A = {"user": "a user", "item": "an item"}
Learned = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Side:
    """Users or items: names in the order of their numbers, the numbers of each log's rows, and the features' table."""

    names: pa.Array
    numbers: list[np.ndarray]
    table: OwnTable | None
    kept: np.ndarray
    rows: np.ndarray


def from_files(options: FileOptions, context: DataContext) -> tuple[Corpus, Learned]:
    """The corpus of a user's files, and what of it must encode new data: vocabularies and bin edges of features.

    Users and items are numbered in the order in which the interactions, then the feature tables, name them. Those of a feature
    table alone have no interaction: such items are cold. Entities that their table does not name have missing features.
    """
    notes: list[str] = []
    corpus, learned = finished(reading(options, context), notes)
    return replace(corpus, notes=(*notes, *corpus.notes)), learned


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a user's own files."""
    return listed(reading(options, context))


def reading(options: FileOptions, context: DataContext) -> Reading[tuple[Corpus, Learned]]:
    """See :func:`from_files`."""
    places = {"train": options.path, "val": options.val, "test": options.test}
    files = {part: _find(path, context) for part, path in places.items() if path is not None}
    if files["train"].suffix == ".txt":
        if options.users is not None or options.items is not None:
            raise UsageError(
                "LightGCN's text numbers users and items; data.users and data.items need named ones (CSV, Parquet)."
            )
        corpus = yield from reading_of_parts(files["train"].stem, files)
        return (corpus if len(files) > 1 else replace(corpus, part=None)), {}
    logs: dict[str, Log | None] = {}
    for part, file in files.items():
        logs[part] = yield from attempt(_log(file, options))
    tables: dict[str, OwnTable | None] = {"user": None, "item": None}
    for side, path in (("user", options.users), ("item", options.items)):
        if path is not None:
            tables[side] = yield from attempt(read_own(_find(path, context)))
    whole = {part: log for part, log in logs.items() if log is not None}
    if len(whole) < len(logs):
        raise Refused(
            Faults("incomplete", str(options.path), "interactions that cannot be read", "them all", "Mend the faults above.")
        )
    return (yield from _join(files["train"].stem, whole, tables, options, context.fitted or {}))


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
    table = Table("the table in memory", plain_words(content), np.arange(1, content.num_rows + 1))

    def of_memory() -> Reading[Corpus]:
        log = yield from read_log(OwnTable(table), options)
        corpus, _ = yield from _join("memory", {"train": log}, {"user": None, "item": None}, options, {})
        return corpus

    notes: list[str] = []
    corpus = finished(of_memory(), notes)
    return replace(corpus, notes=(*notes, *corpus.notes))


def _find(path: Path, context: DataContext) -> Path:
    places = [path] + ([context.root / path] if context.root is not None else [])
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{' and '.join(map(str, places))}: no such file; give a table of interactions or of features.")


def _log(file: Path, options: TableOptions) -> Reading[Log]:
    own = yield from read_own(file)
    return (yield from read_log(own, options))


def _join(
    name: str,
    logs: Mapping[str, Log],
    tables: Mapping[str, OwnTable | None],
    options: TableOptions,
    fitted: Mapping[str, Any],
) -> Reading[tuple[Corpus, Learned]]:
    timed = [log.time for log in logs.values() if log.time is not None]
    if timed and len(timed) < len(logs):
        without = next(log.table.file for log in logs.values() if log.time is None)
        yield Faults(
            "no-times",
            without,
            f"no time column {options.columns.time!r}, which other files have",
            "times in all files or in none (some files have a time column)",
            "Give it to all.",
            column=options.columns.time,
        )
        timed = []
    if timed and len(moments := np.concatenate(timed)) > 1 and (moments == moments[0]).all():
        yield Faults(
            "one-moment",
            next(iter(logs.values())).table.file,
            "the same time in every row",
            "times that order interactions",
            "Choose data.split: random, or mend the column.",
            column=options.columns.time,
            harmless=True,
        )
    column = {"user": options.columns.user, "item": options.columns.item}
    sides: dict[str, Side] = {}
    for side in ("user", "item"):
        named = [log.users if side == "user" else log.items for log in logs.values()]
        sides[side] = yield from _number(side, column[side], logs, named, tables[side])
    features: dict[str, FeatureTable | None] = {}
    learned: Learned = {}
    for side, one in sides.items():
        features[side] = None
        if one.table is not None and isinstance(options, FileOptions):
            features[side], learned[side] = yield from read_features(
                one.table, column[side], one.kept, one.rows, len(one.names), options, fitted.get(side)
            )
    users, items = sides["user"], sides["item"]
    part = np.concatenate([np.full(len(log.rows), PART[p], np.int8) for p, log in logs.items()])
    user, item = np.concatenate(users.numbers), np.concatenate(items.numbers)
    yield from _across(logs, users, items, user, item, part)
    corpus = Corpus(
        name,
        len(users.names),
        len(items.names),
        user,
        item,
        np.concatenate(timed) if timed else None,
        part if len(logs) > 1 else None,
        user_features=features["user"],
        item_features=features["item"],
        user_names=tuple(users.names.to_pylist()),
        item_names=tuple(items.names.to_pylist()),
        unit="of the time column",
    )
    return corpus, learned


def _number(side: str, column: str, logs: Mapping[str, Log], named: list[pa.Array], own: OwnTable | None) -> Reading[Side]:
    """Numbers for the names of the logs, then for those of the feature table alone."""
    acting = pc.unique(pa.chunked_array(named))
    keys, kept = None, np.zeros(0, bool)
    names = acting
    if own is not None and (yield from require(own.table, column, hint=HINT)):
        keys = yield from ids(own.table, column, negative=False)
        again = yield from repeats(own.table, column, keys, "Join the rows; a cell may hold several values.")
        kept = mask(pc.is_valid(keys)) & ~again
        known = keys.filter(pa.array(kept))
        cold = kept & ~mask(pc.is_in(keys, value_set=acting))
        if cold.any():
            yield own.table.wrong(
                f"{side}-without-interaction",
                cold,
                column,
                f"{A[side]} that the interactions name",
                "It is kept, and no training pair tells of it." if side == "item" else "It is kept and never asked.",
                harmless=True,
            )
        for log, words in zip(logs.values(), named, strict=True):
            yield from _featureless(side, column, log, words, known, own.table)
        names = pa.concat_arrays([acting, keys.filter(pa.array(cold))])
    numbers = [np.asarray(pc.index_in(words, value_set=names), np.int64) for words in named]
    if keys is None:
        return Side(names, numbers, None, kept, np.empty(0, np.int64))
    rows = np.asarray(pc.index_in(keys.filter(pa.array(kept)), value_set=names), np.int64)
    return Side(names, numbers, own, kept, rows)


def _featureless(side: str, column: str, log: Log, words: pa.Array, known: pa.Array, table: Table) -> Reading[None]:
    """Users or items of a log that the feature table does not name, each told at its first row."""
    bare = np.flatnonzero(~mask(pc.is_in(words, value_set=known)))
    if len(bare):
        code = np.asarray(words.take(pa.array(bare)).dictionary_encode().indices)
        at = bare[np.unique(code, return_index=True)[1]]
        yield Faults(
            f"{side}-without-features",
            log.table.file,
            lambda k: repr(words[int(at[k])].as_py()),
            f"{A[side]} of {Path(table.file).name}",
            "Its features count as missing.",
            log.rows[at],
            column,
            harmless=True,
        )


def _across(
    logs: Mapping[str, Log], users: Side, items: Side, user: np.ndarray, item: np.ndarray, part: np.ndarray
) -> Reading[None]:
    """What is wrong with interactions taken together: pairs in two parts, users with too little to learn from or to be asked."""
    start = 0
    leaking, first = apart(user, item, part)
    trained = np.bincount(user[part == TRAIN], minlength=len(users.names))
    seen = np.bincount(user, minlength=len(users.names))
    for log in logs.values():
        own = slice(start, start + len(log.rows))
        start += len(log.rows)
        places = np.flatnonzero(leaking[own]) + own.start
        if len(places):
            yield Faults(
                "pair-in-two-parts",
                log.table.file,
                partial(_leak, users.names, items.names, user[places], item[places], part[first[places]]),
                "parts that share no pair",
                "Remove it from one of the files.",
                log.rows[places - own.start],
            )
        mine = user[own]
        opening = np.zeros(len(mine), bool)
        opening[np.unique(mine, return_index=True)[1]] = True
        for kind, places, expected, mend in (
            (
                "user-without-history",
                opening & (trained[mine] == 0) & (part[own] != TRAIN),
                "a user with a training pair",
                "What is held out of it is not asked.",
            ),
            (
                "one-interaction",
                opening & (seen[mine] == 1) & (trained[mine] == 1),
                "two interactions or more of each user",
                "It is trained on and cannot be asked.",
            ),
        ):
            at = np.flatnonzero(places)
            if len(at):
                yield Faults(
                    kind,
                    log.table.file,
                    partial(_user, users.names, mine[at]),
                    expected,
                    mend,
                    log.rows[at],
                    None,
                    harmless=True,
                )


def _leak(users: pa.Array, items: pa.Array, user: np.ndarray, item: np.ndarray, earlier: np.ndarray, k: int) -> str:
    pair = f"{users[int(user[k])].as_py()!r} with {items[int(item[k])].as_py()!r}"
    return f"{pair}, which is in the {PARTS[earlier[k]]} part too"


def _user(users: pa.Array, user: np.ndarray, k: int) -> str:
    return f"user {users[int(user[k])].as_py()!r}"
