"""Leave-one-out: what of each user's sequence trains, what validates and what tests.

Of a sequence s_1 .. s_n in time order, s_1 .. s_{n-2} train; the validation history is s_1 .. s_{n-2} and asks for s_{n-1};
the test history is s_1 .. s_{n-1} and asks for s_n (Kang and McAuley 2018, section IV).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHORTEST = 3
"""Items of a sequence that can be cut: one to train on, one to validate and one to test."""


@dataclass(frozen=True)
class Sequences:
    """Packed sequences of item numbers: sequence i is ``items[offsets[i]:offsets[i + 1]]``, in time order."""

    offsets: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(n,) items of each sequence."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(m,) int64: the sequence of each item."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def between(self, start: np.ndarray, stop: np.ndarray, source: np.ndarray) -> Sequences:
        """The parts ``start:stop`` (places within a sequence) of the sequences ``source``, in memory of their own."""
        length = stop - start
        offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[source] + start - offsets[:-1], length)
        return Sequences(offsets, self.items[places])

    def last(self, most: int) -> Sequences:
        """Of every sequence its last ``most`` items."""
        length = self.lengths
        return self.between(np.maximum(length - most, 0), length, np.arange(len(self)))


def joined(first: Sequences, second: Sequences) -> Sequences:
    """The sequences of both, one after another."""
    return Sequences(
        np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]), np.concatenate([first.items, second.items])
    )


@dataclass(frozen=True)
class LeaveOneOut:
    """The parts of n sequences. A sequence shorter than :data:`SHORTEST` trains whole and is never asked.

    train      what may be learned from
    val, test  histories of the ``asked`` sequences, in their order
    asked      (k,) int64 sequences with a validation and a test item
    wanted     (k, 2) int64: the validation and the test item
    """

    train: Sequences
    val: Sequences
    test: Sequences
    asked: np.ndarray
    wanted: np.ndarray


def leave_one_out(whole: Sequences) -> LeaveOneOut:
    """The last item of each sequence tests, the one before it validates, the others train."""
    length = whole.lengths
    asked = np.flatnonzero(length >= SHORTEST)
    kept = np.where(length >= SHORTEST, length - 2, length)
    zero, end = np.zeros(len(asked), np.int64), whole.offsets[1:][asked]
    return LeaveOneOut(
        train=whole.between(np.zeros_like(kept), kept, np.arange(len(whole))),
        val=whole.between(zero, length[asked] - 2, asked),
        test=whole.between(zero, length[asked] - 1, asked),
        asked=asked,
        wanted=np.stack([whole.items[end - 2], whole.items[end - 1]], 1),
    )


def prefixes(train: Sequences, longest: int) -> tuple[Sequences, np.ndarray]:
    """(every training sequence up to each of its items from the second on, the last ``longest`` items; their sequence)."""
    count = np.maximum(train.lengths - 1, 0)
    source = np.repeat(np.arange(len(train)), count)
    before = np.cumsum(count) - count
    stop = np.arange(len(source)) - before[source] + 2
    return train.between(np.maximum(stop - longest, 0), stop, source), source
