"""Decoders and the reconstruction of cells, against plain loops over cells."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.contracts import Embedding, Target, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.decoders import DECODERS
from sslplug_tabular.encoders import ENCODERS
from sslplug_tabular.methods.reconstruction import Reconstruction, ReconstructionOptions, needs
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views import VIEWS

NUM, CARDINALITIES, N = 3, (4, 9), 12
WIDTH = NUM + len(CARDINALITIES)


def rows(n: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    absent = torch.rand(n, NUM, generator=generator) < 0.3
    codes = torch.stack([torch.randint(0, c, (n,), generator=generator) for c in CARDINALITIES], 1)
    return Rows(torch.randn(n, NUM, generator=generator).masked_fill(absent, 0.0), absent, codes, torch.arange(n))


SPEC = TableSpec(tuple("abc"), ("u", "v"), CARDINALITIES, rows(100, 1))


def parts(views: str, encoder: str, decoder: str) -> tuple[nn.Module, nn.Module, object]:
    torch.manual_seed(0)
    small = {"width": 8, "heads": 2, "layers": 1} if encoder == "ft_transformer" else {"widths": (8, 8)}
    made = ENCODERS[encoder].build(ENCODERS[encoder].options(**small), SPEC).double()
    head = DECODERS[decoder].build(DECODERS[decoder].options(mask=views == "vime"), SPEC, made.dims).double()
    return made, head, VIEWS[views].build(VIEWS[views].options(), SPEC)


PAIRS = [("mlp", "row"), ("ft_transformer", "row"), ("ft_transformer", "cells")]


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@pytest.mark.parametrize("name", ["vime", "masked", "subsets", "saint"])
def test_predictions_are_those_asked_for_in_their_order(name: str, encoder: str, decoder: str) -> None:
    """Asked in another order, or for one cell alone, a cell gets the same prediction."""
    made, head, views = parts(name, encoder, decoder)
    view = views(rows(N, 2), Rng.root(0))[0]
    embedding = made(view)
    found = head(view, embedding)
    assert set(found) == set(view.targets)
    for kind, target in view.targets.items():
        assert len(found[kind]) == len(target.values)
        if target.rows is None:
            continue
        order = torch.randperm(len(target.rows), generator=torch.Generator().manual_seed(1))
        turned = View(view.data, mask=view.mask, targets={kind: Target("cell", target.values[order], target.rows[order])})
        torch.testing.assert_close(head(turned, embedding)[kind], found[kind][order])
    codes = view.targets["categories"]
    chances = found["categories"].softmax(1)
    column = codes.rows % WIDTH - NUM
    beyond = torch.arange(max(CARDINALITIES)) >= torch.tensor(CARDINALITIES)[column][:, None]
    assert (chances[beyond] == 0).all()  # another column's codes are impossible
    assert (chances[~beyond] > 0).all()


def test_the_row_decoder_is_a_linear_map_a_column() -> None:
    made, head, views = parts("vime", "mlp", "row")
    (view,) = views(rows(N, 3), Rng.root(0))
    embedding = made(view)
    found = head(view, embedding)
    row, first = embedding["row"], [0, CARDINALITIES[0]]
    for place, cell in enumerate(view.targets["numeric"].rows.tolist()):
        r, c = divmod(cell, WIDTH)
        expected = row[r] @ head.numeric.weight[c] + head.numeric.bias[c]
        torch.testing.assert_close(found["numeric"][place, 0], expected)
    for place, cell in enumerate(view.targets["categories"].rows.tolist()):
        r, c = divmod(cell, WIDTH)
        span = slice(first[c - NUM], first[c - NUM] + CARDINALITIES[c - NUM])
        expected = head.codes.weight[span] @ row[r] + head.codes.bias[span]
        torch.testing.assert_close(found["categories"][place, : CARDINALITIES[c - NUM]], expected)
    expected = row @ head.mask.weight.T + head.mask.bias
    torch.testing.assert_close(found["mask"][:, 1].view(N, WIDTH) - found["mask"][:, 0].view(N, WIDTH), expected)


def test_the_cells_decoder_maps_each_column_by_its_own_weights() -> None:
    torch.manual_seed(1)
    component = DECODERS["cells"]
    head = component.build(component.options(layers=0, width=6, heads=1), SPEC, {"cell": 5, "row": 5}).double()
    head.blank.data.normal_()
    (view,) = VIEWS["masked"].build(VIEWS["masked"].options(rate=0.5), SPEC)(rows(N, 4), Rng.root(2))
    cells = torch.randn(N * WIDTH, 5, dtype=torch.float64)
    found = head(view, Embedding({"cell": cells}))
    for place, cell in enumerate(view.targets["numeric"].rows.tolist()):
        x = F.linear(cells[cell], head.enter.weight, head.enter.bias) + head.column[cell % WIDTH] + head.blank
        expected = x @ head.numeric[cell % WIDTH] + head.numeric_bias[cell % WIDTH]
        torch.testing.assert_close(found["numeric"][place, 0], expected)
    for place, cell in enumerate(view.targets["categories"].rows.tolist()):
        c = cell % WIDTH - NUM
        x = F.linear(cells[cell], head.enter.weight, head.enter.bias) + head.column[cell % WIDTH] + head.blank
        expected = (x @ head.codes[c] + head.codes_bias[c, 0])[: CARDINALITIES[c]]
        torch.testing.assert_close(found["categories"][place, : CARDINALITIES[c]], expected)


def test_hidden_cells_are_predicted_from_visible_ones() -> None:
    made, head, views = parts("masked", "ft_transformer", "cells")
    (view,) = views(rows(N, 5), Rng.root(3))
    other = VIEWS["identity"].build(VIEWS["identity"].options(), SPEC)(rows(N, 6), Rng.root(3))[0].data
    first = head(view, made(view))
    second = head(View(other, mask=view.mask, targets=view.targets), made(View(other, mask=view.mask, targets=view.targets)))
    assert not torch.allclose(first["numeric"], second["numeric"])


def test_the_cells_decoder_needs_cells() -> None:
    component = DECODERS["cells"]
    with pytest.raises(UsageError, match="level 'cell'; the encoder has row"):
        component.build(component.options(), SPEC, {"row": 4})


@pytest.mark.parametrize("name", ["vime", "masked", "subsets"])
@pytest.mark.parametrize("cells", ["mean", "sum"])
def test_the_loss_is_the_written_one(name: str, cells: str) -> None:
    made, head, views = parts(name, "ft_transformer", "cells")
    options = ReconstructionOptions(numeric=2.0, categories=0.5, mask=3.0 if name == "vime" else 0.0, cells=cells)
    method = Reconstruction(views, made, head, options, SPEC, "row")
    batch, rng = rows(N, 7), Rng.root(4)
    terms = method(batch, rng)
    expected = dict.fromkeys(terms, 0.0)
    seen = views(batch, rng)
    for view in seen:
        found = head(view, made(view))
        for kind, weight in (("numeric", 2.0), ("categories", 0.5), ("mask", 3.0)):
            if kind not in terms:
                continue
            target = view.targets[kind]
            errors: dict[int, list[Tensor]] = {}
            for place, value in enumerate(target.values):
                cell = place if target.rows is None else int(target.rows[place])
                prediction = found[kind][place].detach()
                error = (prediction[0] - value[0]) ** 2 if kind == "numeric" else -prediction.log_softmax(0)[value]
                errors.setdefault(cell // WIDTH, []).append(error)
            each = [sum(own) / (len(own) if cells == "mean" else 1) for own in errors.values()]
            expected[kind] += weight * float(sum(each)) / N / len(seen)
    assert terms.keys() == expected.keys()
    for kind, value in terms.items():
        assert float(value.detach()) == pytest.approx(expected[kind], rel=1e-5)


def test_a_batchs_loss_is_the_mean_over_equal_shards() -> None:
    made, head, views = parts("masked", "mlp", "row")
    method = Reconstruction(views, made, head, ReconstructionOptions(), SPEC, "row")
    batch, rng = rows(N, 8), Rng.root(5)
    whole = method(batch, rng)
    shards = [method(batch.take(torch.arange(start, start + 6)), rng) for start in (0, 6)]
    for name, value in whole.items():
        torch.testing.assert_close(value, (shards[0][name] + shards[1][name]) / 2)


def test_terms_follow_the_tables_kinds_not_the_batch() -> None:
    """A batch in which nothing is known still has its terms: ranks would wait for each other otherwise."""
    made, head, views = parts("masked", "mlp", "row")
    method = Reconstruction(views, made, head, ReconstructionOptions(), SPEC, "row")
    nothing = Rows(torch.zeros(4, NUM), torch.ones(4, NUM, dtype=torch.bool), torch.zeros(4, 2).long(), torch.arange(4))
    terms = method(nothing, Rng.root(0))
    assert {name: float(value.detach()) for name, value in terms.items()} == {"numeric": 0.0, "categories": 0.0}
    sum(terms.values()).backward()


def test_a_mask_that_nobody_predicts_is_refused() -> None:
    made, _, views = parts("vime", "mlp", "row")
    head = DECODERS["row"].build(DECODERS["row"].options(), SPEC, made.dims).double()
    method = Reconstruction(views, made, head, ReconstructionOptions(mask=1.0), SPEC, "row")
    with pytest.raises(UsageError, match="decoder.mask"):
        method(rows(N, 9), Rng.root(0))
    component = DECODERS["row"]
    assert component.needs(component.options(mask=True)) == {"level:row", "target:mask"}


def test_views_without_targets_are_refused() -> None:
    made, head, views = parts("scarf", "mlp", "row")
    method = Reconstruction(views, made, head, ReconstructionOptions(), SPEC, "row")
    with pytest.raises(UsageError, match="numeric or categories"):
        method(rows(N, 9), Rng.root(0))
    assert needs(ReconstructionOptions(categories=0.0, mask=1.0)) == {"hides", "target:numeric", "target:mask"}


def test_looking_changes_nothing() -> None:
    torch.manual_seed(0)
    component = ENCODERS["mlp"]
    encoder = component.build(component.options(widths=(6,), norm="batch"), SPEC)
    head = DECODERS["row"].build(DECODERS["row"].options(), SPEC, encoder.dims)
    views = VIEWS["vime"].build(VIEWS["vime"].options(), SPEC)
    method = Reconstruction(views, encoder, head, ReconstructionOptions(), SPEC, "row").train()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    seen = method.observe(rows(N, 10), Rng.root(0))
    assert seen["view0"].shape == (N, 6)
    assert method.training
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())
