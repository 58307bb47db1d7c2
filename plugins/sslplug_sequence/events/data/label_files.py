"""Labels of a user's entities: a second table, one row an entity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.cells import ids, numbers
from sslplug.contracts.classes import classes_of
from sslplug.contracts.tables import mask, read_table, require
from sslplug_sequence.events.data.table import EventTable

HINT = "Rename it, or name yours in data.columns (--set data.columns.label=name)."


def with_labels(table: EventTable, file: Path, entity: str, label: str, numeric: bool) -> Reading[EventTable]:
    """``table`` with the labels of ``file``. Entities without events are added, empty, and told."""
    if file.suffix not in (".parquet", ".csv"):
        found = file.suffix or "no suffix"
        raise Refused(Faults("unknown-format", str(file), found, "a label table in .parquet or .csv", "Export it so."))
    read = yield from read_table(file)
    if not (yield from require(read, entity, label, hint=HINT)):
        columns = f"the columns {', '.join(read.content.column_names)}"
        raise Refused(Faults("missing-columns", read.file, columns, f"{entity!r} and {label!r}", HINT))
    if not len(read):
        raise Refused(Faults("no-rows", read.file, "no row", "one row an entity", "Export it again."))
    whose = yield from ids(read, entity)
    classes: tuple[str, ...] = ()
    if numeric:
        values = yield from numbers(read, label, None)
        given = np.isfinite(values)
        if not given.any():
            raise Refused(
                Faults("empty-labels", read.file, "no number", "a label of some entities", "Fill it.", column=label)
            )
    else:
        codes, classes = yield from classes_of(read, label)
        if codes is None:  # told: nothing that could be classes
            return table
        values, given = codes, codes >= 0
    first = np.asarray(pc.fill_null(pc.index_in(whose, value_set=pc.unique(whose.drop_null())), -1), np.int64)
    named = np.flatnonzero(first >= 0)
    _, opening = np.unique(first[named], return_index=True)
    start = named[opening]
    repeated = np.setdiff1d(named, start)
    if len(repeated):
        before = start[first[repeated]]
        differs = (values[repeated] != values[before]) & (given[repeated] | given[before])
        word = [str(value) for value in values.tolist()] if numeric else [classes[c] if c >= 0 else "none" for c in values]
        for kind, chosen, mend in (
            ("conflicting-label", differs, "Which is right? Keep one row."),
            ("repeated-label", ~differs, "It counts once."),
        ):
            if chosen.any():
                rows, earlier = repeated[chosen], before[chosen]
                names = [whose[int(row)].as_py() for row in rows]
                told = [
                    f"entity {name!r} again with the label {word[row]!r} (in row {read.rows[old]}: {word[old]!r})"
                    for name, row, old in zip(names, rows, earlier, strict=True)
                ]
                yield Faults(
                    kind,
                    read.file,
                    told.__getitem__,
                    "one label an entity",
                    mend,
                    read.rows[rows],
                    label,
                    harmless=kind == "repeated-label",
                )
    known = pa.array(table.entities.tolist(), pa.large_string())
    absent = start[~mask(pc.is_in(whose.take(pa.array(start)), value_set=known))]
    if len(absent):
        yield read.wrong(
            "label-without-event",
            absent,
            entity,
            "an entity of the event table",
            "It is embedded as an entity without an event.",
            harmless=True,
        )
    empty = [str(whose[int(row)].as_py()) for row in absent]
    entities = np.concatenate([table.entities, np.array(empty, dtype=object)])
    offsets = np.concatenate([table.offsets, np.full(len(empty), table.offsets[-1])])
    asked = pa.array(entities.tolist(), pa.large_string())
    place = np.asarray(pc.fill_null(pc.index_in(asked, value_set=whose.take(pa.array(start))), -1))
    missing = np.nan if numeric else -1
    labels = np.where(place >= 0, values[start][place], missing).astype(np.float64 if numeric else np.int64)
    return replace(table, entities=entities, offsets=offsets, labels=labels, classes=classes)
