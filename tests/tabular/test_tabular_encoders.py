"""What every encoder of tables keeps: hidden cells are invisible, rows are a set, sizes come from the data."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sslplug.contracts import View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.encoders import ENCODERS
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views import VIEWS

NUM, CARDINALITIES = 4, (5, 8, 3)
WIDTH = NUM + len(CARDINALITIES)
SMALL = {"width": 12, "heads": 2, "layers": 2, "feedforward": 10}
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "mlp": ("mlp", {"widths": (10, 8), "norm": "batch"}),
    "mlp-subsets": ("mlp", {"widths": (10, 8), "subsets": {"count": 3}}),
    "mlp-pieces": ("mlp", {"widths": (10, 8), "pieces": 5}),
    "resnet": ("resnet", {"width": 8}),
    "resnet-pieces": ("resnet", {"width": 8, "pieces": 3}),
    "drop-reg": ("ft_transformer", SMALL),
    "drop-mean": ("ft_transformer", {**SMALL, "row": "mean"}),
    "drop-max": ("ft_transformer", {**SMALL, "row": "max", "end": "none"}),
    "drop-flatten": ("ft_transformer", {**SMALL, "row": "flatten"}),
    "token-mean": ("ft_transformer", {**SMALL, "row": "mean", "hidden": "token", "activation": "geglu"}),
    "drop-pieces": ("ft_transformer", {**SMALL, "row": "flatten", "pieces": 6}),
    "t-jepa": ("ft_transformer", {**SMALL, "norm": "post", "activation": "relu", "positions": "sinusoidal",
        "end": "projection", "row": "flatten", "initial": "truncated"}),
    "saint": ("ft_transformer", {**SMALL, "rows": True, "hidden": "token", "row_heads": 2, "row_head_width": 4}),
}  # fmt: skip


def rows(n: int, seed: int, numbers: bool = True, categories: bool = True) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    num, sizes = NUM if numbers else 0, CARDINALITIES if categories else ()
    absent = torch.rand(n, num, generator=generator) < 0.2
    codes = [torch.randint(0, c, (n,), generator=generator) for c in sizes]
    together = torch.stack(codes, 1) if codes else torch.zeros(n, 0, dtype=torch.int64)
    return Rows(torch.randn(n, num, generator=generator).masked_fill(absent, 0.0), absent, together, torch.arange(n))


SPEC = TableSpec(tuple("abcd"), ("u", "v", "w"), CARDINALITIES, rows(200, 1))


def made(form: str, spec: TableSpec = SPEC) -> nn.Module:
    torch.manual_seed(0)
    name, options = FORMS[form]
    component = ENCODERS[name]
    encoder: nn.Module = component.build(component.options(**options), spec)
    for parameter in encoder.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return encoder.double().eval()


def equally_hidden(n: int) -> Tensor:
    return torch.rand(n, WIDTH, generator=torch.Generator().manual_seed(3)).argsort(1) < 3


def unequally_hidden(n: int) -> Tensor:
    hidden = torch.rand(n, WIDTH, generator=torch.Generator().manual_seed(4)) < 0.5
    hidden[0], hidden[1] = True, False  # a row that shows nothing, and one that shows all
    return hidden


@pytest.mark.parametrize("hide", [equally_hidden, unequally_hidden])
@pytest.mark.parametrize("form", list(FORMS))
def test_what_is_hidden_reaches_no_output(form: str, hide: Callable[[int], Tensor]) -> None:
    encoder, batch = made(form), rows(20, 2)
    hidden = hide(20)
    numeric, codes = hidden[:, :NUM], hidden[:, NUM:]
    other = rows(20, 99)
    disguised = replace(
        batch,
        numeric=torch.where(numeric, other.numeric * 50, batch.numeric),
        missing=torch.where(numeric, other.missing, batch.missing),
        codes=torch.where(codes, other.codes, batch.codes),
    )
    params = {"mixup": torch.full((20,), 0.4), "partner": torch.arange(20).roll(1)}
    for extra in ({}, params):
        first = encoder(View(batch, mask={"cell": hidden.flatten()}, params=extra))
        second = encoder(View(disguised, mask={"cell": hidden.flatten()}, params=extra))
        for level, values in first.levels.items():
            assert torch.isfinite(values).all()
            assert torch.equal(values, second[level]), level
    shown = encoder(View(batch))["row"]
    assert not torch.allclose(shown, encoder(View(disguised))["row"])  # the disguise would show


@pytest.mark.parametrize("form", ["drop-reg", "drop-mean", "drop-max", "drop-flatten", "t-jepa"])
def test_left_out_tokens_are_as_if_the_table_lacked_them(form: str) -> None:
    """Gathered (all rows hide as many) and masked (they do not) agree with one row at a time."""
    encoder, batch = made(form), rows(20, 5)
    for hidden in (equally_hidden(20), unequally_hidden(20)):
        whole = encoder(View(batch, mask={"cell": hidden.flatten()}))
        for r in range(20):
            alone = encoder(View(batch.take(torch.tensor([r])), mask={"cell": hidden[r]}))
            torch.testing.assert_close(whole["row"][r], alone["row"][0], rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(whole["cell"].view(20, WIDTH, -1)[r], alone["cell"], rtol=1e-9, atol=1e-9)
        assert (whole["cell"][hidden.flatten()] == 0).all()
        assert (whole["cell"][~hidden.flatten()] != 0).any(1).all()


def test_left_out_tokens_leave_a_smaller_table() -> None:
    """Hiding the same columns everywhere gives what a table without these columns gives."""
    encoder, batch = made("drop-mean"), rows(12, 6)
    hidden = torch.zeros(12, WIDTH, dtype=torch.bool)
    hidden[:, [1, NUM, NUM + 1, NUM + 2]] = True
    smaller = made("drop-mean", TableSpec(("a", "c", "d"), (), (), replace(rows(9, 1), numeric=torch.ones(9, 3),
        missing=torch.ones(9, 3, dtype=torch.bool), codes=torch.zeros(9, 0, dtype=torch.int64))))  # fmt: skip
    kept = [0, 2, 3]
    state = {key: value for key, value in encoder.state_dict().items() if key != "tokens.table"}
    for name in ("weight", "bias", "missing"):
        state[f"tokens.{name}"] = state[f"tokens.{name}"][kept]
    smaller.load_state_dict(state)
    some = replace(batch, numeric=batch.numeric[:, kept], missing=batch.missing[:, kept], codes=torch.zeros(12, 0).long())
    found = encoder(View(batch, mask={"cell": hidden.flatten()}))["row"]
    torch.testing.assert_close(found, smaller(View(some))["row"], rtol=1e-9, atol=1e-9)


def test_the_reg_token_can_be_hidden() -> None:
    encoder, batch = made("drop-flatten"), rows(10, 7)
    reg = torch.arange(10) % 2 == 0
    embedding = encoder(View(batch, mask={"reg": reg, "cell": torch.zeros(10 * WIDTH, dtype=torch.bool)}))
    assert (embedding["reg"][reg] == 0).all()
    assert (embedding["reg"][~reg] != 0).any(1).all()
    whole = encoder(View(batch))
    torch.testing.assert_close(embedding["row"][~reg], whole["row"][~reg], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(embedding["cell"], whole["cell"])


@pytest.mark.parametrize("form", list(FORMS))
def test_rows_are_a_set(form: str) -> None:
    encoder, batch = made(form), rows(30, 8)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    first, second = encoder(View(batch)), encoder(View(batch.take(order)))
    torch.testing.assert_close(first["row"][order], second["row"], rtol=1e-9, atol=1e-9)
    if "cell" in first.levels:
        cells = first["cell"].view(30, WIDTH, -1)[order].flatten(0, 1)
        torch.testing.assert_close(cells, second["cell"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "saint"])
def test_an_embedding_depends_on_its_row_alone(form: str) -> None:
    encoder, batch = made(form), rows(9, 9)
    alone = torch.cat([encoder(View(batch.take(torch.tensor([r]))))["row"] for r in range(9)])
    torch.testing.assert_close(encoder(View(batch))["row"], alone, rtol=1e-9, atol=1e-9)


def test_attention_among_rows_is_evaluated_in_fixed_groups() -> None:
    name, options = FORMS["saint"]
    component, batch = ENCODERS[name], rows(10, 10)
    made_with = {}
    for group in (1, 4, 256):
        torch.manual_seed(0)
        made_with[group] = component.build(component.options(**options, row_group=group), SPEC).double().eval()
    # In groups of 4, rows 4..7 are what they are without any other row; the whole batch gives something else.
    four = made_with[4](View(batch))["row"]
    torch.testing.assert_close(four[4:8], made_with[4](View(batch.take(torch.arange(4, 8))))["row"], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(four, made_with[256](View(batch))["row"])
    # A group of 1 sees itself alone, whatever the batch; training compares the whole batch.
    single = made_with[1](View(batch))["row"]
    alone = torch.cat([made_with[256](View(batch.take(torch.tensor([r]))))["row"] for r in range(10)])
    torch.testing.assert_close(single, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(made_with[1].train()(View(batch))["row"], made_with[256](View(batch))["row"])


def test_attention_among_rows_refuses_to_leave_tokens_out() -> None:
    component = ENCODERS["ft_transformer"]
    with pytest.raises(ValidationError, match="hidden: token"):
        component.options(rows=True)
    with pytest.raises(ValidationError, match="multiple of heads"):
        component.options(width=10, heads=4)


@pytest.mark.parametrize("form", list(FORMS))
def test_mixup_mixes_tokens(form: str) -> None:
    """Share 0 is the clean view, share 1 the partner's, and rows with themselves do not change."""
    encoder, batch = made(form), rows(8, 11)
    partner = torch.arange(8).roll(1)

    def mixed(share: float, with_: Tensor) -> Tensor:
        found: Tensor = encoder(View(batch, params={"mixup": torch.full((8,), share), "partner": with_}))["row"]
        return found

    clean = encoder(View(batch))["row"]
    torch.testing.assert_close(mixed(0.0, partner), clean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixed(0.7, torch.arange(8)), clean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mixed(1.0, partner), encoder(View(batch.take(partner)))["row"], rtol=1e-9, atol=1e-9)
    third = mixed(0.3, partner)
    if form == "mlp":  # before the first activation a row is 0.7 of itself and 0.3 of its partner
        cells = encoder.cells.total(batch)
        expected = encoder.layers(0.7 * cells + 0.3 * cells[partner])
        torch.testing.assert_close(third, expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(third, clean)


def test_the_mlp_averages_its_subsets_where_nothing_is_hidden() -> None:
    encoder, batch = made("mlp-subsets"), rows(15, 12)
    component = VIEWS["subsets"]
    views = component.build(component.options(count=3, swap=0.0), SPEC)(batch, Rng.root(0))
    parts = torch.stack([encoder(view)["row"] for view in views])
    torch.testing.assert_close(encoder(View(batch))["row"], parts.mean(0), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(parts[0], parts[1])


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize(("numbers", "categories"), [(True, False), (False, True)])
def test_tables_of_one_kind(form: str, numbers: bool, categories: bool) -> None:
    spec = TableSpec(
        tuple("abcd") if numbers else (), ("u", "v", "w") if categories else (), CARDINALITIES if categories else (),
        rows(50, 1, numbers, categories),
    )  # fmt: skip
    encoder = made(form, spec).float().train()
    total = torch.zeros(())
    for name in ("scarf", "masked", "saint"):
        component = VIEWS[name]
        for view in component.build(component.options(), spec)(rows(16, 13, numbers, categories), Rng.root(0)):
            for level, values in encoder(view).levels.items():
                assert torch.isfinite(values).all()
                assert values.shape[1] == encoder.dims[level]
                total = total + (values * torch.randn(values.shape)).sum()
    total.backward()
    assert not [key for key, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]


def test_missing_and_unseen_values_start_neutral() -> None:
    torch.manual_seed(0)
    component = ENCODERS["ft_transformer"]
    tokens = component.build(component.options(**SMALL), SPEC).tokens
    assert (tokens.missing == 0).all()
    starts = [0, 5, 13]
    assert all((tokens.table[start + 1] == 0).all() for start in starts)
    assert all((tokens.table[start] != 0).all() for start in starts)
    full = replace(SPEC.reference, missing=torch.zeros_like(SPEC.reference.missing))
    whole = component.build(component.options(**SMALL), TableSpec(tuple("abcd"), ("u", "v", "w"), CARDINALITIES, full))
    assert whole.tokens.missing is None  # nothing could train it
    lacks = replace(full.take(torch.arange(3)), missing=torch.ones(3, NUM, dtype=torch.bool))
    assert torch.isfinite(whole(View(lacks))["row"]).all()
