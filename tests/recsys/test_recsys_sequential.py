"""Sequences: how they are cut, what the encoder may see, what views change, what the losses compute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sslplug.contracts import Order, Progress, View
from sslplug.errors import DataError, UsageError
from sslplug.evaluation.ranking.metrics import measure_lists
from sslplug.evaluation.ranking.top import best, inner_products
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Histories
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.sequential.contrast import DotContrast, DotContrastOptions
from sslplug_recsys.sequential.cuts import Sequences, leave_one_out, prefixes
from sslplug_recsys.sequential.encoder import Sasrec, SasrecOptions
from sslplug_recsys.sequential.methods.attributes import Attributes, AttributesOptions
from sslplug_recsys.sequential.methods.intents import Intents, IntentsOptions, k_means
from sslplug_recsys.sequential.methods.next_item import NextItem, NextItemOptions, item_vectors, strangers
from sslplug_recsys.sequential.methods.softmax_over_items import softmax_over_items
from sslplug_recsys.sequential.pair_features import HistoryTable
from sslplug_recsys.sequential.sequence_data import SequenceData, SequenceOptions
from sslplug_recsys.sequential.views.augmented import Augmented, AugmentedOptions, cropped, masked, reordered
from sslplug_recsys.sequential.views.hidden_parts import HiddenParts, HiddenPartsOptions
from sslplug_recsys.sequential.views.histories import inputs, random_prefixes
from sslplug_recsys.sequential.views.next_items import NextItems, NextItemsOptions
from sslplug_recsys.sequential.views.same_target import SameTarget, SameTargetOptions, TargetIndex

ITEMS = 30


def histories(*lists: list[int]) -> Histories:
    lengths = torch.tensor([len(one) for one in lists])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return Histories(offsets, torch.tensor([i for one in lists for i in one], dtype=torch.int64), torch.arange(len(lists)))


def lists_of(batch: Histories) -> list[list[int]]:
    return [one.tolist() for one in batch.items.split(batch.lengths.tolist())]


def corpus(lists: list[list[int]], items: int = ITEMS, shuffle: bool = False) -> Corpus:
    user = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    item = np.array([i for one in lists for i in one], np.int64)
    time = np.concatenate([np.arange(len(one)) for one in lists]).astype(float)
    order = np.random.default_rng(0).permutation(len(user)) if shuffle else np.arange(len(user))
    return Corpus("small", len(lists), items, user[order].astype(np.int64), item[order], time[order])


def random_lists(users: int = 40, seed: int = 0) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    return [draw.permutation(ITEMS)[: draw.integers(3, 12)].tolist() for _ in range(users)]


def data(lists: list[list[int]] | None = None, **options: Any) -> SequenceData:
    return SequenceData(corpus(lists or random_lists()), SequenceOptions(**options))


def encoder(spec: Any, **options: Any) -> Sasrec:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 16, "hidden": 32, "longest": 20, **options}
    return Sasrec(SasrecOptions(**settings), spec)


# ---- cutting


def test_leave_one_out_by_hand() -> None:
    whole = Sequences(np.array([0, 4, 6, 9]), np.array([1, 2, 3, 4, 5, 6, 7, 8, 9]))
    cut = leave_one_out(whole)
    assert cut.asked.tolist() == [0, 2]
    assert cut.wanted.tolist() == [[3, 4], [8, 9]]
    assert (cut.train.offsets.tolist(), cut.train.items.tolist()) == ([0, 2, 4, 5], [1, 2, 5, 6, 7])
    assert (cut.val.offsets.tolist(), cut.val.items.tolist()) == ([0, 2, 3], [1, 2, 7])
    assert (cut.test.offsets.tolist(), cut.test.items.tolist()) == ([0, 3, 5], [1, 2, 3, 7, 8])


def test_prefixes_by_hand() -> None:
    made, source = prefixes(Sequences(np.array([0, 4, 5]), np.array([1, 2, 3, 4, 9])), longest=3)
    assert source.tolist() == [0, 0, 0]
    assert [one.tolist() for one in np.split(made.items, made.offsets[1:-1])] == [[1, 2], [1, 2, 3], [2, 3, 4]]


@pytest.mark.parametrize("samples", ["sequences", "prefixes"])
def test_training_never_holds_what_is_asked(samples: str) -> None:
    lists = random_lists()
    # Items nobody may learn of: each user's last two are its own and occur nowhere else.
    lists = [[*one, 30 + 2 * user, 31 + 2 * user] for user, one in enumerate(lists)]
    made = SequenceData(corpus(lists, 30 + 2 * len(lists), shuffle=True), SequenceOptions(samples=samples))  # type: ignore[arg-type]
    for epoch in range(2):
        for batch in made.batches(Order(0, epoch, batch_size=7)):
            assert int(batch.items.max()) < 30
    assert made.spec.histories is not None
    assert int(made.spec.histories.items.max()) < 30
    assert int(made.spec.item.max()) < 30
    assert int(made.spec.popularity[30:].sum()) == 0
    view = list(made.rows())[1]
    users = len(lists)
    assert lists_of(view.data) == [one[:-2] for one in lists] + [one[:-1] for one in lists]
    task = made.tasks["next-items"]
    assert task.parts["val"].relevant.indices.tolist() == [one[-2] for one in lists]
    assert task.parts["test"].relevant.indices.tolist() == [one[-1] for one in lists]
    assert task.parts["test"].queries.tolist() == list(range(users, 2 * users))
    assert task.parts["test"].seen[3].indices.tolist() == sorted(lists[3][:-1])


def test_a_wanted_item_that_was_had_before_may_be_answered() -> None:
    made = data([[1, 2, 1, 2], [3, 4, 5]])
    part = made.tasks["next-items"].parts["test"]
    assert part.seen[0].indices.tolist() == [1]
    assert part.relevant[0].indices.tolist() == [2]


def test_controls_know_the_history_where_all_items_are_ranked() -> None:
    for seen in ("history", "none"):
        part = data([[1, 2, 1, 2], [3, 4, 5]], seen=seen).tasks["next-items"].parts["test"]
        assert part.profile is not None
        assert [part.profile[row].indices.tolist() for row in range(2)] == [[1, 2], [3, 4]]
    assert part.seen.nnz == 0


def test_short_users_train_and_are_not_asked_and_long_ones_are_cut() -> None:
    made = data([[1, 2], [5], list(range(10))], longest=4)
    assert made.tasks["next-items"].parts["test"].queries.tolist() == [1]
    assert lists_of(list(made.rows())[1].data) == [[4, 5, 6, 7], [5, 6, 7, 8]]
    samples = sorted(one for batch in made.batches(Order(0, 0)) for one in lists_of(batch))
    assert samples == [[1, 2], [3, 4, 5, 6, 7]]
    assert "2 users have fewer than three interactions" in made.description["notes"][0]
    with pytest.raises(DataError, match="no user has three"):
        data([[1, 2]])
    with pytest.raises(UsageError, match="no times"):
        SequenceData(replace(corpus([[1, 2, 3]]), time=None), SequenceOptions())


def test_ranks_share_a_batch_and_epochs_differ() -> None:
    made = data()
    one = [made.batches(Order(3, 1, rank, 2, 10)) for rank in range(2)]
    whole = made.batches(Order(3, 1, 0, 1, 10))
    assert len(whole) == len(one[0]) == len(one[1]) == 4
    for step in range(4):
        joined = sorted(one[0][step].users.tolist() + one[1][step].users.tolist())
        assert joined == sorted(whole[step].users.tolist())
    assert whole[0].users.tolist() != made.batches(Order(3, 2, 0, 1, 10))[0].users.tolist()


# ---- encoder


def test_the_future_changes_nothing_before_it() -> None:
    spec = data().spec
    model = encoder(spec).eval()
    first = histories([1, 2, 3, 4], [5, 6], [7, 8, 9])
    second = histories([1, 2, 9, 8], [5, 6], [7, 8, 1])
    a, b = model(View(first)), model(View(second))
    kept = torch.tensor([True, True, False, False, True, True, True, True, False])
    torch.testing.assert_close(a["step"][kept], b["step"][kept])
    assert not torch.allclose(a["step"][~kept], b["step"][~kept], atol=1e-4)
    both = model(View(first, role="both-ways"))["step"], model(View(second, role="both-ways"))["step"]
    assert not torch.allclose(both[0][0], both[1][0], atol=1e-5)
    torch.testing.assert_close(both[0][4:6], both[1][4:6])


def test_a_step_is_the_history_that_ends_there_whatever_lies_beside_it() -> None:
    model = encoder(data().spec).eval()
    long = [3, 1, 4, 15, 9, 2, 6]
    steps = model(View(histories(long)))["step"]
    alone = model(View(histories(*[long[: n + 1] for n in range(7)], [8] * 19), role="history"))
    assert set(alone.levels) == {"history"}
    torch.testing.assert_close(steps, alone["history"][:7])


def test_hidden_steps_hide_their_item_and_empty_histories_are_one_hidden_step() -> None:
    model = encoder(data().spec).eval()
    mask = torch.tensor([False, True, False])
    shown = [model(View(histories([1, item, 3]), mask={"step": mask}))["step"] for item in (2, 7)]
    torch.testing.assert_close(shown[0], shown[1])
    empty = model(View(histories([], [4])))
    hidden = model(View(histories([4]), mask={"step": torch.tensor([True])}))
    torch.testing.assert_close(empty["history"][0], hidden["history"][0])
    assert len(empty["step"]) == 1


def test_the_encoder_is_bert_ordered_attention_written_out() -> None:
    model = encoder(data().spec, layers=1, heads=1).eval()
    items = torch.tensor([1, 5, 2])
    block = model.blocks[0]
    x = model.norm(model.item(items) + model.position.weight[:3])
    q, k, v = block.attend(x).chunk(3, 1)
    weight = (q @ k.t() / 16**0.5).masked_fill(torch.triu(torch.ones(3, 3, dtype=torch.bool), 1), -torch.inf).softmax(1)
    x = block.norms[0](x + block.mix(weight @ v))
    x = block.norms[1](x + block.perceptron(x))
    torch.testing.assert_close(model(View(histories([1, 5, 2])))["step"], x)
    rows = model(View(Entities(torch.tensor([4, 4, 0])), role="item"))["item"]
    torch.testing.assert_close(rows, model.item.weight[[4, 4, 0]])


def test_the_encoder_refuses_what_it_cannot_hold() -> None:
    spec = data().spec
    with pytest.raises(DataError, match="21 items, the encoder 20 positions"):
        encoder(spec)(View(histories([1] * 21)))
    with pytest.raises(UsageError, match="does not divide"):
        encoder(spec, width=15)


# ---- views


def test_next_items_are_the_items_that_follow() -> None:
    batch = histories([1, 2, 3], [], [4], [5, 6])
    (view,) = NextItems(NextItemsOptions())(batch, Rng.root(0))
    assert lists_of(view.data) == [[1, 2], [], [], [5]]
    assert (view.targets["next"].values.tolist(), view.targets["next"].rows.tolist()) == ([2, 3, 6], [0, 1, 2])  # type: ignore[union-attr]
    (view,) = NextItems(NextItemsOptions(ask="last"))(batch, Rng.root(0))
    assert (view.targets["next"].values.tolist(), view.targets["next"].rows.tolist()) == ([3, 6], [1, 2])  # type: ignore[union-attr]


def test_crops_are_contiguous_and_keep_their_share() -> None:
    batch = histories(list(range(10)), list(range(10, 15)), [1, 2], [7])
    starts = set()
    for seed in range(30):
        a, b, c, d = lists_of(cropped(batch, torch.full((4,), 0.4), Rng.root(seed)))
        assert a == list(range(a[0], a[0] + 6))
        assert b == list(range(b[0], b[0] + 3))
        assert (c, d) == ([1, 2], [7])
        starts.add(a[0])
    assert starts == {0, 1, 2, 3, 4}
    assert lists_of(cropped(batch, torch.zeros(4), Rng.root(0))) == lists_of(batch)


def test_masks_hide_their_share_anywhere() -> None:
    batch = histories(list(range(10)), list(range(5)), [1])
    found = torch.stack([masked(batch, torch.full((3,), 0.3), Rng.root(seed)) for seed in range(200)])
    per = [one.sum(1) for one in found.split([10, 5, 1], 1)]
    assert bool((per[0] == 3).all())
    assert bool((per[1] == 1).all())
    assert bool((per[2] == 0).all())
    share = found[:, :10].float().mean(0)
    assert bool(((share > 0.18) & (share < 0.42)).all())


def test_reordering_shuffles_one_contiguous_part() -> None:
    batch = histories(list(range(10)), [11, 12, 13])
    moved_anywhere = torch.zeros(10, dtype=torch.bool)
    for seed in range(60):
        a, b = lists_of(reordered(batch, torch.tensor([0.6, 0.0]), Rng.root(seed)))
        assert sorted(a) == list(range(10))
        assert b == [11, 12, 13]
        moved = [place for place in range(10) if a[place] != place]
        assert not moved or moved[-1] - moved[0] < 6
        moved_anywhere[moved] = True
    assert bool(moved_anywhere.all())


def test_each_copy_is_altered_in_one_of_three_ways() -> None:
    batch = histories(*[[*range(10), 11] for _ in range(300)])
    first, second = Augmented(AugmentedOptions())(batch, Rng.root(1))
    for view in (first, second):
        per = view.mask["step"].split(view.data.lengths.tolist())
        ways = [
            "crop" if len(items) == 6 else "mask" if bool(mask.any()) else "reorder" if items != list(range(10)) else "none"
            for items, mask in zip(lists_of(view.data), per, strict=True)
        ]
        assert {ways.count(way) > 70 for way in ("crop", "mask", "reorder")} == {True}
        assert ways.count("none") < 5  # a shuffle that changed nothing
    assert lists_of(first.data) != lists_of(second.data)
    plain = Augmented(AugmentedOptions(crop_rate=0, mask_rate=0, reorder_rate=0))(batch, Rng.root(1))
    assert all(lists_of(view.data) == lists_of(inputs(batch)) and not view.mask["step"].any() for view in plain)


def test_random_prefixes_end_anywhere_but_at_the_first_item() -> None:
    batch = histories(*[[1, 2, 3, 4, 5]] * 200, [7])
    found = lists_of(random_prefixes(batch, Rng.root(0)))
    assert found[-1] == [7]
    assert {len(one) for one in found[:-1]} == {2, 3, 4, 5}
    assert all(one == [1, 2, 3, 4, 5][: len(one)] for one in found[:-1])


def test_same_target_histories_come_from_other_training_sequences_alone() -> None:
    lists = random_lists(60)
    made = data(lists)
    training = [one[:-2] for one in lists]
    # A prefix is allowed where the item after it, in training, is the target.
    allowed: dict[int, list[tuple[int, list[int]]]] = {}
    for user, one in enumerate(training):
        for place in range(1, len(one)):
            allowed.setdefault(one[place], []).append((user, one[:place]))
    views = SameTarget(SameTargetOptions(), made.spec)
    replaced = 0
    for seed in range(5):
        (batch,) = made.batches(Order(seed, 0))
        first, second = views(batch, Rng.root(seed))
        for user, sample, own, other in zip(
            batch.users.tolist(), lists_of(batch), lists_of(first.data), lists_of(second.data), strict=True
        ):
            others = [prefix for who, prefix in allowed[sample[-1]] if who != user]
            assert own == sample[:-1]
            assert other in others if others else other == own
            replaced += bool(others)
    assert replaced > 100
    index = TargetIndex(made.spec.histories, ITEMS)  # type: ignore[arg-type]
    assert len(index.key) == sum(len(one) for one in allowed.values())


def test_hidden_parts_hide_items_and_a_segment() -> None:
    training = histories(list(range(20)), [21, 22], [23])
    batch = histories([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [21, 22], [23])
    made = [HiddenParts(HiddenPartsOptions(mask_rate=0.2), training)(batch, Rng.root(seed)) for seed in range(40)]
    sizes = set()
    for one, rest, own, strange in made:
        assert one.mask["step"].split([10, 2, 1])[0].sum() == 2
        assert torch.equal(one.targets["item"].values, batch.items[one.mask["step"]])
        assert torch.equal(rest.mask["step"], ~own.mask["step"])
        assert torch.equal(own.mask["step"], strange.mask["step"])
        segment = rest.mask["step"][:10].nonzero()[:, 0]
        assert segment[-1] - segment[0] + 1 == len(segment) <= 5
        sizes.add(len(segment))
        assert int(rest.mask["step"][10:12].sum()) == 1
        assert not rest.mask["step"][12]
        outside = own.mask["step"]
        assert torch.equal(strange.data.items[outside], batch.items[outside])
    assert sizes == {1, 2, 3, 4, 5}
    assert any(not torch.equal(strange.data.items, batch.items) for *_, strange in made)


# ---- losses and methods


def test_softmax_over_items_is_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslplug_recsys.sequential.methods.softmax_over_items.BLOCK", 3)
    generator = Rng.root(0).torch()
    states, table = (torch.randn(n, 4, generator=generator).requires_grad_() for n in (8, 11))
    target = torch.randint(11, (8,), generator=generator)
    found = softmax_over_items(states, table, target)
    own = torch.autograd.grad(3 * found, (states, table))
    plain = F.cross_entropy(states @ table.t(), target)
    torch.testing.assert_close(found, plain)
    for a, b in zip(own, torch.autograd.grad(3 * plain, (states, table)), strict=True):
        torch.testing.assert_close(a, b)
    huge = softmax_over_items(200 * states, table, target)
    torch.testing.assert_close(huge, F.cross_entropy(200 * states @ table.t(), target))


def test_dot_contrast_by_hand() -> None:
    generator = Rng.root(1).torch()
    a, b = (torch.randn(4, 3, generator=generator) for _ in range(2))
    ids = torch.tensor([5, 6, 5, 7])
    loss = DotContrast(DotContrastOptions(temperature=2.0))
    rows = torch.cat([a, b])
    for groups in (None, ids):
        terms = []
        for i in range(8):
            j = (i + 4) % 8
            left = [
                k for k in range(8)
                if k == j or (k % 4 != i % 4 if groups is None else bool(groups[k % 4] != groups[i % 4]))
            ]  # fmt: skip
            scores = torch.stack([rows[i] @ rows[k] / 2.0 for k in left])
            terms.append(scores.logsumexp(0) - rows[i] @ rows[j] / 2.0)
        found = loss([a, b], None if groups is None else [groups, groups])["contrast"]
        torch.testing.assert_close(found, torch.stack(terms).mean())
    same = torch.ones(4, 3)
    torch.testing.assert_close(loss([same, same])["contrast"], torch.tensor(7.0).log())
    with pytest.raises(DataError, match="alike"):
        loss([a, b[:2]])


def test_negatives_are_strangers_to_the_history() -> None:
    batch = histories([0, 1, 2, 3], [4])
    owner, extra = torch.tensor([0] * 300 + [1] * 300), torch.tensor([5] * 300 + [0] * 300)
    drawn = strangers(batch, owner, extra, 8, Rng.root(0).torch())
    assert set(drawn[300:].tolist()) == {1, 2, 3, 5, 6, 7}
    # Five of eight are had; five draws all hit one with probability 0.1, and then one is kept.
    assert float((drawn[:300] >= 6).float().mean() + (drawn[:300] == 4).float().mean()) > 0.85


def test_bce_is_the_original_loss() -> None:
    made = data()
    model = encoder(made.spec, dropout=0.0, attention_dropout=0.0)
    method = NextItem(NextItemOptions(loss="bce"), NextItems(NextItemsOptions()), model, ITEMS)
    (batch,) = made.batches(Order(0, 0))
    rng = Rng.root(4)
    (view,) = method.views(batch, rng)
    target, rows = view.targets["next"].values, view.targets["next"].rows
    negative = strangers(view.data, view.data.owner[rows], target, ITEMS, rng.fork("negatives").torch())
    steps, table = model(view)["step"], item_vectors(model, ITEMS, torch.device("cpu"))
    good, bad = (steps * table[target]).sum(1), (steps * table[negative]).sum(1)
    expected = -(good.sigmoid().log() + (1 - bad.sigmoid()).log()).mean()
    torch.testing.assert_close(method(batch, rng)["next"], expected)


def test_k_means_finds_clusters_and_keeps_lonely_centres() -> None:
    draw = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    rows = torch.tensor(np.repeat(centres, 50, 0) + draw.normal(size=(150, 2)) * 0.1, dtype=torch.float32)
    best = min(
        float((torch.cdist(rows, k_means(rows, 3, 20, Rng.root(seed))).min(1).values ** 2).mean()) for seed in range(6)
    )
    assert best < 0.03
    assert bool(torch.isfinite(k_means(torch.ones(5, 2), 3, 5, Rng.root(0))).all())


def test_intents_come_from_training_histories_alone() -> None:
    lists = random_lists()
    other = [[*one[:-2], (one[-2] + 7) % ITEMS, (one[-1] + 11) % ITEMS] for one in lists]
    found = []
    for which in (lists, other):
        made = data(which)
        model = encoder(made.spec)
        assert made.spec.histories is not None
        method = Intents(IntentsOptions(intents=4), Augmented(AugmentedOptions()), model, made.spec.histories, 16)
        method.train()

        def refuse() -> dict[str, torch.Tensor]:
            raise AssertionError("rows of all histories were asked for")

        method.on_epoch_start(Progress(0, 2, 0, 10), refuse)
        assert method.training
        assert model.training
        found.append(method.prototypes.clone())
        (batch,) = made.batches(Order(0, 0))
        terms = method(batch, Rng.root(0))
        assert set(terms) == {"sequence", "intent"}
        assert all(bool(torch.isfinite(term)) for term in terms.values())
    torch.testing.assert_close(found[0], found[1])
    with pytest.raises(UsageError, match="ask for fewer"):
        Intents(IntentsOptions(intents=100), Augmented(AugmentedOptions()), model, made.spec.histories, 16)


def attribute_table() -> FeatureTable:
    """Two fields; item i has i % 3 + 1 (two values for even items) in the first, 0 (missing) or 1 in the second."""
    first = [[i % 3 + 1, (i + 1) % 3 + 1] if i % 2 == 0 else [i % 3 + 1] for i in range(ITEMS)]
    second = [[i % 2] for i in range(ITEMS)]
    packed = []
    for field in (first, second):
        lengths = torch.tensor([len(one) for one in field])
        packed.append(
            (
                torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
                torch.tensor([code for one in field for code in one]),
            )
        )
    return FeatureTable(("colour", "big"), (4, 2), tuple(o for o, _ in packed), tuple(c for _, c in packed))


def test_attribute_terms_by_hand() -> None:
    made = data()
    table = attribute_table()
    model = encoder(made.spec, dropout=0.0, attention_dropout=0.0)
    views = HiddenParts(HiddenPartsOptions(), made.spec.histories)  # type: ignore[arg-type]
    method = Attributes(AttributesOptions(), views, model, table, ITEMS, 16)
    (batch,) = made.batches(Order(0, 0))
    rng = Rng.root(3)
    terms = method(batch, rng)
    has = torch.zeros(ITEMS, 4)
    for item in range(ITEMS):
        for code in table.codes[0][table.offsets[0][item] : table.offsets[0][item + 1]]:
            has[item, int(code) - 1] = 1
        has[item, 3] = item % 2
    one, rest, own, strange = views(batch, rng)
    steps = model(one)["step"]
    hidden = one.mask["step"]

    def entropy(name: str, chosen: torch.Tensor) -> torch.Tensor:
        logits = method.maps[name](steps[chosen]) @ method.attribute.t()
        return F.binary_cross_entropy_with_logits(logits, has[one.data.items[chosen]], reduction="sum") / len(batch)

    torch.testing.assert_close(terms["shown_attributes"], 0.2 * entropy("shown_attributes", ~hidden))
    torch.testing.assert_close(terms["hidden_attributes"], entropy("hidden_attributes", hidden))
    ends = [model(view)["history"] for view in (rest, own, strange)]
    score = (method.maps["segments"](ends[0]) * (ends[1] - ends[2])).sum(1)[one.data.lengths > 1]
    torch.testing.assert_close(terms["segments"], 0.5 * -score.sigmoid().log().sum() / len(batch))
    negative = strangers(one.data, one.data.owner[hidden], one.data.items[hidden], ITEMS, rng.fork("negatives").torch())
    context = method.maps["hidden_items"](steps[hidden])
    better = (context * (model.item.weight[one.data.items[hidden]] - model.item.weight[negative])).sum(1)
    torch.testing.assert_close(terms["hidden_items"], -better.sigmoid().log().sum() / len(batch))


def test_hit_rate_and_ndcg_of_answers_at_known_ranks() -> None:
    made = data([[10, 1, 2, 3], [11, 4, 5, 6], [12, 7, 8, 9]], cutoffs=(2,))
    part = made.tasks["next-items"].parts["test"]
    scores = np.zeros((3, ITEMS), np.float32)
    scores[0, [1, 3]] = 9, 8  # item 1 is in the history and not answered: the wanted 3 is first
    scores[1, [20, 6]] = 9, 8  # second
    scores[2, [20, 21, 9]] = 9, 8, 7  # third, beyond the list
    lists = best(inner_products(scores, np.eye(ITEMS, dtype=np.float32)), 3, ITEMS, 2, part.seen, part.relevant)
    found = measure_lists(lists, part.relevant, (2,), {})
    assert found["hit@2"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found["ndcg@2"], [1, 1 / np.log2(3), 0])


def test_pair_features_by_hand() -> None:
    made = data([[1, 2, 3, 4, 5], [1, 2, 9, 4, 6], [2, 3, 7, 8, 1]])
    task = made.tasks["next-items"]
    assert task.pairs is not None
    values = np.asarray(task.pairs(np.array([0, 3, 3, 1]), np.array([1, 4, 9, 4])).values)
    # Row 0 is user 0's validation history 1 2 3; row 3 its test history 1 2 3 4; row 1 is user 1's 1 2 9.
    assert values[:, 0].tolist() == [3, 4, 4, 3]
    assert values[:, 1].tolist() == [1, 1, 0, 0]
    table: HistoryTable = task.pairs.__self__  # type: ignore[attr-defined]
    follow = table._follow.toarray()
    # Training: 1 2 3 | 1 2 9 | 2 3 7. After 2 come 3, 9, 3 at once and 7 one later: 3.5 in all, shrunk by 5.
    np.testing.assert_allclose(follow[2, [3, 9, 7]], np.array([2.0, 1.0, 0.5]) / 8.5)
    assert follow[3, 4] == 0  # 4 follows 3 in the validation part alone
    assert values[3, 2] == 0
