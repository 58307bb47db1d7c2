"""Item towers: mutual information, masks, inputs, the in-batch softmax, cold items, against values worked out independently."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sslplug.build import compose, schema_of
from sslplug.contracts import Assembly, DataContext, Order, Views
from sslplug.discovery import recipes_of
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug.recipe import read_recipe, resolve
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.data import DATA
from sslplug_recsys.data.features import several, single, table_of
from sslplug_recsys.data.rec_data import PairData
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.plugin import PLUGIN
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.towers import masked_items, pairs, sampled_softmax, two_tower
from sslplug_recsys.towers.mutual_information import correlated, mutual_information


def table() -> FeatureTable:
    """Six fields of 40 items: b tells a, c is noise, d tells half of a, e has several values, f is constant."""
    draw = np.random.default_rng(0)
    a = draw.integers(4, size=40)
    words = {
        "a": single(a.astype(str)),
        "b": single((a * 2 + draw.integers(2, size=40)).astype(str)),
        "c": single(draw.integers(3, size=40).astype(str)),
        "d": single((a // 2).astype(str)),
        "e": several([[str(k) for k in draw.choice(5, size=1 + n % 3, replace=False)] for n in range(40)]),
        "f": single(np.full(40, "x")),
    }
    return table_of(words, 40)[0]


def spec() -> RecSpec:
    draw = np.random.default_rng(1)
    user, item = torch.from_numpy(draw.integers(10, size=60)), torch.from_numpy(draw.integers(30, size=60))
    return RecSpec(10, 40, user, item, torch.bincount(item, minlength=40), None, table())


def batch(b: int = 12) -> Pairs:
    given = spec()
    return Pairs(given.user[:b], given.item[:b], torch.arange(b))


def test_mutual_information_against_counting() -> None:
    fields = table()
    found = mutual_information(fields)
    columns = [[set(c[s:e].tolist()) for s, e in zip(o, o[1:], strict=False)] for o, c in zip(fields.offsets, fields.codes)]
    for i in range(6):
        for j in range(6):
            joint = np.zeros((9, 9))
            for left, right in zip(columns[i], columns[j], strict=True):
                for x in left:
                    for y in right:
                        if i != j or x == y:
                            joint[x, y] += 1 / (40 * len(left) * (1 if i == j else len(right)))
            p, q = joint.sum(1), joint.sum(0)
            expected = sum(
                joint[x, y] * math.log(joint[x, y] / (p[x] * q[y])) for x in range(9) for y in range(9) if joint[x, y] > 0
            )
            assert found[i, j] == pytest.approx(expected, abs=1e-12)
    counts = np.bincount(fields.codes[0].numpy()) / 40
    entropy = -sum(p * math.log(p) for p in counts if p > 0)
    assert found[0, 0] == pytest.approx(entropy)
    assert found[0, 1] == pytest.approx(entropy)  # b tells a
    assert found[5, 5] == pytest.approx(0.0)  # a constant tells nothing


def test_partners_are_the_most_informative_fields() -> None:
    information = mutual_information(table())
    chosen = correlated(information)
    assert chosen.diagonal().all()
    assert (chosen.sum(1) == 4).all()  # the seed and floor(6 / 2) others
    for seed in range(6):
        rest = [f for f in range(6) if f != seed]
        inside = [information[seed, f] for f in rest if chosen[seed, f]]
        outside = [information[seed, f] for f in rest if not chosen[seed, f]]
        assert min(inside) >= max(outside)
    assert {1, 3} <= set(np.flatnonzero(chosen[0]))  # b and d are correlated with a
    assert correlated(np.eye(2)).tolist() == [[True, False], [False, True]]  # something is left for the complement


@pytest.mark.parametrize("mask", ["correlated", "random"])
def test_complementary_masks_partition_the_fields(mask: str) -> None:
    views = masked_items.build(masked_items.MaskedItemOptions(mask=mask), spec())  # type: ignore[arg-type]
    met = set()
    for seed in range(30):
        first, second = views.fields(Rng.root(seed))
        assert bool((first ^ second).all())
        met.add(tuple(first.tolist()))
        one, two = views(batch(), Rng.root(seed))
        for view, masked in ((one, first), (two, second)):
            assert view.data.hidden is not None
            assert torch.equal(view.data.hidden, masked.expand(12, -1))  # one seed field a batch, not an item
    if mask == "correlated":
        allowed = {tuple(row) for row in correlated(mutual_information(table())).tolist()}
        assert met == allowed
    else:
        assert len(met) > 10
        assert {sum(one) for one in met} == {3}


def test_masks_without_complement_and_none() -> None:
    alone = masked_items.build(masked_items.MaskedItemOptions(mask="alone"), spec())
    looks = [alone.fields(Rng.root(seed)) for seed in range(30)]
    assert any(bool((a & b).any()) for a, b in looks)
    none = masked_items.build(masked_items.MaskedItemOptions(mask="none"), spec())
    one, two = none(batch(), Rng.root(0))
    assert one.data.hidden is None
    assert two.data.features is None
    encoder = two_tower.build(two_tower.TwoTowerOptions(), spec())
    assert torch.equal(encoder(one)["item"], encoder(two)["item"])  # the spread-out baseline


def test_items_are_drawn_uniformly_from_the_catalogue_and_once() -> None:
    views = masked_items.build(masked_items.MaskedItemOptions(items=10), spec())
    count = torch.zeros(40)
    for seed in range(200):
        rows = views(batch(), Rng.root(seed))[0].data.rows
        assert len(set(rows.tolist())) == 10
        count[rows] += 1
    # 50 draws each on average, also of the ten items without any training pair.
    assert 25 < count.min() <= count.max() < 80
    other = Pairs(batch().users, batch().items, torch.arange(100, 112))
    assert not torch.equal(views(batch(), Rng.root(0))[0].data.rows, views(other, Rng.root(0))[0].data.rows)
    assert len(masked_items.build(masked_items.MaskedItemOptions(items=99), spec())(batch(), Rng.root(0))[0].data) == 40


def test_dropout_of_single_values() -> None:
    fields = table()
    before = fields.offsets[4].diff()
    dropped = masked_items.drop_values(fields, 0.5, Rng.root(3))
    after = dropped.offsets[4].diff()
    assert bool((after >= 1).all())
    assert bool((after <= before).all())
    several_ = before > 1
    lost = 1 - after[several_].sum() / before[several_].sum()
    assert 0.25 < float(lost) < 0.55  # one value is always kept
    for field in (0, 1, 2, 3, 5):
        assert torch.equal(dropped.codes[field], fields.codes[field])  # a single value is not dropped
    same = masked_items.drop_values(fields, 0.0, Rng.root(3))
    assert all(torch.equal(a, b) for a, b in zip(same.codes, fields.codes, strict=True))
    views = masked_items.build(masked_items.MaskedItemOptions(mask="none", drop_rate=0.6), spec())
    one, two = views(batch(), Rng.root(0))
    assert not torch.equal(one.data.features.offsets[4], two.data.features.offsets[4])


def test_what_cannot_be_masked_is_refused() -> None:
    bare = RecSpec(10, 40, spec().user, spec().item, spec().popularity)
    baskets = RecSpec(10, 40, bare.user, bare.item, bare.popularity, None, table(), batches="baskets")
    with pytest.raises(UsageError, match="need .user, item. pairs"):
        pairs.build(pairs.TowerOptions(), baskets)
    with pytest.raises(UsageError, match="need .user, item. pairs"):
        masked_items.build(masked_items.MaskedItemOptions(), baskets)
    with pytest.raises(UsageError, match="no features to mask"):
        masked_items.build(masked_items.MaskedItemOptions(), bare)
    one = RecSpec(10, 40, bare.user, bare.item, bare.popularity, None, table_of({"a": single(["x"] * 40)}, 40)[0])
    with pytest.raises(UsageError, match="needs two fields"):
        masked_items.build(masked_items.MaskedItemOptions(), one)
    assert masked_items.build(masked_items.MaskedItemOptions(mask="none"), one)
    with pytest.raises(UsageError, match="item_ids must be true"):
        two_tower.build(two_tower.TwoTowerOptions(), bare)


def test_input_averages_values_and_hides_fields() -> None:
    encoder = two_tower.build(two_tower.TwoTowerOptions(width=4, item_ids=True), spec())
    tower, fields = encoder.item.input, table()
    rows = torch.tensor([2, 39, 5])
    found = tower(Entities(rows))
    for place, item in enumerate(rows.tolist()):
        for field in range(6):
            codes = fields.codes[field][fields.offsets[field][item] : fields.offsets[field][item + 1]]
            mean = tower.values[field].weight[codes].mean(0)
            torch.testing.assert_close(found[place, 4 * field : 4 * field + 4], mean)
    assert tower.own is not None
    torch.testing.assert_close(found[0, 24:], tower.own.weight[2] * float(2 in spec().item))
    assert not found[1, 24:].any()  # item 39 is cold: nothing of its own
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[:, 1] = True
    masked = tower(Entities(rows, None, hidden))
    assert tower.default is not None
    torch.testing.assert_close(masked[:, 4:8], tower.default[1].expand(3, -1))
    torch.testing.assert_close(masked[:, 8:], found[:, 8:])
    assert not any(torch.equal(tower.default[1], value) for value in tower.values[1].weight)


def test_cold_items_are_told_apart_by_their_features() -> None:
    encoder = two_tower.build(two_tower.TwoTowerOptions(item_ids=True), spec()).eval()
    rows = torch.arange(30, 40)  # never in a training pair
    assert not torch.isin(rows, spec().item).any()
    found = encoder(pairs.TowerViews()(Pairs(rows % 10, rows, rows), Rng.root(0))[1])["item"].detach()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(10))
    apart = torch.cdist(found, found) + 9 * torch.eye(10)
    features = torch.stack([table().take(rows).codes[field] for field in (0, 1, 2)], 1)
    alike = (features[:, None] == features[None]).all(2).fill_diagonal_(False)
    assert float(apart[~alike].min()) > 1e-3


class Fixed(nn.Module):
    """Embeddings that the test chooses."""

    def __init__(self, user: torch.Tensor, item: torch.Tensor) -> None:
        super().__init__()
        self.rows = {"user": user, "item": item}
        self.dims = {"pair": user.shape[1]}


def softmax(options: sampled_softmax.SampledSoftmaxOptions, given: RecSpec) -> sampled_softmax.SampledSoftmax:
    encoder = two_tower.build(two_tower.TwoTowerOptions(), given)
    views: Views = pairs.TowerViews()

    def none(*_: object) -> nn.Module:
        raise AssertionError

    return sampled_softmax.build(options, Assembly(given, "item", views, encoder, none, none, none, {}, none))


@pytest.mark.parametrize("log_q", [False, True])
@pytest.mark.parametrize("cosine", [False, True])
def test_softmax_against_the_written_out_sum(log_q: bool, cosine: bool) -> None:
    given = spec()
    method = softmax(sampled_softmax.SampledSoftmaxOptions(temperature=0.3, log_q=log_q, cosine=cosine), given)
    draw = torch.Generator().manual_seed(0)
    users, items = torch.tensor([0, 1, 2, 0, 3]), torch.tensor([4, 5, 4, 6, 7])
    u, x = torch.randn(5, 8, generator=draw), torch.randn(5, 8, generator=draw)
    expected = 0.0
    for i in range(5):

        def score(i: int, j: int) -> float:
            s = float(u[i] @ x[j])
            if cosine:
                s /= float(u[i].norm() * x[j].norm())
            chance = float(given.popularity[items[j]].clamp(min=1)) / 60
            return s / 0.3 - (math.log(chance) if log_q else 0.0)

        negatives = [j for j in range(5) if j != i and items[j] != items[i] and users[j] != users[i]]
        total = sum(math.exp(score(i, j)) for j in [i, *negatives])
        expected -= (score(i, i) - math.log(total)) / 5
    found = method.score([u, x], [users, items])
    assert float(found["softmax"]) == pytest.approx(expected, rel=1e-5)


def test_copies_of_a_pair_are_no_negatives_of_it() -> None:
    method = softmax(sampled_softmax.SampledSoftmaxOptions(), spec())
    u, x = torch.randn(1, 8), torch.randn(1, 8)
    alone = method.score([u.repeat(5, 1), x.repeat(5, 1)], [torch.zeros(5).long(), torch.ones(5).long()])["softmax"]
    assert float(alone) == 0.0
    apart = method.score([u.repeat(5, 1), x.repeat(5, 1)], [torch.arange(5), torch.arange(5)])["softmax"]
    assert float(apart) == pytest.approx(math.log(5))


def test_softmax_refuses_other_views() -> None:
    method = softmax(sampled_softmax.SampledSoftmaxOptions(), spec())
    method.views = masked_items.build(masked_items.MaskedItemOptions(), spec())
    with pytest.raises(UsageError, match="Choose views: towers"):
        method(batch(), Rng.root(0))


def data() -> PairData:
    built = DATA["tastes"].build(
        DATA["tastes"].options(users=80, items=100, interactions=15.0), DataContext(None, Path("nowhere"), 0)
    )
    assert isinstance(built, PairData)
    return built


def recipe(name: str, **overrides: object):  # type: ignore[no-untyped-def]
    raw = read_recipe(recipes_of(PLUGIN)[name])
    raw = {**raw, **overrides}
    return resolve(raw, schema_of(PLUGIN), name)


def test_joint_training_learns_and_ranks_cold_items() -> None:
    resolved, given = recipe("towers-tastes"), data()
    composed = compose(resolved, schema_of(PLUGIN), given, torch.device("cpu"))
    method = composed.method.train()
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for step in range(12):
        found = method(given.batches(Order(0, step, batch_size=128))[0], Rng.root(0).fork(step))
        assert len(found) == 2
        loss = torch.stack(list(found.values())).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < sum(losses[:3])
    task = given.tasks["next-items"]
    with torch.no_grad():
        rows = {view.role: method.encoder.eval()(view)[view.role] for view in given.rows()}  # type: ignore[operator]
    cold = torch.from_numpy(np.flatnonzero(task.slices["cold"]))
    assert len(cold)
    best = (rows["user"] @ rows["item"].t()).topk(20).indices
    assert torch.isin(best, cold).any()


def test_every_tower_recipe_resolves_and_steps() -> None:
    given = data()
    names = [name for name in recipes_of(PLUGIN) if name.startswith("towers-")]
    assert len(names) >= 9
    for name in names:
        resolved = recipe(name)
        composed = compose(resolved, schema_of(PLUGIN), given, torch.device("cpu"))
        found = composed.method.train()(given.batches(Order(0, 0, batch_size=64))[0], Rng.root(0))
        assert all(bool(torch.isfinite(term)) for term in found.values()), name
