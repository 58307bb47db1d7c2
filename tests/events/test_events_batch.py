"""The batch type: slices, gaps, labels that follow their entity."""

import pytest
import torch

from sslplug.contracts import Target
from sslplug.errors import DataError
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.encoders.transformer import groups


def events(lengths: list[int], labels: Target | None = None) -> Events:
    """Sequences whose events are numbered through; times are squares of the number."""
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    m = int(offsets[-1])
    number = torch.arange(m)
    return Events(
        offsets=offsets,
        time=number.double() ** 2,
        codes=number[:, None] + 1,
        numbers=torch.stack([number, -number], 1).float(),
        given=torch.ones(m, 2, dtype=torch.bool),
        entity=torch.arange(len(lengths)) * 10,
        labels=labels,
    )


def test_slices_are_the_named_contiguous_events() -> None:
    batch = events([3, 0, 5, 2])
    sliced = batch.slices(torch.tensor([2, 0, 2, 1]), torch.tensor([1, 0, 3, 0]), torch.tensor([3, 2, 2, 0]))
    assert sliced.offsets.tolist() == [0, 3, 5, 7, 7]
    assert (sliced.codes[:, 0] - 1).tolist() == [4, 5, 6, 0, 1, 6, 7]
    assert sliced.entity.tolist() == [20, 0, 20, 10]
    assert torch.equal(sliced.numbers[:, 0], (sliced.codes[:, 0] - 1).float())
    whole = batch.take(torch.tensor([3, 1, 0]))
    assert whole.lengths.tolist() == [2, 0, 3]
    assert (whole.codes[:, 0] - 1).tolist() == [8, 9, 0, 1, 2]


def test_gaps_positions_and_successors() -> None:
    batch = events([3, 0, 2])
    assert batch.gaps.tolist() == [0, 1, 3, 0, 7]
    assert batch.position.tolist() == [0, 1, 2, 0, 1]
    assert batch.owner.tolist() == [0, 0, 0, 2, 2]
    assert batch.has_next.tolist() == [0, 1, 3]


def test_padding_puts_every_event_in_its_place() -> None:
    batch = events([2, 0, 3])
    padded = batch.padded(batch.numbers[:, 0])
    assert padded.tolist() == [[0, 1, 0], [0, 0, 0], [2, 3, 4]]


def test_labels_follow_their_entity() -> None:
    labels = Target("entity", torch.tensor([7, 9]), torch.tensor([0, 2]))
    sliced = events([3, 1, 5], labels).slices(torch.tensor([2, 1, 0, 2]), torch.zeros(4).long(), torch.ones(4).long())
    assert sliced.labels is not None
    assert sliced.labels.rows is not None
    assert sliced.labels.rows.tolist() == [0, 2, 3]
    assert sliced.labels.values.tolist() == [9, 7, 9]


def test_a_batch_of_other_lengths_is_refused() -> None:
    batch = events([3, 2])
    with pytest.raises(DataError, match=r"codes is \(4, 1\); expected one row for each of 5 events"):
        Events(batch.offsets, batch.time, batch.codes[:4], batch.numbers, batch.given, batch.entity)


def test_groups_of_like_length_hold_every_sequence_once_with_little_padding() -> None:
    lengths = torch.randint(0, 300, (500,), generator=torch.Generator().manual_seed(0))
    found = groups(lengths)
    every = torch.cat(found)
    assert sorted(every.tolist()) == [i for i in range(500) if lengths[i] > 0]
    space = sum(len(group) * int(lengths[group].max()) for group in found)
    assert 1 - float(lengths.sum()) / space < 0.15
