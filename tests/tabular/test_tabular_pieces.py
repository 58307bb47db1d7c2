"""Numbers in pieces: what a share is, where edges lie, and that they stay with the parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sslplug.contracts import View
from sslplug_tabular.batch import Rows
from sslplug_tabular.encoders import ENCODERS
from sslplug_tabular.pieces import Pieces
from sslplug_tabular.spec import TableSpec


def table(numeric: torch.Tensor, missing: torch.Tensor | None = None) -> Rows:
    absent = torch.zeros_like(numeric, dtype=torch.bool) if missing is None else missing
    return Rows(numeric.masked_fill(absent, 0.0), absent, torch.zeros(len(numeric), 0).long(), torch.arange(len(numeric)))


def spec_of(numeric: torch.Tensor, missing: torch.Tensor | None = None) -> TableSpec:
    return TableSpec(tuple(f"c{c}" for c in range(numeric.shape[1])), (), (), table(numeric, missing))


def test_shares_by_hand() -> None:
    """Edges 0, 1, 3: 2.0 fills the first piece and half of the second; the ends go on."""
    pieces = Pieces(spec_of(torch.tensor([[0.0], [1.0], [3.0]])), 2)
    assert pieces.edges.tolist() == [[0.0, 1.0, 3.0]]
    found = pieces(torch.tensor([[2.0], [0.5], [-1.0], [5.0], [3.0]]))[:, 0]
    assert found.tolist() == [[1.0, 0.5], [0.5, 0.0], [-1.0, 0.0], [1.0, 2.0], [1.0, 1.0]]


@pytest.mark.parametrize("count", [1, 2, 7, 48, 400])
def test_the_shares_say_the_number(count: int) -> None:
    """x = e_0 + sum of share times width, inside and beyond the edges, with ties, few values and more pieces than values."""
    generator = torch.Generator().manual_seed(count)
    seen = torch.randn(300, 3, generator=generator)
    seen[:, 1] = (seen[:, 1] * 2).round()
    seen[:270, 2] = 0.0
    pieces = Pieces(spec_of(seen), count)
    x = torch.cat([seen, 4 * torch.randn(200, 3, generator=generator)])
    shares = pieces(x)
    assert shares.shape == (500, 3, count)
    again = pieces.edges[:, 0] + (shares * pieces.edges.diff(dim=1)).sum(2)
    torch.testing.assert_close(again, x, rtol=1e-4, atol=1e-4)
    filled = pieces(seen).amin(0), pieces(seen).amax(0)
    assert filled[0].min() >= 0
    assert filled[1].max() <= 1.0 + 1e-6


def test_edges_are_quantiles_of_different_values() -> None:
    """Nine rows in ten are 0: all but one edge lie where the others differ."""
    seen = torch.cat([torch.zeros(900), torch.arange(1, 101).float()])[:, None]
    found = Pieces(spec_of(seen), 10).edges[0]
    np.testing.assert_allclose(found, np.arange(0, 101, 10))


def test_missing_constant_and_empty_columns_have_no_pieces() -> None:
    seen = torch.tensor([[2.0, 5.0, 0.0], [2.0, 7.0, 0.0], [2.0, 9.0, 0.0]])
    missing = torch.tensor([[False, False, True], [False, True, True], [False, False, True]])
    pieces = Pieces(spec_of(seen, missing), 3)
    assert pieces.edges.tolist() == [[2.0] * 4, [5.0, 9.0, 9.0, 9.0], [0.0] * 4]
    assert pieces(torch.tensor([[3.0, 7.0, 1.0]])).tolist() == [[[0.0] * 3, [0.5, 0.0, 0.0], [0.0] * 3]]


@pytest.mark.parametrize("name", ["mlp", "resnet", "ft_transformer"])
def test_edges_travel_with_the_parameters(name: str) -> None:
    """An encoder built on other rows says the same once it has the trained one's state."""
    torch.manual_seed(0)
    component = ENCODERS[name]
    options = component.options(pieces=6)
    trained, other = (component.build(options, spec_of(torch.randn(80, 4) * scale)).eval() for scale in (1, 5))
    batch = View(table(torch.randn(12, 4)))
    assert not torch.allclose(trained(batch)["row"], other(batch)["row"])
    other.load_state_dict(trained.state_dict())
    assert torch.equal(trained(batch)["row"], other(batch)["row"])


def test_tokens_bend_and_a_missing_number_is_the_centre_until_trained() -> None:
    torch.manual_seed(0)
    seen = torch.randn(200, 2)
    absent = torch.zeros(200, 2, dtype=torch.bool)
    absent[:9, 0] = True
    component = ENCODERS["ft_transformer"]
    tokens = component.build(component.options(width=8, heads=2, pieces=9), spec_of(seen, absent)).tokens
    three = tokens(table(torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])))[:, 1:]
    assert not torch.allclose(three[1], (three[0] + three[2]) / 2, atol=1e-3)  # a straight line would have its middle there
    lacking = table(torch.zeros(1, 2), torch.tensor([[True, False]]))
    torch.testing.assert_close(tokens(lacking)[0, 1], three[1, 0])
    tokens.missing.data += 1.0
    torch.testing.assert_close(tokens(lacking)[0, 1], three[1, 0] + 1.0)
    whole = replace(lacking, missing=torch.zeros_like(lacking.missing))
    torch.testing.assert_close(tokens(whole)[0, 1], three[1, 0])
