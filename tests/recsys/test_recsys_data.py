"""Splits, batches, slices, pair features and feature tables against values worked out independently."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sslplug.contracts import DataContext, Order, RankingTask
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.data import DATA
from sslplug_recsys.data.corpus import TEST, TRAIN, UNUSED, VAL, Corpus
from sslplug_recsys.data.features import binned, edges_of, several, single, table_of
from sslplug_recsys.data.rec_data import PairData, shares
from sslplug_recsys.data.split import divide
from sslplug_recsys.data.tastes import tastes
from sslplug_recsys.feature_table import MISSING, FeatureTable
from sslplug_recsys.raw_features import SHRINK
from sslplug_recsys.tasks import popularity_slices


def corpus(seed: int = 0, users: int = 30, items: int = 40, time: bool = True) -> Corpus:
    draw = np.random.default_rng(seed)
    wanted = draw.random((users, items)) < draw.uniform(0.05, 0.5, users)[:, None]
    wanted[0] = False  # a user without any interaction
    wanted[:, 0] = False  # an item without any
    user, item = np.nonzero(wanted)
    order = draw.permutation(len(user))
    stamps = draw.integers(0, 50, len(user)).astype(float) if time else None
    return Corpus("test", users, items, user[order].astype(np.int64), item[order].astype(np.int64), stamps)


def small(**options: object) -> PairData:
    given = {"users": 60, "items": 80, "interactions": 12.0, **options}
    data = DATA["tastes"].build(DATA["tastes"].options(**given), DataContext(None, Path("nowhere"), 1))
    assert isinstance(data, PairData)
    return data


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(["random", "leave_one_out", "time"]))
def test_splits_keep_their_promises(seed: int, kind: str) -> None:
    data = corpus(seed)
    found = divide(data, kind, "holdout", 0.2, 0.1, 5)  # type: ignore[arg-type]
    part, user = found.part, data.user
    assert data.time is not None
    trained = set(user[part == TRAIN])
    assert set(user[(part == VAL) | (part == TEST)]) <= trained
    assert not set(user[part == UNUSED]) & trained
    if kind == "random":
        for who in set(user):
            count, n = Counter(part[user == who].tolist()), int((user == who).sum())
            tests = min(max(round(0.2 * n), int(n >= 3)), n - 1)
            assert count[TEST] == tests
            assert count[TRAIN] >= 1
            assert abs(count[VAL] - 0.1 * n) <= 1.0
    elif kind == "leave_one_out":
        for who in set(user):
            mine, when = part[user == who], data.time[user == who]
            if len(mine) < 3:
                assert (mine == TRAIN).all()
            else:
                assert sorted(mine)[-2:] == [VAL, TEST]
                assert (mine == TRAIN).sum() == len(mine) - 2
                assert when[mine == TEST][0] >= when[mine == VAL][0] >= when[mine == TRAIN].max()
    else:
        held = part != TRAIN
        latest = data.time[part == TRAIN].max()
        assert latest < data.time[held].min()
        if (part == VAL).any():
            assert data.time[part == VAL].max() < data.time[part == TEST].min()


def test_split_hash_depends_on_content_alone() -> None:
    data = corpus(3)
    assert data.time is not None
    order = np.lexsort((data.item, data.user))
    unique = data.time + np.arange(len(data.time)) / 1e4  # simultaneous pairs keep the source's order: leave none
    one = Corpus("one", data.users, data.items, data.user, data.item, unique)
    two = Corpus("two", data.users, data.items, data.user[order], data.item[order], unique[order])
    a, b = (divide(c, "leave_one_out", "holdout", 0.2, 0.1, 5) for c in (one, two))
    assert a.sha256 == b.sha256
    assert divide(one, "time", "holdout", 0.2, 0.1, 5).sha256 != a.sha256


def test_validation_none_trains_on_validation_pairs() -> None:
    data = corpus(1)
    kept, whole = (divide(data, "leave_one_out", v, 0.2, 0.1, 5) for v in ("holdout", "none"))  # type: ignore[arg-type]
    assert (whole.part == TRAIN).sum() == (kept.part == TRAIN).sum() + (kept.part == VAL).sum()
    assert np.array_equal(whole.part == TEST, kept.part == TEST)


def test_held_out_validation_is_the_same_for_every_seed() -> None:
    data = corpus(2)
    published = Corpus(
        "test", data.users, data.items, data.user, data.item, part=divide(data, "random", "none", 0.2, 0.0, 1).part
    )
    parts = [divide(published, "given", "holdout", 0.2, 0.1, seed) for seed in (0, 1)]
    assert parts[0].sha256 == parts[1].sha256
    assert not parts[0].drawn
    assert (parts[0].part == VAL).any()
    drawn = [divide(data, "random", "holdout", 0.2, 0.1, seed) for seed in (0, 1)]
    assert drawn[0].sha256 != drawn[1].sha256
    assert drawn[0].drawn


def test_splits_that_cannot_be_are_refused() -> None:
    data = corpus(0, time=False)
    with pytest.raises(UsageError, match="has no times"):
        divide(data, "leave_one_out", "holdout", 0.2, 0.1, 0)
    with pytest.raises(UsageError, match="no published split"):
        divide(data, "given", "holdout", 0.2, 0.1, 0)
    one = Corpus("one", 2, 2, np.array([0, 1]), np.array([0, 1]))
    with pytest.raises(DataError, match="leaves no test pair"):
        divide(one, "random", "holdout", 0.2, 0.1, 0)
    with pytest.raises(DataError, match="interaction 2: item 7; expected a number from 0 to 1"):
        Corpus("bad", 2, 2, np.array([0, 1]), np.array([0, 7]))


def test_batches_are_the_training_pairs_and_nothing_else() -> None:
    data = small()
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    seen = [(int(u), int(i)) for batch in data.batches(Order(0, 0, batch_size=32)) for u, i in zip(batch.users, batch.items)]
    trained = set(zip(data.spec.user.tolist(), data.spec.item.tolist(), strict=True))
    assert len(seen) == len(set(seen))
    assert set(seen) <= trained
    assert len(trained) - len(seen) < 16
    for part in task.parts.values():
        rows, items = part.relevant.nonzero()
        held = set(zip(part.queries[rows].tolist(), items.tolist(), strict=True))
        assert held
        assert not held & trained
    assert data.spec.popularity.tolist() == [len([1 for _, i in trained if i == item]) for item in range(80)]


def test_ranks_share_each_batch() -> None:
    whole = shares(Order(4, 2, batch_size=32), 203)
    parts = [shares(Order(4, 2, rank, 3, 32), 203) for rank in range(3)]
    assert [len(w) for w in whole] == [32] * 6  # the last eleven pairs are fewer than half a batch
    for step, batch in enumerate(whole):
        assert np.array_equal(np.concatenate([part[step] for part in parts]), batch)
    assert len(shares(Order(0, 0, batch_size=32), 208)) == 7
    with pytest.raises(UsageError, match="cannot be shared by 4 ranks"):
        shares(Order(0, 0, 0, 4, 3), 10)


def test_head_covers_half_of_the_pairs() -> None:
    slices = popularity_slices(np.array([1, 50, 0, 30, 10, 9]))
    assert slices["head"].tolist() == [False, True, False, False, False, False]
    assert slices["tail"].tolist() == [True, False, False, True, True, True]
    assert slices["cold"].tolist() == [False, False, True, False, False, False]
    assert "cold" not in popularity_slices(np.array([3, 2]))


def test_pair_features_against_plain_loops() -> None:
    data = small(split="random")
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert task.pairs is not None
    assert task.interactions is not None
    users, items = np.array([3, 3, 10, 7]), np.array([5, 6, 5, 40])
    raw = task.pairs(users, items)
    train, values = task.interactions.toarray(), np.asarray(raw.values)
    count = train.sum(0)
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        assert values[row, 0] == count[item]
        assert values[row, 2] == train[user].sum()
        near = [
            (train[:, item] * train[:, j]).sum() / (np.sqrt(count[item] * count[j]) + SHRINK) if count[j] else 0.0
            for j in range(80)
        ]
        near[item] = 0.0
        kept = sorted(range(80), key=lambda j: -near[j])[:50]
        mine = [near[j] for j in kept if train[user, j]]
        assert values[row, 4] == pytest.approx(sum(mine), rel=1e-5)
        assert values[row, 5] == pytest.approx(max(mine, default=0.0), rel=1e-5)
    assert not np.isinf(values).any()
    codes = values[:, raw.categorical]
    assert (np.isnan(codes) | (codes == np.round(codes))).all()


def test_pair_features_never_see_what_is_held_out() -> None:
    data = small(split="leave_one_out")
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert task.pairs is not None
    users, items = (a.ravel() for a in np.meshgrid(np.arange(20), np.arange(30)))
    trained = data.division.part == TRAIN
    c = data.corpus
    assert c.time is not None
    bare = Corpus(
        "bare", c.users, c.items, c.user[trained], c.item[trained], c.time[trained], None, c.user_features, c.item_features
    )
    alone = PairData(bare, divide(bare, "random", "none", 0.2, 0.0, 0), {})
    other = alone.tasks["next-items"]
    assert isinstance(other, RankingTask)
    assert other.pairs is not None
    # The same training pairs give the same features, whatever was held out beside them.
    table = small(split="leave_one_out").tasks["next-items"]
    assert isinstance(table, RankingTask)
    assert table.pairs is not None
    np.testing.assert_array_equal(task.pairs(users, items).values, table.pairs(users, items).values)
    assert task.interactions is not None
    assert task.interactions.nnz == trained.sum()
    assert not np.array_equal(task.pairs(users, items).values, other.pairs(users, items).values, equal_nan=True)


def test_feature_tables_by_frequency() -> None:
    fields = {"kind": several([["b", "a"], ["a", "a"], [], ["c"]]), "one": single(["x", "", "y", "x"])}
    table, words = table_of(fields, 4)
    assert words == {"kind": ["a", "b", "c"], "one": ["x", "y"]}
    assert table.sizes == (4, 3)
    assert [c.tolist() for c in table.codes] == [[1, 2, 1, MISSING, 3], [1, MISSING, 2, 1]]
    rare, words = table_of(fields, 4, most=1)
    assert words["kind"] == ["a"]
    assert rare.codes[0].tolist() == [1, 1, MISSING, MISSING]
    assert table_of(fields, 4, least=2)[1] == {"kind": ["a"], "one": ["x"]}
    taken = table.take(torch.tensor([3, 0]))
    assert taken.offsets[0].tolist() == [0, 1, 3]
    assert taken.codes[0].tolist() == [3, 1, 2]
    kept = table.keep([torch.tensor([False, True, False, False, True]), torch.tensor([True, True, True, False])])
    assert kept.codes[0].tolist() == [2, MISSING, MISSING, 3]
    assert kept.offsets[0].tolist() == [0, 1, 2, 3, 4]
    assert kept.codes[1].tolist() == [1, MISSING, 2, MISSING]
    with pytest.raises(DataError, match="expected as many of each"):
        FeatureTable(("a",), (2, 3), table.offsets, table.codes)


def test_bins_of_equal_frequency() -> None:
    values = np.array([*np.arange(100.0), np.nan])
    words = binned(values, edges_of(values))
    assert Counter(words[:-1]) == {f"bin {b}": 10 for b in range(10)}
    assert words[-1] == ""


def test_histories_are_taken_whole() -> None:
    histories = Histories(torch.tensor([0, 2, 2, 5]), torch.tensor([4, 5, 6, 7, 8]), torch.tensor([9, 8, 7]))
    taken = histories.take(torch.tensor([2, 1, 2]))
    assert taken.offsets.tolist() == [0, 3, 3, 6]
    assert taken.items.tolist() == [6, 7, 8, 6, 7, 8]
    assert taken.users.tolist() == [7, 8, 7]
    assert taken.owner.tolist() == [0, 0, 0, 2, 2, 2]


def test_tastes_are_seeded_tasteful_and_skewed() -> None:
    first, again, other = (tastes(200, 300, 20.0, Rng.root(seed)) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert len(set(zip(first.user.tolist(), first.item.tolist(), strict=True))) == len(first.user)
    assert first.time is not None
    assert (np.diff(first.time)[np.diff(first.user) == 0] >= 0).all()
    count = np.sort(np.bincount(first.item, minlength=300))[::-1]
    assert count[:30].sum() > 1.4 * count[-150:].sum()  # a tenth of the items is taken more than half of them
    # A user's items share brands more than chance would have it.
    assert first.item_features is not None
    brand = first.item_features.codes[0].numpy()[first.item]
    same = np.mean([np.mean(b[:, None] == b[None, :]) for b in np.split(brand, np.cumsum(np.bincount(first.user))[:-1])])
    assert same > 1.3 * np.mean(brand[:, None] == np.random.default_rng(0).permutation(brand)[None, :])


def test_the_default_data_has_a_tail_and_cold_items() -> None:
    data = DATA["tastes"].build(DATA["tastes"].options(), DataContext(None, Path("nowhere"), 0))
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert task.drawn
    relevant = task.parts["test"].relevant
    wanted = {name: int(relevant[:, mask].nnz) for name, mask in task.slices.items()}
    assert wanted["head"] > 500
    assert wanted["tail"] > 500
    assert wanted["cold"] > 20
