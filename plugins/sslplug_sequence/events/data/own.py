"""A user's own events and labels: read once for training and for checking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from sslplug.contracts import DataContext, Fault, Faults, Reading, Refused, Task, attempt, finished, listed
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.events.data.builders import entity_task, event_data, next_tasks
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.data.files import Columns, read_events
from sslplug_sequence.events.data.label_files import with_labels
from sslplug_sequence.events.data.oddities import strange_events
from sslplug_sequence.events.data.options import FileOptions
from sslplug_sequence.events.data.table import EventTable
from sslplug_sequence.events.tasks import held_out

Read = tuple[EventTable, dict[str, Task]]


def build_files(options: FileOptions, context: DataContext) -> EventData:
    """A user's own events; a relative path is looked up from here, then below the data root."""
    notes: list[str] = []
    table, tasks = finished(_reading(options, context), notes)
    return event_data(replace(table, notes=(*table.notes, *notes)), tasks, options, context)


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a user's own events."""
    return listed(_checked(options, context))


def _checked(options: FileOptions, context: DataContext) -> Reading[None]:
    """The reading, and what its owner may not have meant."""
    table, _ = yield from _reading(options, context)
    file = str(_place(options.path, context))
    yield from strange_events(table, file, options.columns.entity, options.columns.time, options.shortest, options.longest)


def _reading(options: FileOptions, context: DataContext) -> Reading[Read]:
    """Events, and the tasks on them. Who embeds with a trained encoder asks for no label."""
    c = options.columns
    path = _place(options.path, context)
    folder = context.cache / "events" / path.stem if options.on_disk else None
    table = yield from read_events(path, Columns(c.entity, c.time, c.categories, c.numbers), folder)
    if context.fitted is not None:
        return table, {}
    rng = Rng.root(context.seed)
    tasks: dict[str, Task] = {}
    test = held_out(np.zeros(len(table.entities), np.int64), options.test_share, rng)
    if options.labels is not None:
        file = _place(options.labels, context)
        labelled = yield from attempt(with_labels(table, file, c.entity, c.label, options.kind == "regression"))
        table = labelled or table
        if table.labels is not None:
            made = yield from attempt(_task(table, options, str(file), rng))
            if made is not None:
                tasks, test = made
    if options.next_event is not None:
        if options.next_event not in table.values:
            raise UsageError(f"data.next_event: {options.next_event!r} is no category; there are {', '.join(table.values)}.")
        tasks |= next_tasks(table, options.next_event, test, options, rng)
    return table, tasks


def _task(table: EventTable, options: FileOptions, file: str, rng: Rng) -> Reading[tuple[dict[str, Task], np.ndarray]]:
    yield from ()
    try:
        return entity_task(table, options.columns.label, options.kind, options, rng)
    except DataError as error:
        mend = "Label more entities, join classes, or change data.test_share and data.folds."
        expected = "labelled entities of each class to train, to validate and to test"
        raise Refused(Faults("few-of-a-class", file, str(error), expected, mend, column=options.columns.label)) from error


def _place(path: Path, context: DataContext) -> Path:
    places = [path] + ([context.root / path] if context.root is not None else [])
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        told = f"no such file; {' and '.join(map(str, places))} are looked up"
        raise Refused(Faults("no-file", str(path), told, "a .parquet or .csv table", "Check the path."))
    return found
