from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext, DomainData, LabelledRows, Order, Task
from sslplug.errors import UsageError
from sslplug_graph.batch import GraphBatch
from sslplug_graph.data import DATA
from sslplug_graph.data.graph_data import SmallGraphs, with_labels

Make = Callable[..., DomainData]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(name: str, **options: object) -> DomainData:
        component = DATA[name]
        return component.build(component.options(**options), DataContext(None, tmp_path, 0))

    return build


def same(a: GraphBatch, b: GraphBatch) -> bool:
    pairs = ((a.x.dense(), b.x.dense()), (a.edge_index, b.edge_index), (a.node_ids, b.node_ids), (a.graph_ids, b.graph_ids))
    return all(torch.equal(p, q) for p, q in pairs) and a.seeds == b.seeds


def ids_of(batch: GraphBatch, level: str) -> list[int]:
    return batch.graph_ids.tolist() if level == "graph" else batch.node_ids[: batch.seeds].tolist()


CASES = [
    ("digits", {}),
    ("sbm", {"sampling": {"mode": "neighbour", "fanouts": [4, 3]}}),
    ("sbm-graphs", {}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_default_data_is_complete_without_a_data_root(make: Make, name: str, options: dict[str, object]) -> None:
    data = make(name, **options)
    assert isinstance(data, DomainData)
    assert len(data.description["sha256"]) == 64
    views = list(data.rows())
    for level, count in (("node", data.spec.num_nodes), ("graph", data.spec.num_graphs)):
        assert torch.cat([view.ids[level] for view in views]).tolist() == list(range(count))
    assert sum(view.data.num_edges for view in views) == data.spec.num_edges
    for task in data.tasks.values():
        raw = data.raw_features(task).values
        assert raw.shape[0] == (data.spec.num_nodes if task.level == "node" else data.spec.num_graphs)
        assert np.isfinite(raw).all()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_batch_is_a_pure_function_of_order_and_step(make: Make, name: str, options: dict[str, object]) -> None:
    data, twin = make(name, **options), make(name, **options)
    order = Order(seed=5, epoch=2, batch_size=64)
    first, second = data.batches(order), twin.batches(order)
    steps = list(range(len(first)))
    backwards = {step: second[step] for step in reversed(steps)}
    for step in steps:
        assert same(first[step], backwards[step])
    if len(steps) > 1:
        other = data.batches(Order(seed=5, epoch=3, batch_size=64))
        assert not all(ids_of(first[s], data.level) == ids_of(other[s], data.level) for s in steps)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("world", [2, 4])
def test_shares_of_the_ranks_join_to_the_global_batch(make: Make, name: str, options: dict[str, object], world: int) -> None:
    data = make(name, **options)
    whole = data.batches(Order(1, 1, 0, 1, 48))
    ranks = [data.batches(Order(1, 1, rank, world, 48)) for rank in range(world)]
    assert len({len(rank) for rank in ranks}) == 1
    for step in range(len(ranks[0])):
        parts = [ids_of(rank[step], data.level) for rank in ranks]
        assert len({len(part) for part in parts}) == 1, "ranks must have equally many rows"
        joined = [row for part in parts for row in part]
        wanted = ids_of(whole[step], data.level)
        assert len(set(joined)) == len(joined)
        assert set(joined) <= set(wanted)
        assert len(wanted) - len(joined) < world


def test_a_full_batch_on_two_ranks_is_the_same_graph_renumbered(make: Make) -> None:
    data = make("sbm")
    whole = data.batches(Order(0, 0))[0]
    part = data.batches(Order(0, 0, 1, 2))[0]
    assert part.seeds == 300
    edges = {tuple(p) for p in part.node_ids[part.edge_index].T.tolist()}
    assert edges == {tuple(p) for p in whole.edge_index.T.tolist()}
    torch.testing.assert_close(part.x.dense(), whole.x.dense()[part.node_ids])
    with pytest.raises(UsageError, match="ranks"):
        data.batches(Order(0, 0, 0, 601))[0]


def test_sampled_edges_are_edges_of_the_graph(make: Make) -> None:
    data = make("sbm", sampling={"mode": "neighbour", "fanouts": [3, 2]})
    whole = next(iter(data.rows())).data
    true = {tuple(p) for p in whole.edge_index.T.tolist()}
    batches = data.batches(Order(0, 0, batch_size=100))
    assert sorted(row for b in batches for row in ids_of(b, "node")) == list(range(600))
    for batch in batches:
        assert batch.seeds == 100
        assert {tuple(p) for p in batch.node_ids[batch.edge_index].T.tolist()} <= true
        torch.testing.assert_close(batch.x.dense(), whole.x.dense()[batch.node_ids])


def test_gathered_graphs_equal_graphs_cut_out_one_by_one(make: Make) -> None:
    data = make("sbm-graphs", graphs=30)
    assert isinstance(data, SmallGraphs)
    features, edges, graph, _ = data._raw
    chosen = torch.tensor([7, 0, 29, 7])
    batch = data.gather(chosen)
    node = edge = 0
    for place, number in enumerate(chosen.tolist()):
        members = np.flatnonzero(graph == number)
        own = edges[:, graph[edges[0]] == number]
        local = batch.edge_index[:, edge : edge + own.shape[1]] - node
        assert (local.numpy() + members[0]).tolist() == own.tolist()
        assert np.array_equal(batch.x.dense()[node : node + len(members)].numpy(), features[members])
        assert (batch.graph[node : node + len(members)] == place).all()
        node, edge = node + len(members), edge + own.shape[1]
    assert (node, edge) == (batch.num_nodes, batch.num_edges)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_no_label_enters_a_batch_unless_it_is_asked_for(make: Make, name: str, options: dict[str, object]) -> None:
    data = make(name, **options)
    assert all(batch.labels is None for batch in data.batches(Order(0, 0, batch_size=64)))
    task = next(iter(data.tasks.values()))
    allowed = task.splits[0].train
    seen: list[int] = []
    for batch in data.batches(Order(0, 0, batch_size=64, labels=LabelledRows(task, allowed))):
        assert batch.labels is not None
        assert batch.labels.rows is not None
        assert batch.labels.level == data.level
        ids = batch.node_ids if task.level == "node" else batch.graph_ids
        rows = ids[batch.labels.rows].tolist()
        assert task.labels[rows].tolist() == batch.labels.values.tolist()
        seen += rows
    assert sorted(seen) == sorted(allowed.tolist()), "every allowed label once an epoch, and no other"


def test_labels_of_pairs_are_given_where_both_ends_are_present(make: Make) -> None:
    data = make("sbm", link=True)
    task: Task = data.tasks["link"]
    batch = data.batches(Order(0, 0, 0, 2, labels=LabelledRows(task, task.splits[0].train)))[0]
    assert batch.labels is not None
    assert batch.labels.rows is not None
    assert task.members is not None
    present = set(batch.node_ids[: batch.seeds].tolist())
    wanted = [r for r in task.splits[0].train.tolist() if set(task.members[r].tolist()) <= present]
    assert 0 < len(wanted) < len(task.splits[0].train)
    assert batch.node_ids[batch.labels.rows].tolist() == task.members[wanted].tolist()
    assert batch.labels.values.tolist() == task.labels[wanted].tolist()
    assert with_labels(batch, None) is batch


def test_held_out_links_are_not_in_any_batch(make: Make) -> None:
    data = make("sbm", link=True)
    task = data.tasks["link"]
    assert task.members is not None
    split = task.splits[0]
    held = np.concatenate([split.val, split.test])
    pairs = {tuple(p) for p in task.members[held][task.labels[held] == 1].tolist()}
    edges = {tuple(p) for p in data.batches(Order(0, 0))[0].edge_index.T.tolist()}
    assert not edges & pairs
    assert not edges & {(v, u) for u, v in pairs}


def test_a_public_split_is_refused_where_there_is_none(make: Make) -> None:
    with pytest.raises(UsageError, match="comes without a split"):
        make("sbm", split="public")


def test_data_is_a_function_of_the_seed(tmp_path: Path) -> None:
    component = DATA["sbm"]
    a, b, c = (component.build(component.options(), DataContext(None, tmp_path, seed)) for seed in (1, 1, 2))
    assert a.description["sha256"] == b.description["sha256"] != c.description["sha256"]
    assert np.array_equal(a.tasks["node-class"].splits[3].test, b.tasks["node-class"].splits[3].test)


def test_planted_communities_tell_the_graph_classes_apart(make: Make) -> None:
    data = make("sbm-graphs", graphs=40, nodes=40, degree=8.0)
    labels = data.tasks["graph-class"].labels
    links = np.array([data.gather(torch.tensor([g])).num_edges for g in range(40)])
    batch = data.gather(torch.arange(40))
    half = torch.bincount(batch.graph) // 2
    start = torch.cumsum(torch.bincount(batch.graph), 0) - torch.bincount(batch.graph)
    side = (torch.arange(batch.num_nodes) - start[batch.graph]) < half[batch.graph]
    crossing = side[batch.edge_index[0]] != side[batch.edge_index[1]]
    share = torch.bincount(batch.graph[batch.edge_index[0][crossing]], minlength=40).numpy() / links
    assert share[labels == 1].max() == 0
    assert share[labels == 0].min() > 0.2
    assert abs(links[labels == 0].mean() / links[labels == 1].mean() - 1) < 0.15


def test_rows_alone_are_embedded_in_pieces(make: Make) -> None:
    data, whole = make("sbm", inference_piece=50), make("sbm")
    assert [view.data.piece for view in data.rows()] == [50]
    assert [view.data.piece for view in whole.rows()] == [None]
    assert data.batches(Order(0, 0))[0].piece is None
