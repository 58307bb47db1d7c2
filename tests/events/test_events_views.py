"""Views of event sequences: what they cut, hide, replace and ask for."""

from dataclasses import replace

import pytest
import torch

from sslplug.contracts import DataContext, LabelledRows, Order, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.views import VIEWS


@pytest.fixture(scope="module")
def data() -> EventData:
    return DATA["shoppers"].build(DATA["shoppers"].options(shoppers=80, events=30), DataContext(None, None, 0))


@pytest.fixture(scope="module")
def batch(data: EventData) -> Events:
    return data.batches(Order(0, 0))[0]


def views(name: str, data: EventData, batch: Events, seed: int = 0, **options: object) -> list[View]:
    component = VIEWS[name]
    return component.build(component.options(**options), data.spec)(batch, Rng.root(seed))


def test_slices_are_contiguous_parts_of_the_lengths_asked_for(data: EventData, batch: Events) -> None:
    made = views("slices", data, batch, slices=5, shortest=8, longest=20, drop_rate=0.0)
    assert [len(view.data.entity) for view in made] == [3 * len(batch.entity), 2 * len(batch.entity)]
    lengths = dict(zip(batch.entity.tolist(), batch.lengths.tolist(), strict=True))
    times = {int(e): part for e, part in zip(batch.entity, batch.time.split(batch.lengths.tolist()), strict=True)}
    seen = set()
    for view in made:
        assert torch.equal(view.ids["entity"], view.data.entity)
        for entity, part in zip(view.data.entity.tolist(), view.data.time.split(view.data.lengths.tolist()), strict=True):
            n = lengths[entity]
            assert (len(part) == n) if n <= 8 else (8 <= len(part) <= min(20, n))
            start = int(torch.searchsorted(times[entity], part[0]))
            assert torch.equal(times[entity][start : start + len(part)], part)
            seen.add((len(part), start))
    assert len(seen) > 100  # slices differ
    assert {length for length, _ in seen} >= set(range(8, 21))


def test_slices_of_an_entity_do_not_depend_on_its_neighbours(data: EventData, batch: Events) -> None:
    whole = views("slices", data, batch, drop_rate=0.0)[0].data
    few = views("slices", data, batch.take(torch.tensor([5, 2])), drop_rate=0.0)[0].data
    for place, sequence in enumerate([5, 2]):
        mine = whole.take(torch.arange(3) + 3 * sequence)
        torch.testing.assert_close(mine.time, few.take(torch.arange(3) + 3 * place).time)


def test_dropped_events_are_as_many_as_declared_and_none_loses_all(data: EventData, batch: Events) -> None:
    full = views("slices", data, batch, drop_rate=0.0)
    for rate in (0.2, 0.999):
        thin = views("slices", data, batch, drop_rate=rate)
        share = 1 - sum(len(v.data.time) for v in thin) / sum(len(v.data.time) for v in full)
        if rate == 0.2:
            assert share == pytest.approx(0.2, abs=0.02)
        assert all((view.data.lengths > 0).all() for view in thin)


def test_next_event_asks_for_what_follows(data: EventData, batch: Events) -> None:
    (view,) = views("next", data, batch, longest=25)
    assert int(view.data.lengths.max()) == 25
    for target in view.targets.values():
        assert target.rows is not None
        assert torch.equal(target.rows, view.data.has_next)
    row = int(view.targets["gap"].rows[7])
    follower = row + 1
    assert int(view.targets["department"].values[7]) == int(view.data.codes[follower, 0])
    gap = float(view.data.time[follower] - view.data.time[row])
    scale = data.spec.gap
    wanted = (torch.log1p(torch.tensor(gap / scale.unit)) - scale.mean) / scale.std
    assert float(view.targets["gap"].values[7, 0]) == pytest.approx(float(wanted), rel=1e-5)
    numbers = view.targets["numbers"].values
    assert torch.equal(numbers.isnan(), ~view.data.given[view.data.has_next + 1])
    assert 0 < float(numbers.isnan().float().mean()) < 0.1
    assert VIEWS["next"].outputs(VIEWS["next"].options(), data.spec) == {
        "department": 12, "channel": 5, "gap": 1, "numbers": 1, "given": 1
    }  # fmt: skip
    with pytest.raises(UsageError, match="no field 'colour'; they have department, channel, gap, numbers, given"):
        views("next", data, batch, targets=["colour"])


def test_replaced_events_are_the_ones_the_target_names(data: EventData, batch: Events) -> None:
    (view,) = views("replace", data, batch, rate=0.2)
    clean = views("clean", data, batch)[0].data
    target = view.targets["replaced"]
    assert target.rows is not None
    assert torch.equal(target.rows, (clean.position > 0).nonzero()[:, 0])
    assert float(target.values.float().mean()) == pytest.approx(0.2, abs=0.01)
    same = (view.data.codes == clean.codes).all(1) & (view.data.numbers == clean.numbers).all(1)
    assert same[target.rows[target.values == 0]].all()
    assert (~same[target.rows[target.values == 1]]).float().mean() > 0.9  # another event may look alike by chance
    assert torch.equal(view.data.time, clean.time)
    (untouched,) = views("replace", data, batch, rate=0.0)
    assert torch.equal(untouched.data.codes, clean.codes)
    assert not untouched.targets["replaced"].values.any()


@pytest.mark.parametrize("kind", ["swap", "next"])
def test_order_swaps_parts_without_a_telling_gap(kind: str, data: EventData, batch: Events) -> None:
    (view,) = views("order", data, batch, kind=kind)
    target = view.targets["order"]
    assert target.rows is not None
    altered = torch.zeros(len(batch.entity), dtype=torch.bool)
    altered[target.rows[target.values == 0]] = True
    assert 0.3 < float(altered.float().mean()) < 0.7
    assert (view.data.gaps >= 0).all()
    if kind == "swap":
        assert torch.equal(view.data.lengths, batch.lengths)
    else:
        assert int(view.data.lengths.sum()) == int(batch.lengths.sum())
    for sequence in range(len(batch.entity)):
        old, new = batch.take(torch.tensor([sequence])), view.data.take(torch.tensor([sequence]))
        if not altered[sequence]:
            assert torch.equal(old.codes, new.codes)
            torch.testing.assert_close(old.gaps, new.gaps)
        elif kind == "swap":
            assert sorted(old.numbers[:, 0].tolist()) == sorted(new.numbers[:, 0].tolist())
            cuts = [c for c in range(1, len(old.time)) if torch.equal(torch.cat([old.codes[c:], old.codes[:c]]), new.codes)]
            assert cuts
            # The gaps are those of the sequence in another order, the meeting point's included.
            torch.testing.assert_close(old.gaps.sort().values, new.gaps.sort().values)


def test_rate_of_masks_and_of_sequences_of_one_event(data: EventData, batch: Events) -> None:
    single = batch.slices(torch.arange(4), torch.zeros(4).long(), torch.ones(4).long())
    for name in VIEWS:
        for view in views(name, data, single):
            assert len(view.data.entity) in (4, 8, 12)
    (masked,) = views("mask", data, batch, rate=0.4)
    rows = masked.mask["event"].nonzero()[:, 0]
    assert len(rows) == round(0.4 * len(batch.time))
    assert torch.equal(masked.targets["channel"].values, masked.data.codes[rows, 1])


def test_labels_reach_every_slice_of_a_labelled_entity(data: EventData) -> None:
    task = data.tasks["customer-type"]
    rows = task.splits[0].train[:10]
    batch = data.batches(Order(0, 0, labels=LabelledRows(task, rows)))[0]
    for view in views("slices", data, batch):
        target = view.targets["label"]
        entity = view.data.entity[target.rows]
        assert sorted(set(entity.tolist())) == sorted(rows.tolist())
        assert torch.equal(target.values, torch.from_numpy(task.labels)[entity])
    assert not any("label" in view.targets for view in views("slices", data, replace(batch, labels=None)))


@pytest.mark.parametrize(
    "options",
    [{"slices": 5}, {"slices": 4}, {"slices": 3, "views": 3}, {"slices": 2, "whole": True}, {"slices": 4, "whole": True}],
)
def test_slices_say_where_their_rows_match_many_to_many(data: EventData, batch: Events, options: dict[str, int]) -> None:
    ids = [view.ids["entity"] for view in views("slices", data, batch, **options)]
    component = VIEWS["slices"]
    assert ("uneven" in component.provides(component.options(**options))) == (len({len(one) for one in ids}) > 1)
