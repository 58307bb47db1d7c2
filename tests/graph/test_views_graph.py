"""Graph views: nothing written, the same rng the same views, the share that is declared."""

from dataclasses import replace

import pytest
import torch

from sslplug.contracts import Target, View
from sslplug.randomness import Rng
from sslplug_graph.batch import Features, GraphBatch, Structure
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views import VIEWS
from sslplug_graph.views.adaptive import column_probabilities, edge_probabilities
from sslplug_graph.views.centrality import centrality, eigenvector
from sslplug_graph.views.corruption import Corruption
from sslplug_graph.views.diffusion import diffused
from sslplug_graph.views.edges import EdgeAdd, EdgeDrop
from sslplug_graph.views.nodes import NodeDrop, Subgraph, keep_nodes

SIZES = torch.randint(5, 30, (60,), generator=torch.Generator().manual_seed(3))
NODES, GRAPHS = int(SIZES.sum()), len(SIZES)
SPEC = GraphSpec(50, NODES, 0, GRAPHS, "graph", False)


def batch() -> GraphBatch:
    generator = torch.Generator().manual_seed(0)
    graph = torch.arange(GRAPHS).repeat_interleave(SIZES)
    first = SIZES.cumsum(0) - SIZES
    source = torch.randint(NODES, (4 * NODES,), generator=generator)
    place = (torch.rand(4 * NODES, generator=generator) * SIZES[graph[source]]).long()
    index = torch.stack([source, first[graph[source]] + place])
    index = torch.cat([index, index.flip(0)], 1)
    x = Features(torch.rand(NODES, 50, generator=generator))
    return GraphBatch(x, index, NODES, graph, GRAPHS, torch.arange(NODES) + 1000, torch.arange(GRAPHS) + 70)


def tensors(view: View) -> list[torch.Tensor]:
    data = view.data
    parts = [data.x.dense(), data.edge_index, data.graph, data.node_ids, data.graph_ids, *view.ids.values()]
    parts += [*view.mask.values()] + ([] if data.edge_weight is None else [data.edge_weight])
    return parts + [part for target in view.targets.values() for part in (target.values, target.rows)]


@pytest.mark.parametrize("name", list(VIEWS))
def test_pure_repeatable_and_blind_to_global_randomness(name: str) -> None:
    views, given = VIEWS[name].build(VIEWS[name].options(), SPEC), batch()
    before, state = [t.clone() for t in tensors(View(given))], torch.get_rng_state()
    first, again, other = (views(given, Rng.root(key)) for key in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(View(given)), strict=True))
    for a, b in zip(first, again, strict=True):
        assert all(torch.equal(s, t) for s, t in zip(tensors(a), tensors(b), strict=True))
    assert len(first) == len(other)
    if name not in ("identity", "diffusion", "reordered"):
        pairs = [(s, t) for a, b in zip(first, other) for s, t in zip(tensors(a), tensors(b))]
        assert any(s.shape != t.shape or not torch.equal(s, t) for s, t in pairs)


def test_grace_changes_the_declared_share() -> None:
    component = VIEWS["grace"]
    views = component.build(component.options(edge_drop=[0.2, 0.5], feature_mask=[0.0, 0.4]), SPEC)
    assert component.provides(component.options()) == {"pair"}
    dropped, blanked = torch.zeros(2), torch.zeros(2)
    for draw in range(50):
        for number, view in enumerate(views(batch(), Rng.root(draw))):
            dropped[number] += (view.data.edge_weight == 0).float().mean() / 50
            blank = (view.data.x.dense() == 0).float()
            assert torch.equal(blank.amin(0), blank.amax(0))  # whole columns
            blanked[number] += blank.mean() / 50
    torch.testing.assert_close(dropped, torch.tensor([0.2, 0.5]), atol=0.01, rtol=0)
    torch.testing.assert_close(blanked, torch.tensor([0.0, 0.4]), atol=0.04, rtol=0)


def test_undirected_drop_takes_both_directions() -> None:
    view = EdgeDrop(rate=0.5, undirected=True)(View(batch()), Rng.root(0))
    forth, back = view.data.edge_weight.chunk(2)  # the second half holds the reverse of the first
    assert torch.equal(forth, back)
    assert 0.45 < float(forth.mean()) < 0.55


def test_added_edges_stay_inside_their_graph() -> None:
    data = EdgeAdd(rate=0.5)(View(batch()), Rng.root(0)).data
    assert data.num_edges == round(1.5 * batch().num_edges)
    assert torch.equal(data.graph[data.edge_index[0]], data.graph[data.edge_index[1]])


@pytest.mark.parametrize("transform", [NodeDrop(rate=0.1), NodeDrop(rate=0.55), Subgraph(rate=0.8)])
def test_dropped_nodes(transform: NodeDrop | Subgraph) -> None:
    given, left = batch(), []
    ids = {"node": given.node_ids, "graph": given.graph_ids}
    for draw in range(30):
        view = transform(View(given, ids=ids, targets={"t": Target("node", given.node_ids)}), Rng.root(draw))
        left.append(view.data.num_nodes / NODES)
        assert torch.equal(view.ids["node"], view.data.node_ids)
        assert int(torch.bincount(view.data.graph, minlength=GRAPHS).min()) >= 1
        assert torch.equal(view.targets["t"].values, view.ids["node"][view.targets["t"].rows])
        old = {tuple(pair) for pair in given.node_ids[given.edge_index].T.tolist()}
        assert {tuple(pair) for pair in view.data.node_ids[view.data.edge_index].T.tolist()} <= old
        assert torch.equal(view.data.x.dense(), given.x.dense()[view.data.node_ids - 1000])
    assert abs(1 - sum(left) / len(left) - transform.rate) < 0.02


def test_a_walked_subgraph_is_connected_where_the_graph_is() -> None:
    ring = torch.arange(40)
    index = torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring.roll(1), ring])], 1)
    zeros = torch.zeros(40, dtype=torch.int64)
    given = GraphBatch(Features(torch.rand(40, 2)), index, 40, zeros, 1, ring, zeros[:1])
    for draw in range(10):
        data = Subgraph(rate=0.8)(View(given), Rng.root(draw)).data
        # A connected stretch of a ring has one edge (two directions) fewer than nodes.
        assert data.num_nodes == 8
        assert data.num_edges == 2 * 7


def test_keeping_nodes_keeps_the_seeds_first() -> None:
    given = replace(batch(), seeds=10)
    keep = torch.arange(NODES) % 2 == 0
    assert keep_nodes(View(given), keep).data.seeds == 5


def test_corruption_shuffles_rows_and_says_so() -> None:
    view = Corruption()(View(batch()), Rng.root(0))
    assert view.role == "negative"
    old, new = batch().x.dense(), view.data.x.dense()
    assert not torch.equal(old, new)
    assert torch.equal(old.sort(0).values, new.sort(0).values)
    assert view.data.edge_index is not None
    assert VIEWS["corrupt"].provides(VIEWS["corrupt"].options()) == {"negatives"}


def test_masking_hides_and_asks() -> None:
    component = VIEWS["mask"]
    view = component.build(component.options(rate=0.5, replace=0.2), SPEC)(batch(), Rng.root(0))[0]
    target, hidden, old, new = view.targets["features"], view.mask["node"], batch().x.dense(), view.data.x.dense()
    asked = round(0.5 * NODES)
    assert len(target.rows) == len(torch.unique(target.rows)) == asked
    assert torch.equal(target.values, old[target.rows])
    assert int(hidden.sum()) == asked - int(0.2 * asked)
    changed = (old != new).any(1)
    assert not bool((changed & hidden).any())
    assert int(changed.sum()) == int(0.2 * asked)
    assert bool(torch.isin(changed.nonzero()[:, 0], target.rows).all())
    assert component.outputs(component.options(), SPEC) == {"features": 50}


def ring_with_hub(spokes: int) -> GraphBatch:
    ring = torch.arange(1, spokes + 1)
    one_way = torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring, torch.zeros_like(ring)])], 1)
    index, n = torch.cat([one_way, one_way.flip(0)], 1), spokes + 1
    zeros = torch.zeros(n, dtype=torch.int64)
    x = torch.zeros(n, 3)
    x[0, 0], x[1, 1], x[2, 2] = 1.0, -1.0, 1.0
    return GraphBatch(Features(x), index, n, zeros, 1, torch.arange(n), zeros[:1])


@pytest.mark.parametrize("kind", ["degree", "eigenvector", "pagerank"])
def test_gca_spares_the_central(kind: str) -> None:
    given = ring_with_hub(12)
    edges = edge_probabilities(given, 0.3, kind, 0.7)
    into_hub = given.edge_index[1] == 0
    assert float(edges[into_hub].max()) < float(edges[~into_hub].min())
    assert float(edges.mean()) <= 0.3 + 1e-6
    assert float(edges.max()) <= 0.7
    columns = column_probabilities(given, 0.3, kind, 0.7)
    assert float(columns[0]) < float(columns[1])
    torch.testing.assert_close(columns[1], columns[2], atol=1e-4, rtol=0)  # signs play no part


@pytest.mark.parametrize("kind", ["degree", "eigenvector", "pagerank"])
def test_gca_on_a_regular_graph_is_uniform(kind: str) -> None:
    ring = torch.arange(10)
    index = torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring.roll(1), ring])], 1)
    zeros = torch.zeros(10, dtype=torch.int64)
    given = GraphBatch(Features(torch.eye(10)), index, 10, zeros, 1, ring, zeros[:1])
    torch.testing.assert_close(edge_probabilities(given, 0.3, kind, 0.7), torch.full((20,), 0.3))
    torch.testing.assert_close(column_probabilities(given, 0.3, kind, 0.7), torch.full((10,), 0.3))


def test_gca_degree_formula_by_hand() -> None:
    given = ring_with_hub(4)
    s = given.structure.in_degree[given.edge_index[1]].float().log()
    expected = (0.3 * (s.max() - s) / (s.max() - s.mean())).clamp(max=0.7)
    torch.testing.assert_close(edge_probabilities(given, 0.3, "degree", 0.7), expected)


def test_centralities_are_fixed_points_and_cached() -> None:
    structure = ring_with_hub(12).structure
    dense = torch.zeros(13, 13)
    dense[structure.edge_index[1], structure.edge_index[0]] = 1.0
    vector = torch.linalg.eigh(dense).eigenvectors[:, -1].abs()
    torch.testing.assert_close(eigenvector(structure), vector, atol=1e-4, rtol=1e-4)
    walk = dense / dense.sum(0)
    rank = torch.linalg.solve(torch.eye(13) - 0.85 * walk, torch.full((13,), 0.15))
    torch.testing.assert_close(centrality(structure, "pagerank", 200), rank, atol=1e-4, rtol=1e-4)
    assert centrality(structure, "pagerank", 200) is centrality(structure, "pagerank", 200)


@pytest.mark.parametrize(("kind", "strength"), [("ppr", 0.2), ("heat", 3.0)])
def test_diffusion_is_the_dense_matrix(kind: str, strength: float) -> None:
    structure = Structure(ring_with_hub(12).edge_index, 13)
    dense = torch.zeros(13, 13, dtype=torch.float64)
    dense[structure.edge_index[1], structure.edge_index[0]] = 1.0
    scale = dense.sum(1).rsqrt()
    walk, eye = scale[:, None] * dense * scale, torch.eye(13, dtype=torch.float64)
    whole = (
        strength * torch.linalg.inv(eye - (1 - strength) * walk)
        if kind == "ppr"
        else torch.matrix_exp(strength * (walk - eye))
    )
    edges, weights = diffused(structure, kind, strength, 4)
    assert torch.equal(torch.bincount(edges[1], minlength=13), torch.full((13,), 4))
    source, target = edges
    expected = whole[target, source] / whole[target, target]
    torch.testing.assert_close(weights.double(), expected, atol=2e-3, rtol=2e-3)
    strongest = (whole - torch.diag(whole.diag())).topk(4, 1).values.sum(1)
    torch.testing.assert_close(torch.zeros(13, dtype=torch.float64).index_add(0, target, whole[target, source]), strongest)


def test_labels_travel_with_the_views() -> None:
    given = replace(batch(), labels=Target("node", torch.tensor([1, 2, 3]), torch.tensor([0, 5, 6])))
    component = VIEWS["compose"]
    views = component.build(component.options(views=[[{"name": "node_drop", "rate": 0.3}], []]), SPEC)(given, Rng.root(0))
    assert torch.equal(views[1].targets["label"].rows, torch.tensor([0, 5, 6]))
    label = views[0].targets["label"]
    back = views[0].data.node_ids[label.rows] - 1000
    assert {0: 1, 5: 2, 6: 3}.items() >= dict(zip(back.tolist(), label.values.tolist())).items()
    assert torch.equal(views[1].ids["node"], given.node_ids)


def test_the_undrawn_augmentations_of_graphcl_leave_the_first_view_alone() -> None:
    component = VIEWS["graphcl"]
    views = component.build(component.options(), SPEC)
    seen = set()
    for draw in range(30):
        clean, augmented = views(batch(), Rng.root(draw))
        assert all(torch.equal(a, b) for a, b in zip(tensors(clean)[:5], tensors(View(batch()))))
        moved = augmented.data.num_nodes / NODES
        noisy = not torch.equal(augmented.data.x.dense(), batch().x.dense()) if moved == 1 else False
        seen.add("noise" if noisy else "edges" if moved == 1 else "drop" if moved > 0.5 else "walk")
    assert seen == {"noise", "edges", "drop", "walk"}
