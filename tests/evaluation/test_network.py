"""MLP and ResNet heads, their projection and their search."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from sslplug.errors import UsageError
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.network import (
    SPACE,
    Groups,
    MlpOptions,
    Network,
    NetworkOptions,
    ResNetOptions,
    make_mlp,
    make_resnet,
    mlp,
    resnet,
)
from sslplug.evaluation.search import settings

FORMS: list[tuple[Callable[..., Network], type[NetworkOptions]]] = [(make_mlp, MlpOptions), (make_resnet, ResNetOptions)]


def ring(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that no linear model parts: inside and outside a circle, among noise columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 6))
    return (5 + 100 * x).astype(np.float32), (x[:, 0] ** 2 + x[:, 1] ** 2 > 1.4).astype(np.int64)


@pytest.mark.parametrize(("make", "options"), FORMS)
def test_heads_bend(make: Callable[..., Network], options: type[NetworkOptions]) -> None:
    x, y = ring()
    probe = make(options(lr=5e-3, epochs=60, width=64, batch_size=64))
    fit = probe.fit(x[:300], y[:300], x[300:400], y[300:400], "classification", 0)
    assert (fit(x[400:]).labels == y[400:]).mean() > 0.85
    again = probe.fit(x[:300], y[:300], x[300:400], y[300:400], "classification", 0)
    assert np.array_equal(fit(x[400:]).values, again(x[400:]).values)


@pytest.mark.parametrize(("make", "options"), FORMS)
def test_numbers_come_back_in_their_own_unit(make: Callable[..., Network], options: type[NetworkOptions]) -> None:
    x, _ = ring()
    y = 1000.0 + 30.0 * np.abs(x[:, 0] - 5) / 100
    fit = make(options(lr=5e-3, epochs=40, width=64, batch_size=64)).fit(
        x[:300], y[:300], x[300:400], y[300:400], "regression", 0
    )
    residual = fit(x[400:]).values - y[400:]
    assert residual.std() < 0.5 * y.std()


@pytest.mark.parametrize(("make", "options"), FORMS)
@pytest.mark.parametrize(("rows", "val"), [(4, 0), (6, 1), (9, 2), (33, 0)])
def test_a_handful_of_rows(make: Callable[..., Network], options: type[NetworkOptions], rows: int, val: int) -> None:
    """1 % of a small table: no validation rows or one, a last batch of one row."""
    x, y = ring()
    order = np.concatenate([np.flatnonzero(y == c)[: rows // 2 + 1] for c in (0, 1)])[:rows]
    probe = make(options(epochs=3, batch_size=4, width=8))
    for kind, labels in (("classification", y), ("regression", y * 1.5)):
        held = slice(500, 500 + val)
        fit = probe.fit(x[order], labels[order], x[held], labels[held], kind, 0)
        assert np.isfinite(fit(x[:7]).values).all()


def test_the_best_epoch_is_kept_and_the_last_is_not() -> None:
    """A far too large learning rate: what leaves is the best of all epochs on validation rows."""
    x, y = ring()
    parts = (x[:60], y[:60], x[60:160], y[60:160])
    scores = []
    for epochs in (1, 5, 25):
        fit = make_mlp(MlpOptions(lr=0.3, epochs=epochs, patience=100, width=32)).fit(*parts, "classification", 3)
        scores.append(selection_score("classification", parts[3], fit(parts[2])))
    assert scores == sorted(scores)


def test_search_never_does_worse_on_validation_and_is_the_same_for_all_features() -> None:
    x, y = ring()
    parts = (x[:150], y[:150], x[150:300], y[150:300])
    base = MlpOptions(epochs=8, lr=1e-6)
    plain = make_mlp(base).fit(*parts, "classification", 1)
    tuned = make_mlp(base.model_copy(update={"tune": 4})).fit(*parts, "classification", 1)
    said = [selection_score("classification", parts[3], fit(parts[2])) for fit in (plain, tuned)]
    assert said[1] > said[0]
    drawn = settings(base, SPACE, 5, 1)
    assert drawn[0] == base
    assert drawn == settings(base, SPACE, 5, 1)
    assert drawn[:3] == settings(base, SPACE, 2, 1)
    assert len({one.lr for one in drawn}) == 6
    assert all(MlpOptions.model_validate(one.model_dump()) == one for one in drawn), "every draw is a valid setting"


def test_search_looks_at_validation_rows_alone() -> None:
    """Labels that contradict the training rows on validation rows decide; test rows are not even handed in."""
    x, y = ring()
    flipped = 1 - y[150:300]
    fit = make_mlp(MlpOptions(epochs=20, lr=5e-3, patience=100)).fit(
        x[:150], y[:150], x[150:300], flipped, "classification", 0
    )
    straight = make_mlp(MlpOptions(epochs=20, lr=5e-3, patience=100)).fit(
        x[:150], y[:150], x[150:300], y[150:300], "classification", 0
    )
    assert (fit(x[300:]).labels == y[300:]).mean() < (straight(x[300:]).labels == y[300:]).mean()


def test_groups_are_one_linear_map_a_token() -> None:
    torch.manual_seed(0)
    module, x = Groups(3, 4), torch.randn(5, 12)
    for token in range(3):
        alone = nn.Linear(4, 1)
        alone.load_state_dict({"weight": module.weight[token : token + 1], "bias": module.bias[token : token + 1]})
        assert torch.allclose(module(x)[:, token], alone(x[:, 4 * token : 4 * token + 4])[:, 0], atol=1e-6)


def test_groups_must_divide_and_raw_rows_have_none() -> None:
    x, y = ring(60)
    probe = make_mlp(MlpOptions(projection="groups", group_width=4, epochs=2))
    with pytest.raises(UsageError, match="group_width: 4, but the embeddings have 6"):
        probe.fit(x, y, x, y, "classification", 0)
    probe.flat().fit(x, y, x, y, "classification", 0)
    good = make_mlp(MlpOptions(projection="groups", group_width=3, epochs=2)).fit(x, y, x, y, "classification", 0)
    assert isinstance(good.network[0], Groups)  # type: ignore[index]


def test_the_forms_are_those_of_the_paper() -> None:
    """Against the equations, written out by hand."""
    torch.manual_seed(0)
    x = torch.randn(9, 5)
    net = resnet(ResNetOptions(width=6, layers=2, inner=2.0, dropout=0.0), 5, 3)
    first, *blocks, norm, _, last = net.children()
    h = first(x)
    for block in blocks:
        bn, up, _, _, down, _ = block.branch.children()  # type: ignore[union-attr]
        z = (h - h.mean(0)) / (h.var(0, unbiased=False) + bn.eps).sqrt()
        assert up.weight.shape == (12, 6)
        h = h + torch.relu(z @ up.weight.T + up.bias) @ down.weight.T + down.bias
    z = (h - h.mean(0)) / (h.var(0, unbiased=False) + norm.eps).sqrt()  # type: ignore[operator, union-attr]
    assert torch.allclose(net(x), torch.relu(z) @ last.weight.T + last.bias, atol=1e-5)  # type: ignore[operator, union-attr]
    plain = mlp(MlpOptions(width=7, layers=3), 5, 2)
    assert [m.weight.shape for m in plain if isinstance(m, nn.Linear)] == [(7, 5), (7, 7), (7, 7), (2, 7)]


def test_global_randomness_is_left_alone() -> None:
    x, y = ring(60)
    state = torch.get_rng_state()
    make_mlp(MlpOptions(epochs=2)).fit(x, y, x, y, "classification", 0)
    assert torch.equal(torch.get_rng_state(), state)
