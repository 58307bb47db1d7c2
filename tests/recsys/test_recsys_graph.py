"""The operator, its propagation and the sampler against dense float64 and brute force."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.graph import Graph, kept_edges, kept_nodes
from sslplug_recsys.interaction_graph import graph_of
from sslplug_recsys.propagation import Branch, Noise, Reading, perturbed, product, product_rows, propagate
from sslplug_recsys.sampling import interactions_of, uniform
from sslplug_recsys.spec import RecSpec

USERS, ITEMS = 13, 17


def spec(seed: int = 0, pairs: int = 60, **more: object) -> RecSpec:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randperm((USERS - 1) * (ITEMS - 2), generator=generator)[:pairs]
    user, item = keys // (ITEMS - 2), keys % (ITEMS - 2)  # the last user and the last items have no pair
    return RecSpec(USERS, ITEMS, user, item, torch.bincount(item, minlength=ITEMS), **more)  # type: ignore[arg-type]


def dense(graph: Graph) -> Tensor:
    """A^ written out from the edges' ends."""
    a = torch.zeros(graph.nodes, graph.nodes, dtype=torch.float64)
    a[graph.owner, graph.neighbours.long()] = 1.0
    degree = a.sum(1)
    scale = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), torch.zeros_like(degree))
    return scale[:, None] * a * scale


def written_out(data: RecSpec) -> Tensor:
    """A^ from the pairs themselves."""
    a = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    a[data.user, USERS + data.item] = 1.0
    a = a + a.t()
    degree = a.sum(1)
    return a / (degree.clamp(min=1)[:, None] * degree.clamp(min=1)).sqrt()


def test_operator_is_that_of_the_pairs() -> None:
    data = spec()
    expected = written_out(data)
    rows = torch.randn(USERS + ITEMS, 5, dtype=torch.float64)
    torch.testing.assert_close(product(graph_of(data), rows), expected @ rows, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(dense(graph_of(data)), expected)


def test_spectrum_lies_in_the_unit_interval_and_sqrt_degree_is_invariant() -> None:
    graph = graph_of(spec())
    values = torch.linalg.eigvalsh(dense(graph))
    assert values.min() == pytest.approx(-1.0, abs=1e-9)  # bipartite: symmetric about 0
    assert values.max() == pytest.approx(1.0, abs=1e-9)
    root = graph.offsets.diff().double().sqrt()[:, None]
    torch.testing.assert_close(product(graph, root), root, rtol=1e-6, atol=1e-6)


def test_some_rows_are_those_of_the_whole_product() -> None:
    graph, rows = graph_of(spec()), torch.tensor([3, 0, 29, 12, 3])
    table = torch.randn(graph.nodes, 4)
    torch.testing.assert_close(product_rows(graph, table, rows), product(graph, table)[rows])


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_readings_and_their_gradient_equal_dense_float64(layers: int) -> None:
    data = spec(layers)
    graphs = [
        kept_edges(graph_of(data), torch.rand(60, generator=torch.Generator().manual_seed(k)) > 0.3) for k in range(layers)
    ]
    rows = torch.tensor([1, 1, 20, 5, 29])
    final = tuple(1.0 / (layers + 1) for _ in range(layers + 1))
    first = tuple(float(layer == min(1, layers)) for layer in range(layers + 1))
    readings = (Reading(final, rows), Reading(first, rows[:2]), Reading(final), Reading((1.0, *[0.0] * layers), rows))
    table = torch.randn(USERS + ITEMS, 3, dtype=torch.float64, requires_grad=True)
    twin = table.detach().clone().requires_grad_()
    states = [twin]
    for graph in graphs:
        states.append(dense(graph) @ states[-1])
    expected = []
    for reading in readings:
        total = sum(c * state for c, state in zip(reading.coefficients, states, strict=True))
        expected.append(total if reading.rows is None else total[reading.rows])  # type: ignore[index]
    found = propagate(table, graphs, [Branch(readings)])
    weights = [torch.randn_like(one) for one in expected]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    torch.stack([(a * w).sum() for a, w in zip(found, weights, strict=True)]).sum().backward()
    torch.stack([(b * w).sum() for b, w in zip(expected, weights, strict=True)]).sum().backward()
    torch.testing.assert_close(table.grad, twin.grad, rtol=1e-6, atol=1e-6)


def test_branches_are_the_passes_by_themselves_and_noise_is_a_constant_to_the_gradient() -> None:
    graph = graph_of(spec())
    rows = torch.arange(graph.nodes)
    final = (0.0, 0.5, 0.5)
    noise = Noise(0.3, Rng.root(1))
    table = torch.randn(graph.nodes, 6, requires_grad=True)
    clean, noisy = propagate(table, [graph] * 2, [Branch((Reading(final, rows),)), Branch((Reading(final, rows),), noise)])
    alone = propagate(table, [graph] * 2, [Branch((Reading(final, rows),), noise)])[0]
    torch.testing.assert_close(noisy, alone)
    assert not torch.allclose(clean, noisy)
    (a,) = torch.autograd.grad(clean.square().sum() + (noisy * 2).sum(), table, retain_graph=True)
    operator = dense(graph).float()
    back = 0.5 * (operator + operator @ operator)
    torch.testing.assert_close(a, back @ (2 * clean.detach() + 2.0))


def test_noise_keeps_signs_and_has_the_asked_norm() -> None:
    rows = torch.randn(200, 64)
    moved = perturbed(rows, 0.1, Rng.root(3).torch()) - rows
    torch.testing.assert_close(moved.norm(dim=1), torch.full((200,), 0.1))
    assert bool((moved * rows >= 0).all())
    share = moved.abs() / moved.abs().amax(1, keepdim=True)
    assert share.mean() == pytest.approx(0.5, abs=0.02)  # uniform numbers have half their largest


@pytest.mark.parametrize("by", ["edges", "nodes"])
def test_thinned_graphs_are_normalised_anew(by: str) -> None:
    data = spec()
    graph = graph_of(data)
    if by == "edges":
        keep = torch.arange(graph.edges) % 3 > 0
        thin = kept_edges(graph, keep)
        assert len(thin.neighbours) == 2 * int(keep.sum())
    else:
        keep = torch.arange(graph.nodes) % 4 > 0
        thin = kept_nodes(graph, keep)
        assert bool(keep[thin.owner].all())
        assert bool(keep[thin.neighbours.long()].all())
        inside = keep[data.user] & keep[USERS + data.item]
        assert len(thin.neighbours) == 2 * int(inside.sum())
    both = set(zip(thin.owner.tolist(), thin.neighbours.tolist(), strict=True))
    assert {(b, a) for a, b in both} == both
    rows = torch.randn(graph.nodes, 3, dtype=torch.float64)
    torch.testing.assert_close(product(thin, rows), dense(thin) @ rows, rtol=1e-6, atol=1e-6)
    kept_all = kept_edges(graph, torch.ones(graph.edges, dtype=torch.bool))
    assert torch.equal(kept_all.values, graph.values)
    assert torch.equal(kept_all.offsets, graph.offsets)


def test_relations_are_more_edges_of_the_same_graph() -> None:
    friends = torch.tensor([[0, 1, 5, 2], [1, 0, 12, 2]])  # one pair twice, one with itself
    values = torch.tensor([1, 0, 2, 2, 1])
    offsets = torch.cat([torch.tensor([0, 2, 3]), torch.full((ITEMS - 2,), 5)])
    features = FeatureTable(("brand",), (3,), (offsets,), (values,))
    data = spec(relations={"user-user": friends}, item_features=features)
    graph = graph_of(data, ("user-user", "item-brand"))
    assert graph.nodes == USERS + ITEMS + 2  # brands 1 and 2; 0 is missing
    edges = {(a, b) for a, b in zip(graph.owner.tolist(), graph.neighbours.tolist(), strict=True) if a < b}
    pairs = {(u, USERS + i) for u, i in zip(data.user.tolist(), data.item.tolist(), strict=True)}
    brand = USERS + ITEMS
    item = USERS
    expected = pairs | {(0, 1), (5, 12), (item, brand), (item + 1, brand + 1), (item + 2, brand + 1), (item + 2, brand)}
    assert edges == expected
    rows = torch.randn(graph.nodes, 2, dtype=torch.float64)
    torch.testing.assert_close(product(graph, rows), dense(graph) @ rows, rtol=1e-6, atol=1e-6)
    with pytest.raises(UsageError, match=r"no relation 'user-item'; it has: user-user, item-brand"):
        graph_of(data, ("user-item",))


def test_negatives_are_uniform_over_exactly_the_unseen_items() -> None:
    data = spec()
    known = interactions_of(data)
    seen = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    users = torch.arange(USERS).repeat_interleave(4000)
    drawn = known.negatives(users, uniform(Rng.root(5), torch.arange(len(users)))[:, 0])
    table = torch.zeros(USERS, ITEMS)
    table.index_put_((users, drawn), torch.ones(len(users)), accumulate=True)
    for user, item in itertools.product(range(USERS), range(ITEMS)):
        assert (table[user, item] == 0) == ((user, item) in seen)
    for user in range(USERS):
        free = table[user][table[user] > 0]
        expected = 4000 / len(free)
        chi2 = float(((free - expected) ** 2 / expected).sum())
        assert chi2 < len(free) - 1 + 6 * (2 * (len(free) - 1)) ** 0.5 + 1
    ends = known.negatives(torch.tensor([0, 0]), torch.tensor([0.0, 1.0 - 2.0**-48], dtype=torch.float64))
    free_items = [item for item in range(ITEMS) if (0, item) not in seen]
    assert ends.tolist() == [free_items[0], free_items[-1]]


def test_positives_are_uniform_over_users_with_pairs_and_then_over_their_items() -> None:
    data = spec()
    known = interactions_of(data)
    users, items = known.positives(uniform(Rng.root(6), torch.arange(30_000), 2))
    seen = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    assert set(zip(users.tolist(), items.tolist(), strict=True)) == seen
    active = torch.unique(data.user)
    count = torch.bincount(users, minlength=USERS)[active].double()
    expected = 30_000 / len(active)
    assert float(((count - expected) ** 2 / expected).sum()) < len(active) + 6 * (2 * len(active)) ** 0.5


def test_a_user_with_every_item_is_refused() -> None:
    data = RecSpec(2, 3, torch.tensor([0, 1, 1, 1]), torch.tensor([0, 2, 0, 1]), torch.tensor([2, 1, 1]))
    with pytest.raises(DataError, match="User 1 has a training pair with all 3 items"):
        interactions_of(data)
