"""Views that swap values: SCARF, VIME, swap noise and CutMix draw from the right columns, as often as they say."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views import VIEWS
from sslplug_tabular.views.corruption import Marginals, changed, partners, swap_rates

NUM, CARDINALITIES = 5, (4, 6, 9)
WIDTH = NUM + len(CARDINALITIES)


def rows(n: int, seed: int, missing: float = 0.2) -> Rows:
    """Column c of the numbers lies around 100 c, so that a value tells its column; skewed codes."""
    generator = torch.Generator().manual_seed(seed)
    numeric = 100.0 * torch.arange(1, NUM + 1) + torch.randn(n, NUM, generator=generator)
    absent = torch.rand(n, NUM, generator=generator) < missing * torch.arange(NUM) / NUM
    codes = [(torch.rand(n, generator=generator) ** 2 * (c - 2)).long() + 2 for c in CARDINALITIES]
    return Rows(numeric.masked_fill(absent, 0.0), absent, torch.stack(codes, 1), torch.arange(n) + 5000)


SPEC = TableSpec(tuple("abcde"), ("u", "v", "w"), CARDINALITIES, rows(4000, 1))


def views(name: str, batch: Rows, key: int = 0, **options: object) -> list[Rows]:
    component = VIEWS[name]
    return [view.data for view in component.build(component.options(**options), SPEC)(batch, Rng.root(key))]


def cells(before: Rows, after: Rows) -> Tensor:
    return changed(before, after)


def test_scarf_changes_floor_c_d_cells_of_every_row_and_leaves_the_first_view_clean() -> None:
    batch = rows(600, 2, missing=0.0)
    batch = replace(batch, codes=torch.ones_like(batch.codes))  # code 1 is in no reference row: every draw differs
    clean, corrupted = views("scarf", batch, rate=0.6)
    assert clean is batch
    assert (cells(batch, corrupted).sum(1) == 4).all()  # floor(0.6 * 8)
    share = cells(batch, corrupted).float().mean(0)
    assert (share - 0.5).abs().max() < 0.07  # every column as often: 4 of 8, 600 rows


def test_scarf_draws_columns_independently_from_their_marginals() -> None:
    batch = rows(6000, 3)
    _, shown = views("scarf", batch, rate=1.0)
    numeric, absent = shown.numeric, shown.missing
    for column in range(NUM):
        there = numeric[:, column][~absent[:, column]]
        known = SPEC.reference.numeric[:, column][~SPEC.reference.missing[:, column]]
        assert torch.isin(there, known).all()  # values of this column and of no other
        assert abs(float(there.mean() - known.mean())) < 0.06
        assert abs(float(there.std() - known.std())) < 0.05
    assert (absent.float().mean(0) - SPEC.reference.missing.float().mean(0)).abs().max() < 0.02
    for column, count in enumerate(CARDINALITIES):
        got = torch.bincount(shown.codes[:, column], minlength=count) / len(shown.codes)
        wanted = torch.bincount(SPEC.reference.codes[:, column], minlength=count) / SPEC.reference.n
        assert (got - wanted).abs().max() < 0.025
    # Columns a and b of one donor row would always come together.
    first = {float(v): i for i, v in enumerate(SPEC.reference.numeric[:, 0])}
    second = {float(v): i for i, v in enumerate(SPEC.reference.numeric[:, 1])}
    both = [(first[float(a)], second[float(b)]) for a, b in numeric[:500, :2] if float(b) in second and float(b) != 0.0]
    assert len(both) > 400
    assert sum(a == b for a, b in both) < 5


def test_scarf_can_corrupt_both_views_by_draws_of_their_own() -> None:
    batch = rows(200, 13)
    first, second = views("scarf", batch, rate=0.5, both=True)
    assert cells(batch, first).any(1).all()
    assert cells(first, second).any(1).all()
    component = VIEWS["scarf"]
    declared = component.build(component.options(rate=0.5, both=True), SPEC).rates
    for number, shown in enumerate((first, second)):
        share = float((shown.codes != batch.codes).float().mean())
        assert abs(share - declared[f"{number}/change:codes"]) < 0.05


def test_a_rows_draws_do_not_depend_on_its_place() -> None:
    batch = rows(50, 4)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    for name in ("scarf", "vime", "noise"):
        whole, part = views(name, batch)[-1], views(name, batch.take(order))[-1]
        assert torch.equal(whole.numeric[order], part.numeric)
        assert torch.equal(whole.codes[order], part.codes)


def test_vime_asks_for_the_cells_that_really_differ() -> None:
    batch = rows(500, 5)
    component = VIEWS["vime"]
    (view,) = component.build(component.options(rate=0.5), SPEC)(batch, Rng.root(3))
    mask = view.targets["mask"].values.view(500, WIDTH).bool()
    differs = torch.cat(
        [(view.data.numeric != batch.numeric) | (view.data.missing != batch.missing), view.data.codes != batch.codes], 1
    )
    assert torch.equal(mask, differs)
    numbers, categories = mask[:, 0].float().mean(), mask[:, NUM:].float().mean()
    assert abs(float(numbers) - 0.5) < 0.07  # column a has no repeated value: every draw corrupts
    assert float(categories) < 0.42  # codes repeat: many draws hit what was there, and count as clean
    declared = component.build(component.options(rate=0.5), SPEC).rates
    assert abs(float(categories) - declared["change:codes"]) < 0.05


def test_vime_asks_for_every_cell_that_has_a_clean_value() -> None:
    batch = rows(40, 6)
    batch = replace(batch, codes=batch.codes.index_put((torch.tensor([0, 7]), torch.tensor([1, 2])), torch.tensor(0)))
    component = VIEWS["vime"]
    (view,) = component.build(component.options(), SPEC)(batch, Rng.root(4))
    grid = torch.arange(40 * WIDTH).view(40, WIDTH)
    numeric, categories = view.targets["numeric"], view.targets["categories"]
    assert torch.equal(numeric.rows, grid[:, :NUM][~batch.missing])
    assert torch.equal(numeric.values[:, 0], batch.numeric[~batch.missing])
    assert torch.equal(categories.rows, grid[:, NUM:][batch.codes > 0])
    assert torch.equal(categories.values, batch.codes[batch.codes > 0])
    assert len(categories.values) == 40 * 3 - 2


def test_cutmix_takes_the_declared_share_from_one_donor_row_each() -> None:
    batch = rows(800, 7, missing=0.0)
    mixed, clean = views("saint", batch, cell_rate=0.4, mixup=0.0)
    assert clean is batch
    differs = mixed.numeric != batch.numeric
    assert abs(float(differs.float().mean()) - 0.4) < 0.03
    place = {float(v): i for i, v in enumerate(batch.numeric[:, 0])} | {
        float(v): i for i, v in enumerate(batch.numeric[:, 1])
    }
    both = (differs[:, 0] & differs[:, 1]).nonzero()[:, 0]
    assert len(both) > 60
    assert all(place[float(mixed.numeric[r, 0])] == place[float(mixed.numeric[r, 1])] for r in both)


def test_saint_carries_partner_and_the_share_that_is_mixed_in() -> None:
    batch = rows(30, 8)
    component = VIEWS["saint"]
    mixed, clean = component.build(component.options(mixup=0.3), SPEC)(batch, Rng.root(5))
    assert (mixed.params["mixup"] == 0.3).all()
    assert sorted(mixed.params["partner"].tolist()) == list(range(30))
    assert (mixed.params["partner"] != torch.arange(30)).all()
    assert not clean.params
    assert not clean.targets


def test_partners_are_other_rows() -> None:
    for n in (2, 3, 50):
        found = partners(rows(n, 9), Rng.root(1))
        assert sorted(found.tolist()) == list(range(n))
        assert (found != torch.arange(n)).all()
    assert partners(rows(1, 9), Rng.root(1)).tolist() == [0]


def test_noise_moves_numbers_by_sigma_and_keeps_missing_cells_missing() -> None:
    batch = rows(4000, 10)
    for shown in views("noise", batch, sigma=0.25, swap=0.0):
        moved = (shown.numeric - batch.numeric)[~batch.missing]
        assert abs(float(moved.mean())) < 0.01
        assert abs(float(moved.std()) - 0.25) < 0.01
        assert (shown.numeric[batch.missing] == 0).all()
        assert torch.equal(shown.missing, batch.missing)
        assert torch.equal(shown.codes, batch.codes)
    first, second = views("noise", batch, sigma=0.25, swap=0.0)
    apart = torch.corrcoef(torch.stack([(view.numeric - batch.numeric)[~batch.missing] for view in (first, second)]))
    assert abs(float(apart[0, 1])) < 0.03


def test_declared_swaps_are_one_minus_the_chance_of_a_repeat() -> None:
    shares = torch.bincount(SPEC.reference.codes[:, 0]).double() / SPEC.reference.n
    alone = TableSpec((), ("u",), CARDINALITIES[:1], replace(SPEC.reference, numeric=torch.zeros(4000, 0),
        missing=torch.zeros(4000, 0, dtype=torch.bool), codes=SPEC.reference.codes[:, :1]))  # fmt: skip
    assert swap_rates(alone, 0.5) == {"change:codes": pytest.approx(0.5 * (1 - float((shares**2).sum())))}


@pytest.mark.parametrize(("name", "zero"), [("scarf", "rate"), ("vime", "rate"), ("saint", "cell_rate"), ("masked", "rate")])
def test_rate_zero_is_the_identity(name: str, zero: str) -> None:
    batch = rows(20, 11)
    component = VIEWS[name]
    for view in component.build(component.options(**{zero: 0.0}), SPEC)(batch, Rng.root(0)):
        assert not changed(batch, view.data).any()
        assert not any(mask.any() for mask in view.mask.values())


def test_labels_are_shown_by_every_view_and_numbers_stand_in_a_column() -> None:
    batch = replace(rows(10, 12), labels=torch.tensor([0.5, -1.0]), labelled=torch.tensor([3, 7]))
    for component in VIEWS.values():
        for view in component.build(component.options(), SPEC)(batch, Rng.root(0)):
            assert view.targets["label"].values.flatten().tolist() == [0.5, -1.0]
            assert view.targets["label"].rows.tolist() == [3, 7]
    (view,) = VIEWS["identity"].build(VIEWS["identity"].options(), SPEC)(batch, Rng.root(0))
    assert view.targets["label"].values.shape == (2, 1)


def test_the_reference_is_copied_once_a_device() -> None:
    marginals = Marginals(SPEC)
    assert marginals.on(torch.device("cpu")) is SPEC.reference
    meta = marginals.on(torch.device("meta"))
    assert marginals.on(torch.device("meta")) is meta
