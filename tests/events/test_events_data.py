"""Data of event sequences: batches of like length, encodings of allowed rows, the generator, tasks."""

import json

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext, Order
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.data.event_data import EventData, like_lengths
from sslplug_sequence.events.data.shoppers import TYPES, shoppers
from sslplug_sequence.events.data.table import Encoding, EventTable, fit, make_table
from sslplug_sequence.events.tasks import folded, held_out, next_event_tasks, without_tests


def table(**changes: object) -> EventTable:
    """Three entities: 3 events, none, 2 events; written out of order."""
    given: dict[str, object] = {
        "name": "small",
        "entities": np.array(["ann", "ben", "cat"]),
        "owner": np.array([2, 0, 0, 2, 0]),
        "time": np.array([5.0, 2.0, 1.0, 4.0, 2.0]),
        "categories": {"shop": np.array(["x", "y", "y", "", "z"])},
        "numbers": {"amount": np.array([1.0, 2.0, np.nan, 4.0, 6.0])},
        "unit": "days",
    }
    return make_table(**(given | changes))  # type: ignore[arg-type]


def event_data(made: EventTable, training: list[int], **options: int) -> EventData:
    encoding = fit(made, np.array(training), (), 100)
    return EventData(made, {}, np.array(training), encoding, preprocessing={}, **options)  # type: ignore[arg-type]


def test_events_are_sorted_by_entity_and_time_and_ties_keep_their_order() -> None:
    made = table()
    assert made.offsets.tolist() == [0, 3, 3, 5]
    assert made.time.tolist() == [1, 2, 2, 4, 5]
    assert [made.values["shop"][c] if c >= 0 else None for c in made.codes[:, 0]] == ["y", "y", "z", None, "x"]
    assert "later one and were sorted by time" in made.notes[0]
    with pytest.raises(DataError, match="'amount' holds an infinity"):
        table(numbers={"amount": np.array([1, 2, 3, 4, np.inf])})


def test_vocabulary_and_scale_come_from_allowed_entities_alone() -> None:
    made = table()
    encoding = fit(made, np.array([0]), (), 100)
    assert encoding.vocabulary == {"shop": ("y", "z")}  # by frequency; cat's x is unseen
    assert encoding.mean == (4.0,)
    assert encoding.std == (2.0,)
    assert encoding.missing
    assert encoding.lookups(made)[0].tolist() == [1, 1, 2, 3]  # missing, x, y, z
    values, given = encoding.scaled(made.numbers)
    assert values[:, 0].tolist() == [0, -1, 1, 0, -1.5]
    assert given[:, 0].tolist() == [False, True, True, True, True]
    assert fit(made, np.array([0, 2]), ("amount",), 1).vocabulary == {"shop": ("y",)}
    logs = np.log1p([2.0, 6.0, 4.0, 1.0])
    assert fit(made, np.array([0, 2]), ("amount",), 1).mean[0] == pytest.approx(logs.mean())
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding
    with pytest.raises(DataError, match="no numeric field 'price'"):
        fit(made, np.array([0]), ("price",), 100)


def test_batches_hold_the_encoded_events() -> None:
    data = event_data(table(), [0, 1, 2], shortest=1)
    assert data.description["training entities"] == 2
    assert any("fewer than 1 events" in note for note in data.description["notes"])
    batch = data.gather(np.array([2, 1, 0]))
    assert batch.lengths.tolist() == [2, 0, 3]
    assert batch.codes[:, 0].tolist() == [1, 2 + 1, 2, 2, 4]  # "", x, y, y, z: y is the most frequent, then x, z by name
    views = list(data.rows())
    assert torch.cat([view.ids["entity"] for view in views]).tolist() == [0, 1, 2]
    assert views[0].data.levels == ("entity",)


def test_data_too_short_to_train_on_can_still_be_embedded() -> None:
    data = event_data(table(), [0, 1, 2], shortest=10)
    assert sum(len(view.data.entity) for view in data.rows()) == 3
    with pytest.raises(DataError, match=r"no entity has events enough to be trained on; lower data\.shortest"):
        data.batches(Order(0, 0))


def test_only_the_last_events_of_long_entities_are_used() -> None:
    data = event_data(table(), [0, 2], longest=2)
    assert data.gather(np.array([0])).time.tolist() == [2, 2]
    assert "1 entities have more than 2 events: the last 2 are used" in data.description["notes"]


def test_batches_of_like_length_waste_little_and_hold_everyone_once() -> None:
    lengths = (np.exp(np.random.default_rng(0).normal(3.5, 1.0, 6000)) + 1).astype(int)
    orders = [Order(0, epoch, batch_size=64) for epoch in range(3)]
    epochs = [like_lengths(order, lengths) for order in orders]
    for batches in epochs:
        assert sorted(np.concatenate(batches).tolist()) == list(range(6000))
        space = sum(len(batch) * lengths[batch].max() for batch in batches)
        assert 1 - lengths.sum() / space < 0.15
        sizes = [lengths[batch].mean() for batch in batches]
        assert abs(np.corrcoef(sizes, np.arange(len(sizes)))[0, 1]) < 0.5  # batches come in random order
    assert not np.array_equal(np.sort(epochs[0][0]), np.sort(epochs[1][0]))
    again = like_lengths(orders[0], lengths)
    assert all(np.array_equal(a, b) for a, b in zip(again, epochs[0], strict=True))
    with pytest.raises(UsageError, match="cannot be shared by 4 ranks"):
        like_lengths(Order(0, 0, world=4), lengths[:3])


def test_an_entity_of_a_hundred_thousand_events_is_embedded_whole_where_asked_for() -> None:
    many = 100_000
    made = table(
        owner=np.r_[np.zeros(many, int), 2],
        time=np.arange(many + 1.0),
        categories={"shop": np.array(["a", "b"])[np.arange(many + 1) % 2]},
        numbers={"amount": np.ones(many + 1)},
    )
    data = event_data(made, [0, 2], shortest=1, longest=many)
    views = list(data.rows())
    assert [int(view.data.lengths.sum()) for view in views] == [many, 1]
    assert torch.cat([view.data.entity for view in views]).tolist() == [0, 1, 2]
    assert len(data.batches(Order(0, 0))[0].time) == many + 1


def test_shoppers_are_what_the_generator_says() -> None:
    made = shoppers(400, 60.0, Rng.root(3))
    again, other = shoppers(400, 60.0, Rng.root(3)), shoppers(400, 60.0, Rng.root(4))
    assert made.sha256 == again.sha256 != other.sha256
    assert made.labels is not None
    assert made.lengths.mean() == pytest.approx(60, rel=0.1)
    assert 0.02 < np.isnan(made.numbers).mean() < 0.04
    owner = np.repeat(np.arange(400), made.lengths)
    same = np.diff(owner) == 0
    step = (np.diff(made.codes[:, 0]) != 0)[same]
    quick = (np.diff(made.time) < 0.5)[same]
    kind = made.labels[owner[:-1]][same]
    # Bursty types have more quick followers; roaming ones change the department more often within a burst.
    assert quick[kind >= 2].mean() > 1.5 * quick[kind < 2].mean()
    burst = quick & (kind >= 2)
    assert step[burst & (kind % 2 == 1)].mean() > step[burst & (kind % 2 == 0)].mean() + 0.2
    assert set(made.labels.tolist()) == set(range(len(TYPES)))


def test_new_data_are_encoded_as_an_earlier_run_has_fitted() -> None:
    component = DATA["shoppers"]
    first = component.build(component.options(shoppers=60), DataContext(None, None, 0))
    fitted = json.loads(json.dumps(dict(first.fitted)))
    second = component.build(component.options(shoppers=50), DataContext(None, None, 7, fitted=fitted))
    assert second.fitted == fitted
    own = component.build(component.options(shoppers=50), DataContext(None, None, 7))
    assert own.fitted != fitted
    assert own.table.sha256 == second.table.sha256


def test_tasks_keep_one_test_part_out_of_training() -> None:
    labels = np.array([0, 1] * 50 + [-1] * 5)
    test = held_out(labels, 0.2, Rng.root(0))
    assert np.bincount(labels[test]).tolist() == [10, 10]
    task = folded("t", "classification", labels, test, 4, (), "x")
    assert len(task.splits) == 4
    assert np.array_equal(np.sort(np.concatenate([split.val for split in task.splits])), np.setdiff1d(np.arange(100), test))
    assert all(np.array_equal(split.test, test) for split in task.splits)
    assert np.array_equal(without_tests(105, {"t": task}), np.setdiff1d(np.arange(105), test))
    with pytest.raises(DataError, match="smallest class has 40 training entities for 50 folds"):
        folded("t", "classification", labels, test, 50, (), "x")
    numbers = held_out(np.where(labels < 0, np.nan, labels * 0.5), 0.1, Rng.root(0))
    assert len(numbers) == 10


def test_next_event_tasks_ask_at_the_right_rows() -> None:
    made = shoppers(50, 20.0, Rng.root(1))
    parts = {"train": np.arange(30), "val": np.arange(30, 40), "test": np.arange(40, 50)}
    tasks = next_event_tasks(made, "department", parts, 10, 40, Rng.root(0), "p")
    which, when = tasks["next-department"], tasks["next-gap"]
    start = np.maximum(made.offsets[:-1], made.offsets[1:] - 10)
    events = np.concatenate([np.arange(a, b) for a, b in zip(start, made.offsets[1:])])  # rows of the event level
    assert which.members is not None
    row = events[which.members[:, 0]]
    assert (made.codes[row + 1, 0] == which.labels).all()
    owner = np.searchsorted(made.offsets, row, side="right") - 1
    assert np.array_equal(owner, which.groups)
    assert (row + 1 < made.offsets[owner + 1]).all()
    assert [len(part) for part in (which.splits[0].train, which.splits[0].val, which.splits[0].test)] == [40, 40, 40]
    gap = made.time[row + 1] - made.time[row]
    unit = np.median(gap[when.splits[0].train])
    np.testing.assert_allclose(when.labels, np.log1p(gap / unit))
    assert np.array_equal(without_tests(50, tasks), np.arange(40))
