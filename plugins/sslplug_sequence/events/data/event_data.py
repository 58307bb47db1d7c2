"""The data of one run: event sequences in batches of like length, and every entity in fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sslplug.contracts import LabelledRows, Order, RawFeatures, Target, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import LEVELS, Events
from sslplug_sequence.events.data.table import Encoding, EventTable
from sslplug_sequence.events.raw_features import entity_table, event_table

EVENTS_A_VIEW = 100_000
"""Events in one view of ``rows()``, padding counted, unless one entity alone has more."""
JITTER = 0.1
"""How much lengths are blurred before entities of like length are put into one batch, so that batches differ by epoch."""


def like_lengths(order: Order, lengths: np.ndarray) -> list[np.ndarray]:
    """Positions of each batch of this rank: entities of like length together, the batches in random order.

    A pure function of (order, lengths). Sequences are sorted by length times a random factor in [1, 1 + JITTER] and cut into
    batches of ``order.batch_size``; the batches, and the rows within each, are shuffled. Each of W ranks gets an equal share
    of each batch (at most W - 1 rows of a batch are left out); a ragged last batch is left out when a share would be one row.
    """
    rng = Rng.root(order.seed).fork("batches", order.epoch)
    generator = rng.numpy()
    size = order.batch_size or len(lengths)
    key = (lengths + 1.0) * (1.0 + JITTER * generator.random(len(lengths)))
    sorted_rows = np.argsort(key, kind="stable")
    # The ragged batch is cut where a random batch ends, so that it is not always the longest sequences'.
    ragged = len(lengths) % size
    cut = int(generator.integers(len(lengths) // size + 1)) * size
    edges = [*range(0, cut + 1, size), *range(cut + ragged, len(lengths) + 1, size)]
    batches = [generator.permutation(sorted_rows[a:b]) for a, b in zip(edges, edges[1:], strict=False) if b > a]
    found = []
    for number in generator.permutation(len(batches)):
        batch = batches[number]
        share = len(batch) // order.world
        if share >= 2 or (share == 1 and len(batch) == size):
            found.append(batch[order.rank * share : (order.rank + 1) * share])
    if not found:
        raise UsageError(f"{len(lengths)} sequences cannot be shared by {order.world} ranks; use fewer ranks.")
    return found


@dataclass(frozen=True)
class Batches(Sequence[Events]):
    """Batches made when asked for: ``make(entities)``."""

    make: Callable[[np.ndarray], Events]
    chosen: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        return self.make(self.chosen[step])


class EventData:
    """Entities with their events.

    training   (k,) entities whose events may be trained on (those of no test part)
    shortest   entities with fewer events are left out of training
    longest    only the last so many events of an entity are used
    bigrams    how many pairs of successive categories the raw features count
    """

    level = "entity"

    def __init__(
        self,
        table: EventTable,
        tasks: Mapping[str, Task],
        training: np.ndarray,
        encoding: Encoding,
        *,
        shortest: int = 2,
        longest: int = 5000,
        bigrams: int = 0,
        preprocessing: Mapping[str, Any],
    ) -> None:
        self.table, self.tasks, self.fitted, self.bigrams = table, tasks, encoding.to_json(), bigrams
        self.spec = encoding.spec()
        self._encoding, self._lookups = encoding, encoding.lookups(table)
        self._start = np.maximum(table.offsets[:-1], table.offsets[1:] - longest)
        self._length = table.offsets[1:] - self._start
        self._training = training[self._length[training] >= shortest]
        notes = list(table.notes)
        cut, short = int((table.lengths > longest).sum()), len(training) - len(self._training)
        if cut:
            notes.append(f"{cut} entities have more than {longest} events: the last {longest} are used")
        if short:
            notes.append(f"{short} entities have fewer than {shortest} events and are not trained on")
        self.description = {
            "name": table.name,
            "entities": len(table.entities),
            "events": len(table.time),
            "training entities": len(self._training),
            "categories": dict(self.spec.categories),
            "numbers": list(table.numeric),
            "time unit": table.unit,
            "preprocessing": dict(preprocessing),
            "notes": notes,
            "sha256": table.sha256,
        }

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """The entities' own names."""
        return {"entity": [str(name) for name in self.table.entities.tolist()]}

    def batches(self, order: Order) -> Sequence[Events]:
        """Shuffled batches of entities of like length, see :func:`like_lengths`."""
        if not len(self._training):
            raise DataError(f"{self.table.name}: no entity has events enough to be trained on; lower data.shortest.")
        shares = like_lengths(order, self._length[self._training])
        return Batches(lambda chosen: self._batch(chosen, order.labels), [self._training[share] for share in shares])

    def rows(self) -> Iterator[View]:
        """Every entity once, in order; event rows only where a task judges events."""
        levels = tuple(level for level in LEVELS if level == "entity" or any(t.level == level for t in self.tasks.values()))
        start, n = 0, len(self.table.entities)
        while start < n:
            longest = np.maximum.accumulate(self._length[start : start + 512])
            fits = int((longest * np.arange(1, len(longest) + 1) <= EVENTS_A_VIEW).sum())
            stop = start + max(fits, 1)
            batch = replace(self.gather(np.arange(start, stop)), levels=levels)
            yield View(batch, ids={"entity": batch.entity})
            start = stop

    def raw_features(self, task: Task) -> RawFeatures:
        """See :mod:`sslplug_sequence.events.raw_features`."""
        if task.level == "entity":
            return entity_table(self.table, self._encoding, self._start, self.bigrams)
        return event_table(self.table, self._encoding, self._start)

    def gather(self, entities: np.ndarray) -> Events:
        """The events of the named entities, encoded, in memory of its own."""
        length = self._length[entities]
        offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self._start[entities] - offsets[:-1], length)
        codes = self.table.codes[rows]
        encoded = np.empty(codes.shape, np.int64)
        for column, lookup in enumerate(self._lookups):
            encoded[:, column] = lookup[codes[:, column] + 1]
        numbers, given = self._encoding.scaled(self.table.numbers[rows])
        return Events(
            offsets=torch.from_numpy(offsets),
            time=torch.from_numpy(np.array(self.table.time[rows])),
            codes=torch.from_numpy(encoded),
            numbers=torch.from_numpy(numbers),
            given=torch.from_numpy(given),
            entity=torch.from_numpy(np.array(entities, np.int64)),
        )

    def _batch(self, entities: np.ndarray, labelled: LabelledRows | None) -> Events:
        batch = self.gather(entities)
        if labelled is None:
            return batch
        if labelled.task.level != "entity":
            raise UsageError(
                f"train.labels: task {labelled.task.name!r} labels {labelled.task.level} rows; events train on labels of "
                "entities alone. Name such a task."
            )
        rows = np.flatnonzero(np.isin(entities, labelled.rows))
        values = torch.from_numpy(labelled.task.labels[entities[rows]])
        values = values.float() if values.is_floating_point() else values
        return replace(batch, labels=Target("entity", values, torch.from_numpy(rows)))
