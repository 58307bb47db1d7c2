"""ReLoop2: what the memory holds, what it leaves alone, in which order things are known, and that it helps where clicks drift."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.reloop import (
    Blend,
    ClickModel,
    ClickOptions,
    Clicks,
    DriftOptions,
    ErrorMemory,
    auc,
    drifting_clicks,
    grouped_auc,
    movielens_clicks,
    replay,
    report,
    train_clicks,
)
from sslplug_recsys.reloop.click_model import incremental

WIDTH = 4


def events(n: int = 200, seed: int = 0) -> Clicks:
    draw = np.random.default_rng(seed)
    return Clicks(
        draw.integers(10, size=n), draw.integers(20, size=n), np.sort(draw.random(n)), (draw.random(n) < 0.4).astype(float), 10, 20
    )  # fmt: skip


TABLE = torch.randn(20, WIDTH, generator=Rng.root(0).torch())


def score(users: np.ndarray, items: np.ndarray) -> tuple[Tensor, Tensor]:
    """A model that was never trained: any callable will do."""
    keys = TABLE[torch.from_numpy(items)] + 0.1 * torch.from_numpy(users)[:, None]
    return keys.sum(1).sigmoid(), keys


def memory(tables: int = 5, bits: int = 6) -> ErrorMemory:
    return ErrorMemory(WIDTH, tables, bits, Rng.root(1))


def test_strength_zero_and_an_empty_memory_leave_the_base() -> None:
    clicks = events()
    none = replay(clicks, score)
    still = replay(clicks, score, memory=memory(), blend=Blend(0.0, 0.5))
    np.testing.assert_array_equal(still.corrected, still.base)
    np.testing.assert_array_equal(none.corrected, none.base)
    moved = replay(clicks, score, memory=memory(), blend=Blend(0.5, 0.5))
    np.testing.assert_array_equal(moved.base, none.base)
    first = moved.slot == 0
    np.testing.assert_array_equal(moved.corrected[first], moved.base[first])
    assert (moved.corrected[~first] != moved.base[~first]).mean() > 0.9


def test_a_bucket_holds_the_running_mean_of_what_collided() -> None:
    one = memory(tables=1, bits=2)
    keys = torch.randn(50, WIDTH, generator=Rng.root(3).torch())
    labels, base = (torch.rand(50, generator=Rng.root(4).torch()) < 0.5).double(), torch.rand(50).double()
    bucket = one.buckets(keys)[:, 0]
    for start in (0, 20):  # written in two parts
        part = slice(start, start + 30) if start else slice(0, 20)
        one.write(keys[part], labels[part], base[part])
    said = one.read(keys)
    for number in bucket.unique():
        same = bucket == number
        torch.testing.assert_close(said[0][same], labels[same].mean().expand(int(same.sum())))
        torch.testing.assert_close(said[1][same], base[same].mean().expand(int(same.sum())))
    one.clear()
    assert not one.read(keys)[2].any()


def test_reading_averages_the_means_of_buckets_that_hold_something() -> None:
    two = memory(tables=2, bits=3)
    keys = torch.randn(30, WIDTH, generator=Rng.root(5).torch())
    two.write(keys[:3], torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.5, 0.2, 0.1]))
    written, asked = two.buckets(keys[:3]), two.buckets(keys)
    labels, _, known = two.read(keys)
    partly = 0
    for row in range(30):
        means = []
        for table in range(2):
            hit = written[:, table] == asked[row, table]
            if hit.any():
                means.append(float(torch.tensor([1.0, 0.0, 1.0])[hit].mean()))
        partly += len(means) == 1
        assert bool(known[row]) == bool(means)
        assert float(labels[row]) == pytest.approx(np.mean(means) if means else 0.0)
    assert partly > 0


def test_similar_keys_share_buckets_and_signs_are_of_projections() -> None:
    many = memory(tables=200, bits=1)
    a = torch.tensor([[1.0, 0, 0, 0], [0.0, 1, 0, 0], [1.0, 0.1, 0, 0], [-1.0, 0, 0, 0], [3.0, 0, 0, 0]])
    rows = many.buckets(a)
    share = (rows == rows[0]).float().mean(1)
    # P(equal signs) = 1 - angle / pi.
    assert float(share[1]) == pytest.approx(0.5, abs=0.12)
    assert float(share[2]) > 0.9
    assert (float(share[3]), float(share[4])) == (0.0, 1.0)
    centred = ErrorMemory(WIDTH, 3, 4, Rng.root(1), centre=a[0])
    torch.testing.assert_close(centred.buckets(a + a[0]), ErrorMemory(WIDTH, 3, 4, Rng.root(1)).buckets(a))


def test_blends_by_hand() -> None:
    base, labels, said = (torch.tensor([x], dtype=torch.float64) for x in (0.3, 0.9, 0.5))
    known = torch.tensor([True])
    assert float(Blend(0.5, 1.0).correct(base, labels, said, known)) == pytest.approx(0.5 * 0.3 + 0.5 * 0.9)
    assert float(Blend(0.5, 0.0).correct(base, labels, said, known)) == pytest.approx(0.3 + 0.5 * 0.4)
    assert float(Blend(0.5, 0.25).correct(base, labels, said, known)) == pytest.approx(0.3 + 0.5 * (0.25 * 0.6 + 0.75 * 0.4))
    assert float(Blend(1.0, 0.0).correct(base + 0.5, labels, said, known)) == 1.0
    assert float(Blend(0.5, 1.0).correct(base, labels, said, ~known)) == pytest.approx(0.3)
    with pytest.raises(UsageError, match="strength"):
        Blend(1.5)


def test_the_order_inside_a_slot_changes_nothing() -> None:
    clicks = events(300)
    same_time = replace(clicks, time=np.repeat(np.arange(10.0), 30))
    order = np.concatenate([start + np.random.default_rng(start).permutation(30) for start in range(0, 300, 30)])
    turned = Clicks(
        same_time.user[order], same_time.item[order], same_time.time, same_time.click[order], clicks.users, clicks.items
    )
    first = replay(same_time, score, memory=memory())
    second = replay(turned, score, memory=memory())
    np.testing.assert_allclose(second.corrected, first.corrected[order], rtol=1e-12)
    assert report(same_time, first) == pytest.approx(report(turned, second))


def test_no_label_is_known_before_its_slot_was_predicted() -> None:
    clicks = events(400)
    flipped = replace(clicks, click=np.where(np.arange(400) >= 200, 1 - clicks.click, clicks.click))
    first, second = (replay(one, score, memory=memory()) for one in (clicks, flipped))
    # Labels differ from slot 5 on; predictions may differ from slot 6 on.
    before = first.slot <= 5
    np.testing.assert_array_equal(first.corrected[before], second.corrected[before])
    assert not np.allclose(first.corrected[~before], second.corrected[~before])
    seen: list[str] = []

    def watched(users: np.ndarray, items: np.ndarray) -> tuple[Tensor, Tensor]:
        seen.append(f"score {len(users)}")
        return score(users, items)

    replay(clicks, watched, slots=4, learn=lambda users, items, click: seen.append(f"learn {int(click.sum())}"))
    counts = [int(part.sum()) for part in np.split(clicks.click, 4)]
    assert seen == [word for count in counts for word in ("score 100", f"learn {count}")]


def test_bad_streams_are_refused() -> None:
    clicks = events()
    with pytest.raises(DataError, match="older than the one before"):
        replace(clicks, time=clicks.time[::-1].copy())
    with pytest.raises(DataError, match="other values"):
        replace(clicks, click=clicks.click * 2)
    with pytest.raises(DataError, match="not in time order"):
        replay(clicks, score, rows=np.arange(200)[::-1])
    with pytest.raises(UsageError, match="5 impressions in 10 slots"):
        replay(clicks, score, rows=np.arange(5))
    with pytest.raises(UsageError, match="25 bits"):
        ErrorMemory(3, 1, 25, Rng.root(0))
    with pytest.raises(DataError, match=r"keys are \(2, 3\)"):
        memory().read(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="moving"):
        DriftOptions(moving=2.0)


def test_auc_and_gauc_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    click, user = (draw.random(500) < 0.3).astype(float), draw.integers(40, size=500)
    said = np.round(draw.random(500) + 0.2 * click, 1)  # ties
    assert auc(click, said) == pytest.approx(roc_auc_score(click, said))
    click[user < 3] = 0.0  # one class alone
    parts = [
        (roc_auc_score(click[user == u], said[user == u]), (user == u).sum())
        for u in range(40)
        if 0 < click[user == u].mean() < 1
    ]
    values, weights = zip(*parts, strict=True)
    assert len(parts) < 40
    assert grouped_auc(click, said, user) == pytest.approx(np.average(values, weights=weights))
    with pytest.raises(DataError, match="no group holds both"):
        auc(np.ones(3), np.arange(3.0))


def test_the_memory_helps_where_clicks_drift_and_incremental_training_helps_too() -> None:
    clicks = drifting_clicks(DriftOptions(users=60, items=30, impressions=8000), Rng.root(0))
    train, test = np.split(np.arange(8000), [4000])
    model = ClickModel(ClickOptions(width=8, hidden=(32, 16), dropout=0.0, lr=5e-3), clicks, Rng.root(0))
    optimiser = train_clicks(model, clicks, train, 4, Rng.root(0))
    with torch.no_grad():
        centre = model(clicks.user[train], clicks.item[train])[1].double().mean(0)
    made = ErrorMemory(16, 20, 9, Rng.root(2), centre)
    told = report(clicks, replay(clicks, model, rows=test, memory=made, blend=Blend(0.9, 0.0)))
    assert told["auc/corrected"] > told["auc/base"] + 0.003
    assert told["gauc/corrected"] > told["gauc/base"] + 0.003
    frozen = copy.deepcopy(model)
    ways = incremental(model, frozen, optimiser, Rng.root(3))
    later = report(clicks, replay(clicks, ways[0], rows=test, learn=ways[1]))
    assert later["auc/base"] > told["auc/base"] + 0.003
    # Keys stay those of the model before the stream.
    said = ways[0](clicks.user[test], clicks.item[test])
    torch.testing.assert_close(said[1], frozen(clicks.user[test], clicks.item[test])[1])


def test_the_same_seed_gives_the_same_stream_and_the_same_model() -> None:
    one, two = (drifting_clicks(DriftOptions(impressions=500), Rng.root(4)) for _ in range(2))
    np.testing.assert_array_equal(one.click, two.click)
    state = torch.get_rng_state()
    models = [ClickModel(ClickOptions(), one, Rng.root(5)) for _ in range(2)]
    for model in models:
        train_clicks(model, one, np.arange(500), 1, Rng.root(6))
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)
    late = one.item[one.time < 0.5]
    assert len(np.unique(late)) < len(np.unique(one.item))  # fresh items come in the second half


@pytest.mark.skipif("SSLPLUG_DATA" not in os.environ, reason="needs the data root")
def test_movielens_in_time_order(tmp_path: Path) -> None:
    clicks = movielens_clicks(DataContext(Path(os.environ["SSLPLUG_DATA"]), tmp_path, 0))
    assert (len(clicks), clicks.users, clicks.items) == (100_000, 943, 1682)
    assert int(clicks.click.sum()) == 55_375
