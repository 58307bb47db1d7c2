"""Views that hide: masked cells and SubTab's column subsets; and randomized quantization."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.column_subsets import SubsetLayout, hidden_in
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views import VIEWS
from sslplug_tabular.views.quantize import quantized

NUM, CAT = 6, 4
WIDTH = NUM + CAT


def rows(n: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    numeric = torch.randn(n, NUM, generator=generator)
    absent = torch.rand(n, NUM, generator=generator) < 0.1
    numeric[:, 4], absent[:, 4] = 0.75, False  # a constant column
    codes = torch.randint(2, 6, (n, CAT), generator=generator)
    return Rows(numeric.masked_fill(absent, 0.0), absent, codes, torch.arange(n))


SPEC = TableSpec(tuple("abcdef"), tuple("uvwx"), (6, 6, 6, 6), rows(1000, 1))


@pytest.mark.parametrize(("rate", "count"), [(0.5, 5), (0.01, 1), (0.99, 9), (0.34, 3)])
def test_masked_hides_as_many_cells_in_every_row_and_asks_for_them(rate: float, count: int) -> None:
    component, batch = VIEWS["masked"], rows(300, 2)
    views = component.build(component.options(rate=rate), SPEC)
    (view,) = views(batch, Rng.root(1))
    hidden = view.mask["cell"].view(300, WIDTH)
    assert (hidden.sum(1) == count).all()
    assert views.rates == {"mask:cell": count / WIDTH}
    assert view.data is batch
    grid = torch.arange(300 * WIDTH).view(300, WIDTH)
    numeric, categories = view.targets["numeric"], view.targets["categories"]
    assert torch.equal(numeric.rows, grid[:, :NUM][hidden[:, :NUM] & ~batch.missing])
    assert torch.equal(categories.rows, grid[:, NUM:][hidden[:, NUM:]])
    assert torch.equal(numeric.values[:, 0], batch.numeric[hidden[:, :NUM] & ~batch.missing])
    assert not torch.equal(hidden[0], hidden[1])


def test_one_column_cannot_be_masked() -> None:
    lone = Rows(
        torch.zeros(3, 1), torch.zeros(3, 1, dtype=torch.bool), torch.zeros(3, 0, dtype=torch.int64), torch.arange(3)
    )
    component = VIEWS["masked"]
    with pytest.raises(UsageError, match="1 column"):
        component.build(component.options(), TableSpec(("a",), (), (), lone))


def test_subsets_are_the_published_ones() -> None:
    """SubTab's 784 pixels, 4 subsets, overlap .75: 196 wide, 147 into the neighbour."""
    hidden = hidden_in(SubsetLayout(count=4, overlap=0.75, order=-1), 784)
    spans = [(int((~row).nonzero()[0]), int((~row).nonzero()[-1]) + 1) for row in hidden]
    assert spans == [(0, 343), (49, 392), (245, 588), (441, 784)]
    assert ((~hidden).sum(1) == 343).all()


@given(st.integers(2, 6), st.floats(0, 1), st.integers(6, 40), st.integers(-1, 3))
def test_subsets_cover_every_column(count: int, overlap: float, columns: int, order: int) -> None:
    hidden = hidden_in(SubsetLayout(count=count, overlap=overlap, order=order), columns)
    assert hidden.shape == (count, columns)
    assert not hidden.all(0).any()
    widths = (~hidden).sum(1)
    reach = int(overlap * (columns // count))
    assert (widths[:-1] == columns // count + reach).all()
    assert torch.equal(hidden, hidden_in(SubsetLayout(count=count, overlap=overlap, order=order), columns))


def test_more_subsets_than_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="3 columns cannot be split into 4 subsets"):
        hidden_in(SubsetLayout(count=4), 3)


def test_each_subset_is_asked_for_the_whole_clean_row() -> None:
    component, batch = VIEWS["subsets"], rows(200, 3)
    made = component.build(component.options(count=3, swap=0.3, order=2), SPEC)
    views = made(batch, Rng.root(2))
    hidden = hidden_in(SubsetLayout(count=3, order=2), WIDTH)
    assert len(views) == 3
    for view, columns in zip(views, hidden, strict=True):
        assert torch.equal(view.mask["cell"].view(200, WIDTH), columns.expand(200, -1))
        assert torch.equal(view.targets["numeric"].values[:, 0], batch.numeric[~batch.missing])
        assert len(view.targets["categories"].values) == 200 * CAT
        moved = (view.data.numeric != batch.numeric)[:, :4].float().mean()
        assert abs(float(moved) - 0.3) < 0.05
    assert not torch.equal(views[0].data.numeric, views[1].data.numeric)


def test_quantization_keeps_range_codes_missing_and_constant_columns() -> None:
    component, batch = VIEWS["quantize"], rows(500, 4)
    for view in component.build(component.options(), SPEC)(batch, Rng.root(3)):
        shown = view.data
        assert torch.equal(shown.codes, batch.codes)
        assert torch.equal(shown.missing, batch.missing)
        assert (shown.numeric[batch.missing] == 0).all()
        assert torch.equal(shown.numeric[:, 4], batch.numeric[:, 4])
        assert (shown.numeric >= SPEC.low - 1e-5).all()
        assert (shown.numeric <= SPEC.high + 1e-5).all()
        for column in (0, 1, 2, 3, 5):
            known = ~batch.missing[:, column]
            before, after = batch.numeric[known, column], shown.numeric[known, column]
            assert len(after.unique()) <= 8
            order = before.argsort()
            assert (after[order].diff() >= 0).all()  # bins are intervals: order is kept
            assert (after != before).all()


def test_quantization_is_the_plain_rule() -> None:
    """Against a loop over bins in float64: edges uniform in the range, one point a bin."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 200, generator=generator, dtype=torch.float64) * 3
    low, high = torch.tensor([-1.0, 0.0, -9.0]).double(), torch.tensor([1.0, 2.0, 9.0]).double()
    edges = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    points = torch.rand(3, 5, generator=generator, dtype=torch.float64)
    found = quantized(x, low, high, edges, points)
    for c in range(3):
        ends = sorted(float(low[c] + e * (high[c] - low[c])) for e in edges[c])
        bounds = list(zip([float(low[c]), *ends], [*ends, float(high[c])], strict=True))
        for value, got in zip(x[c].tolist(), found[c].tolist(), strict=True):
            bin_ = sum(value >= end for end in ends)
            start, stop = bounds[bin_]
            assert got == pytest.approx(start + float(points[c, bin_]) * (stop - start))


def test_quantization_of_some_columns_and_of_tables_without_numbers() -> None:
    component, batch = VIEWS["quantize"], rows(100, 5)
    some = [
        view.data for key in range(20) for view in component.build(component.options(rate=0.5), SPEC)(batch, Rng.root(key))
    ]
    share = torch.stack([(shown.numeric != batch.numeric).any(0) for shown in some]).float().mean(0)
    assert share[4] == 0
    assert (share[[0, 1, 2, 3, 5]] - 0.5).abs().max() < 0.3
    bare = replace(batch, numeric=torch.zeros(100, 0), missing=torch.zeros(100, 0, dtype=torch.bool))
    spec = TableSpec((), tuple("uvwx"), (6, 6, 6, 6), bare)
    made = component.build(component.options(), spec)
    assert made.rates == {}
    assert all(view.data is bare for view in made(bare, Rng.root(0)))


@pytest.mark.parametrize("name", list(VIEWS))
def test_views_work_without_numbers_and_without_categories(name: str) -> None:
    component, batch = VIEWS[name], rows(12, 6)
    bare = replace(batch, numeric=torch.zeros(12, 0), missing=torch.zeros(12, 0, dtype=torch.bool))
    numbers = replace(batch, codes=torch.zeros(12, 0, dtype=torch.int64))
    for spec, some in (
        (TableSpec((), tuple("uvwxy"), (6,) * 5, replace(bare, codes=batch.codes[:, [0, 1, 2, 3, 0]])), None),
        (TableSpec(tuple("abcdef"), (), (), numbers), None),
    ):
        some = spec.reference
        options = component.options()
        for view in component.build(options, spec)(some, Rng.root(1)):
            for target in view.targets.values():
                assert target.rows is None or len(target.rows) == 0 or int(target.rows.max()) < 12 * spec.width
