"""The plugin's one batch type: event sequences of many entities, one after another, without padding.

Letters: n sequences, m events in all, c categorical fields, f numeric fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.contracts import Target
from sslplug.errors import DataError

LEVELS = ("entity", "event", "input")
"""entity: one row a sequence. event: one row an event, in context. input: an event by itself, before any context."""


@dataclass(frozen=True, eq=False)
class Events:
    """Sequences of events. Immutable; make variants with :func:`dataclasses.replace`, ``take`` and ``slices``.

    offsets  (n + 1,) int64: sequence i holds the events ``offsets[i]:offsets[i + 1]``; it may hold none
    time     (m,) float64, not decreasing within a sequence, in the data's unit
    codes    (m, c) int64: 1 missing or unseen, 2.. by frequency rank; 0 is kept for padding
    numbers  (m, f) float32, scaled; 0 where missing
    given    (m, f) bool: the number was recorded
    entity   (n,) int64: number of each sequence's entity in the whole data
    levels   the embedding levels an encoder is asked for
    labels   labels of the allowed entities of this batch (rows are positions), only where ``Order.labels`` asked for them
    """

    offsets: Tensor
    time: Tensor
    codes: Tensor
    numbers: Tensor
    given: Tensor
    entity: Tensor
    levels: tuple[str, ...] = LEVELS
    labels: Target | None = None

    def __post_init__(self) -> None:
        m = len(self.time)
        if self.offsets.dtype != torch.int64 or len(self.offsets) != len(self.entity) + 1:
            raise DataError(
                f"Events.offsets are {tuple(self.offsets.shape)} {self.offsets.dtype} for {len(self.entity)} entities; "
                "expected one more int64 than entities."
            )
        for name, tensor in (("codes", self.codes), ("numbers", self.numbers), ("given", self.given)):
            if tensor.ndim != 2 or len(tensor) != m:
                raise DataError(f"Events.{name} is {tuple(tensor.shape)}; expected one row for each of {m} events.")

    @property
    def device(self) -> torch.device:
        """Where the batch lies."""
        return self.time.device

    @property
    def lengths(self) -> Tensor:
        """(n,) int64: events of each sequence."""
        return self.offsets.diff()

    @property
    def owner(self) -> Tensor:
        """(m,) int64: the sequence of each event."""
        rows = torch.arange(len(self.entity), device=self.device)
        return rows.repeat_interleave(self.lengths, output_size=len(self.time))

    @property
    def position(self) -> Tensor:
        """(m,) int64: the place of each event in its sequence, from 0."""
        return torch.arange(len(self.time), device=self.device) - self.offsets[:-1][self.owner]

    @property
    def gaps(self) -> Tensor:
        """(m,) float64: time since the event before in the same sequence, 0 for the first."""
        before = torch.cat([self.time[:1], self.time[:-1]])
        return (self.time - before).masked_fill(self.position == 0, 0.0)

    @property
    def has_next(self) -> Tensor:
        """(k,) int64: the events that another one follows in the same sequence."""
        last = self.offsets[1:][self.lengths > 0] - 1
        inner = torch.ones(len(self.time), dtype=torch.bool, device=self.device).index_fill(0, last, False)
        return inner.nonzero()[:, 0]

    def slices(self, source: Tensor, start: Tensor, length: Tensor) -> Events:
        """The contiguous slices ``start[j] : start[j] + length[j]`` of the sequences ``source[j]``, in that order."""
        offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
        within = torch.arange(int(offsets[-1]), device=self.device)
        rows = within + (self.offsets[source] + start - offsets[:-1]).repeat_interleave(length, output_size=len(within))
        return self.events(rows, offsets, source)

    def events(self, rows: Tensor, offsets: Tensor, source: Tensor) -> Events:
        """New sequences made of the events ``rows``, cut at ``offsets``; sequence j belongs to the entity of ``source[j]``.

        Labels follow their entity to each of its new sequences.
        """
        return replace(
            self,
            offsets=offsets,
            time=self.time[rows],
            codes=self.codes[rows],
            numbers=self.numbers[rows],
            given=self.given[rows],
            entity=self.entity[source],
            labels=None if self.labels is None else _follow(self.labels, source),
        )

    def take(self, sequences: Tensor) -> Events:
        """The named sequences, whole."""
        return self.slices(sequences, torch.zeros_like(sequences), self.lengths[sequences])

    def padded(self, values: Tensor) -> Tensor:
        """(m, ...) values of events as (n, longest, ...), zeros where a sequence has ended."""
        longest = int(self.lengths.max()) if len(self.entity) else 0
        out = values.new_zeros(len(self.entity), longest, *values.shape[1:])
        return out.index_put((self.owner, self.position), values)

    def to(self, device: torch.device | str) -> Events:
        """The same batch on ``device``."""
        return replace(
            self,
            offsets=self.offsets.to(device),
            time=self.time.to(device),
            codes=self.codes.to(device),
            numbers=self.numbers.to(device),
            given=self.given.to(device),
            entity=self.entity.to(device),
            labels=None if self.labels is None else self.labels.to(device),
        )


def _follow(labels: Target, source: Tensor) -> Target:
    """The labels of sequences that come from the sequences ``source``, any number of them from one."""
    rows = labels.rows
    if rows is None:
        return Target(labels.level, labels.values[source], None)
    place = torch.full((int(torch.cat([rows, source]).max()) + 1 if len(source) else 1,), -1, device=source.device)
    place = place.to(torch.int64).index_put((rows,), torch.arange(len(rows), device=rows.device))
    found = place[source]
    here = (found >= 0).nonzero()[:, 0]
    return Target(labels.level, labels.values[found[here]], here)
