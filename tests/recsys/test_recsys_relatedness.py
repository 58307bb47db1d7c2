"""Relatedness: how baskets and cases are made, what the loss computes, and that training beats no training on later baskets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from sslplug.contracts import Embedding, Order, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug.testing.checks import Case, cases
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.plugin import PLUGIN
from sslplug_recsys.relatedness import RELATEDNESS_DATA, RELATEDNESS_ENCODERS, RELATEDNESS_VIEWS
from sslplug_recsys.relatedness.basket_data import BasketData, BasketOptions, ItemPairs, cosines, counts, pmi
from sslplug_recsys.relatedness.baskets import make_baskets
from sslplug_recsys.relatedness.encoder import ItemRows, ItemRowsOptions
from sslplug_recsys.relatedness.method import Together, TogetherOptions
from sslplug_recsys.relatedness.related_pairs import RelatedPairs, related_pairs
from sslplug_recsys.relatedness.views import Neighbours

RELATEDNESS = replace(
    PLUGIN,
    data=RELATEDNESS_DATA,
    views=RELATEDNESS_VIEWS,
    encoders=RELATEDNESS_ENCODERS,
    default_recipe="relatedness-tastes",
)


def relatedness_cases() -> list[Case]:
    return [case for case in cases(RELATEDNESS) if not case.id.startswith("recipe/") or "relatedness" in case.id]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in relatedness_cases()])
def test_conformance_of_relatedness(case: Case) -> None:
    result = case.result()
    assert result.passed, result.sentence


def corpus(rows: list[tuple[int, int, float]], items: int = 10) -> Corpus:
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    return Corpus("small", int(user.max()) + 1, items, user.astype(np.int64), item.astype(np.int64), time.astype(float))


def groups(seed: int = 0, users: int = 300) -> Corpus:
    """Items 0-19 in four groups of five that are bought together; baskets of three all through a year."""
    draw = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for start in np.sort(draw.uniform(0, 360, 6)):
            group = draw.integers(4)
            for place, member in enumerate(draw.permutation(5)[:3]):
                rows.append((user, int(5 * group + member), start + 0.1 * place))
    return corpus(rows, 20)


def test_baskets_end_at_gaps_users_and_periods() -> None:
    rows = [(0, 1, 0.0), (0, 2, 1.0), (0, 3, 9.0), (1, 4, 9.5), (1, 5, 10.0), (0, 6, 10.5), (0, 7, 20.0), (0, 8, 20.5)]
    made = make_baskets(corpus(rows), gap=2.0, val_share=0.25, test_share=0.25)
    # In the order of user and time: user 0's 1 2 | 3 || 6 || 7 8, user 1's 4 || 5; || are edges of periods.
    assert made.item.tolist() == [1, 2, 3, 6, 7, 8, 4, 5]
    assert made.period.tolist() == [0, 0, 0, 1, 2, 2, 0, 1]
    assert made.basket.tolist() == [0, 0, 1, 2, 3, 3, 4, 5]
    assert made.edges == (10.0, 20.0)
    assert made.pairs(0, 2).tolist() == [[1, 2]]
    assert made.of(2, 10).nonzero()[1].tolist() == [7, 8]
    with pytest.raises(UsageError, match="no times"):
        make_baskets(replace(corpus(rows), time=None), 1.0, 0.1, 0.1)
    with pytest.raises(DataError, match="no interaction in the training period"):
        make_baskets(corpus([(0, 1, 5.0), (0, 2, 5.0)]), 1.0, 0.1, 0.1)


def test_pairs_reach_so_far_and_never_join_an_item_with_itself() -> None:
    rows = [(0, item, 0.1 * place) for place, item in enumerate([1, 2, 2, 3])] + [(1, 9, 50.0), (2, 9, 60.0)]
    made = make_baskets(corpus(rows), gap=1.0, val_share=0.2, test_share=0.1)
    assert sorted(made.pairs(0, 1).tolist()) == [[1, 2], [2, 3]]
    assert sorted(made.pairs(0, 2).tolist()) == [[1, 2], [1, 2], [2, 3], [2, 3]]


def test_cases_have_lift_later_and_others_of_like_popularity() -> None:
    later = sparse.csr_matrix(
        np.array([[1, 1, 0, 1, 0]] * 3 + [[0, 0, 1, 1, 1]] * 3 + [[0, 0, 0, 1, 0]] * 3, dtype=np.float32)
    )
    popularity = np.array([10.0, 9.0, 8.0, 50.0, 0.0])
    # c: 3 3 3 9 3 of 9. Lift of (0, 1) is 3 * 9 / 9 = 3; item 3 is with everybody: lift 1; item 4 is not known.
    found = related_pairs(later, popularity, 3, 2.0, 100, "small")
    assert {found.a[0], found.b[0]} == {0, 1}
    assert len(found.a) == 1
    assert found.other[0] == 2
    assert not found.head[0]
    with pytest.raises(DataError, match="no pair of items shares 4 baskets"):
        related_pairs(later, popularity, 4, 2.0, 100, "small")


def test_matching_makes_popularity_worthless() -> None:
    draw = np.random.default_rng(0)
    weight = 1.0 / (1 + np.arange(300))
    later = sparse.csr_matrix((draw.random((800, 300)) < 8 * weight / weight.sum()).astype(np.float32))
    popularity = np.asarray(later.sum(0)).ravel() + draw.integers(0, 3, 300)
    found = related_pairs(later, popularity, 2, 1.0, 2000, "small")
    assert len(found.a) > 200
    rank = np.empty(300)
    rank[np.argsort(-popularity, kind="stable")] = np.arange(300)
    assert np.abs(rank[found.b] - rank[found.other]).max() <= 20
    together = (later.T @ later).toarray()
    assert (together[found.a, found.other] == 0).all()
    assert (together[found.a, found.b] >= 2).all()


def test_mrr_and_precision_by_hand() -> None:
    cases_ = RelatedPairs(np.array([0, 0, 1]), np.array([1, 2, 3]), np.array([3, 4, 4]), np.array([True, False, False]))
    scores = np.array([[9.0, 5, 3, 4, 1], [0, 9, 0, 0, 0]])
    found = cases_.measure(lambda rows: scores[rows])
    # Beside 0: 1, 3, 2, 4. Beside 1 all others are alike, and ties count against the answer.
    np.testing.assert_allclose(found["mrr"], [1, 1 / 3, 1 / 4])
    np.testing.assert_allclose(found["mrr/head"], [1])
    # Related 5, 3, 0; unrelated 4, 1, 0: precision 1 at recall 1/3, 2/3 at 2/3, 3/6 at 1.
    np.testing.assert_allclose(found["auc_pr"], [(1 + 2 / 3 + 1 / 2) / 3])
    assert set(found) == set(cases_.metrics)


def test_baselines_by_hand() -> None:
    baskets = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]], dtype=np.float32))
    together = (baskets.T @ baskets).tocsr()
    assert counts(together)(np.array([1])).tolist() == [[2, 2, 0]]
    np.testing.assert_allclose(pmi(together, 4)(np.array([0]))[0, 1:], [np.log(2 * 4 / 8), np.log(1 * 4 / 4)])
    assert pmi(together, 4)(np.array([1]))[0, 2] == -1e9
    rows = np.array([[1.0, 0], [2, 0], [0, 3]])
    np.testing.assert_allclose(cosines(rows)(np.array([0])), [[1, 1, 0]], atol=1e-6)


class Table(torch.nn.Module):
    """Fixed rows."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(rows)

    def forward(self, view: View) -> Embedding:
        return Embedding({"item": self.rows[view.data.rows]})


@pytest.mark.parametrize("log_q", [False, True])
def test_the_loss_by_hand(log_q: bool) -> None:
    rows = torch.randn(6, 3, generator=Rng.root(0).torch())
    share = torch.tensor([5.0, 1, 2, 4, 1, 3])
    method = Together(TogetherOptions(temperature=0.5, log_q=log_q), Neighbours(), Table(rows), share)
    # Pairs 0 and 1 share item 1, pairs 0 and 3 are the same items turned; 2 shares with none.
    batch = ItemPairs(torch.tensor([0, 1, 3, 1]), torch.tensor([1, 2, 4, 0]), torch.arange(4))
    unit = torch.nn.functional.normalize(rows, dim=1)
    ends = [{0, 1}, {1, 2}, {3, 4}, {0, 1}]
    total = []
    for first, second in ((batch.first, batch.second), (batch.second, batch.first)):
        for i in range(4):
            allowed = [j for j in range(4) if j == i or not ends[i] & ends[j]]
            scores = torch.stack([unit[first[i]] @ unit[second[j]] / 0.5 for j in allowed])
            if log_q:
                scores = scores - (share / share.sum()).log()[second[torch.tensor(allowed)]]
            total.append(scores.logsumexp(0) - scores[allowed.index(i)])
    torch.testing.assert_close(method(batch, Rng.root(0))["together"], torch.stack(total).mean())


def test_subsampling_thins_frequent_items_and_keeps_the_number_of_steps() -> None:
    source = corpus([(u, item, u + 0.01 * p) for u in range(200) for p, item in enumerate([0, 1, 2 + u % 7])], 10)
    made = {t: BasketData(source, BasketOptions(gap=1.0, subsample=t, reach=1, least_lift=0.1)) for t in (0.0, 0.05)}
    all_pairs, thinned = (data.batches(Order(0, 0, batch_size=16)) for data in made.values())
    assert len(thinned) < len(all_pairs)
    data = made[0.05]
    assert len({len(data.batches(Order(0, epoch, batch_size=16))) for epoch in range(4)}) == 1
    frequent = [
        np.mean([((b.first == 0) & (b.second == 1)).float().mean() for epoch in range(8) for b in d.batches(Order(0, epoch, batch_size=16))])
        for d in made.values()
    ]  # fmt: skip
    assert frequent[1] < frequent[0] - 0.05


def test_training_pairs_come_from_before_the_cut() -> None:
    # From the test period on all items have other numbers; some of them were there in training too, so that there are cases.
    source = groups()
    time = source.time
    assert time is not None
    late = time >= np.sort(time)[round(0.8 * len(time))]
    moved = np.where(late, source.item + 20, source.item)
    made = make_baskets(replace(source, item=moved, items=40), 1.0, 0.1, 0.2)
    assert made.pairs(0, 2).max() < 20
    assert made.pairs(1, 2).max() < 20
    assert made.pairs(2, 2).min() >= 20
    with pytest.raises(DataError, match="no pair of items"):
        BasketData(replace(source, item=moved, items=40), BasketOptions(gap=1.0))
    data = BasketData(replace(source, item=moved, items=40), BasketOptions(gap=1.0, judge="val"))
    assert all(int(torch.maximum(b.first, b.second).max()) < 20 for b in data.batches(Order(0, 0, batch_size=64)))


def test_training_finds_the_groups() -> None:
    data = BasketData(groups(), BasketOptions(gap=1.0))
    torch.manual_seed(0)
    encoder = ItemRows(ItemRowsOptions(dim=8), data.spec)
    method = Together(TogetherOptions(), Neighbours(), encoder, data.spec.popularity)
    optimiser = torch.optim.Adam(method.parameters(), 0.05)
    measured: list[Any] = []
    for epoch in range(4):
        with torch.no_grad():
            measured.append(data.cases.measure(cosines(encoder(next(iter(data.rows())))["item"].numpy())))
        for batch in data.batches(Order(0, epoch, batch_size=128)):
            optimiser.zero_grad()
            method(batch, Rng.root(0))["together"].backward()
            optimiser.step()
    assert measured[0]["auc_pr"] < 0.75
    assert measured[-1]["auc_pr"] > 0.99
    assert measured[-1]["mrr"].mean() > 0.4  # four partners share the first four places: 0.52 at best
