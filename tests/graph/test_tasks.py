import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_graph.data.graph_set import tidy_edges
from sslplug_graph.tasks import graph_task, link_task, node_task, random_splits


def test_random_splits_have_the_declared_sizes_and_leave_unlabelled_rows_out() -> None:
    labels = np.arange(1000) % 7
    labels[:100] = -1
    splits = random_splits(labels, 20, 0.1, 0.1, Rng.root(3))
    task = node_task(labels, splits, "random 10/10/80")
    assert len(task.splits) == 20
    for split in splits:
        assert (len(split.train), len(split.val), len(split.test)) == (90, 90, 720)
        assert np.array_equal(np.sort(np.concatenate([split.train, split.val, split.test])), np.arange(100, 1000))
    again = random_splits(labels, 3, 0.1, 0.1, Rng.root(3))
    assert np.array_equal(again[2].train, splits[2].train), "split k must not depend on how many there are"
    assert not np.array_equal(splits[0].train, splits[1].train)
    assert not np.array_equal(random_splits(labels, 1, 0.1, 0.1, Rng.root(4))[0].train, splits[0].train)


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(DataError, match="5 labelled rows"):
        random_splits(np.zeros(5, np.int64), 1, 0.1, 0.1, Rng.root(0))


def test_folds_are_stratified_and_cover_every_graph_once_a_repeat() -> None:
    labels = (np.arange(200) % 4 == 0).astype(np.int64)
    task = graph_task(labels, 10, 2, Rng.root(0))
    assert len(task.splits) == 20
    for repeat in (task.splits[:10], task.splits[10:]):
        assert np.array_equal(np.sort(np.concatenate([s.test for s in repeat])), np.arange(200))
    for split in task.splits:
        assert len(split.val) == 0
        assert labels[split.test].sum() == 5
    assert not np.array_equal(task.splits[0].test, task.splits[10].test)
    with pytest.raises(DataError, match="smallest class has 3"):
        graph_task(np.array([0] * 20 + [1] * 3), 10, 1, Rng.root(0))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), nodes=st.integers(30, 80), undirected=st.booleans())
def test_held_out_links_are_gone_and_non_links_are_none(seed: int, nodes: int, undirected: bool) -> None:
    generator = np.random.default_rng(seed)
    edges = tidy_edges(*generator.integers(nodes, size=(2, 4 * nodes)), nodes, undirected)
    links = link_task(edges, nodes, Rng.root(seed))
    true, seen = {tuple(p) for p in edges.T.tolist()}, {tuple(p) for p in links.edges.T.tolist()}
    task, split = links.task, links.task.splits[0]
    assert task.members is not None
    held = np.concatenate([split.val, split.test])
    for row in range(len(task.labels)):
        u, v = task.members[row].tolist()
        assert u != v
        assert ((u, v) in true) == bool(task.labels[row])
        if undirected:
            assert u < v
            assert ((v, u) in true) == bool(task.labels[row])
    positive = [tuple(p) for p in task.members[held][task.labels[held] == 1].tolist()]
    assert not seen & set(positive)
    assert not undirected or not seen & {(v, u) for u, v in positive}
    assert len(true) - len(seen) == len(positive) * (2 if undirected else 1)
    assert all(tuple(p) in seen for p in task.members[split.train][task.labels[split.train] == 1].tolist())
    for part in (split.train, split.val, split.test):
        assert task.labels[part].mean() == 0.5
    assert len(np.unique(task.members, axis=0)) == len(task.members), "no pair is asked twice"


def test_link_shares_and_the_cap_on_training_pairs() -> None:
    nodes = 3000
    edges = tidy_edges(*np.random.default_rng(0).integers(nodes, size=(2, 10_000)), nodes, undirected=True)
    count = edges.shape[1] // 2
    split = link_task(edges, nodes, Rng.root(1), most=500).task.splits[0]
    assert len(split.val) == 2 * int(0.05 * count)
    assert len(split.test) == 2 * int(0.1 * count)
    assert len(split.train) == 1000


def test_a_complete_graph_has_no_non_links() -> None:
    nodes = 12
    full = np.argwhere(~np.eye(nodes, dtype=bool)).T
    with pytest.raises(DataError, match="too dense"):
        link_task(np.ascontiguousarray(full), nodes, Rng.root(0), val=0.1)
