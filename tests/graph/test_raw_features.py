import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sslplug_graph.data.graph_set import tidy_edges
from sslplug_graph.raw_features import COMPONENTS, STRUCTURE, graph_table, node_table, structure


def random_graph(seed: int, nodes: int, links: int) -> tuple[np.ndarray, "networkx.Graph"]:
    edges = tidy_edges(*np.random.default_rng(seed).integers(nodes, size=(2, links)), nodes, undirected=True)
    graph = networkx.empty_graph(nodes)
    graph.add_edges_from(edges.T.tolist())
    return edges, graph


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 25), links=st.integers(0, 80))
def test_structure_equals_networkx(seed: int, nodes: int, links: int) -> None:
    edges, graph = random_graph(seed, nodes, links)
    found = dict(zip(STRUCTURE, structure(edges, nodes).T))
    degree = np.array([d for _, d in graph.degree()])
    np.testing.assert_array_equal(found["degree"], degree)
    np.testing.assert_allclose(found["log degree"], np.log1p(degree), rtol=1e-5)
    np.testing.assert_array_equal(found["triangles"], list(networkx.triangles(graph).values()))
    np.testing.assert_allclose(found["clustering coefficient"], list(networkx.clustering(graph).values()), rtol=1e-5)
    np.testing.assert_array_equal(found["core number"], list(networkx.core_number(graph).values()))
    rank = np.array(list(networkx.pagerank(graph, tol=1e-12, max_iter=2000).values())) * nodes
    np.testing.assert_allclose(found["PageRank x nodes"], rank, rtol=1e-4)
    near = [np.mean([graph.degree(v) for v in graph[u]]) if len(graph[u]) else 0 for u in graph]
    np.testing.assert_allclose(found["mean degree of neighbours"], near, rtol=1e-5)


def test_eigenvector_centrality_of_a_connected_graph() -> None:
    edges, graph = random_graph(0, 30, 150)
    assert networkx.is_connected(graph)
    wanted = np.array(list(networkx.eigenvector_centrality_numpy(graph).values()))
    found = structure(edges, 30)[:, STRUCTURE.index("eigenvector centrality")]
    np.testing.assert_allclose(found, wanted / wanted.max(), atol=1e-4)


def test_dense_neighbour_means() -> None:
    edges = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])
    x = np.array([[1.0], [2.0], [4.0], [8.0]], np.float32)
    table = node_table(x, edges)
    assert table[:, :3].tolist() == [[1, 2, 2.5], [2, 2.5, 2], [4, 2, 2.5], [8, 0, 0]]


def test_sparse_tables_keep_words_and_the_svd_keeps_the_means() -> None:
    nodes, words = 300, 40
    edges, _ = random_graph(1, nodes, 900)
    x = sparse.random(nodes, words, 0.1, format="csr", dtype=np.float32, random_state=0)
    table = node_table(x, edges)
    assert sparse.issparse(table)
    assert table.shape == (nodes, words + 2 * min(words, COMPONENTS) + len(STRUCTURE))
    np.testing.assert_allclose(table[:, :words].toarray(), x.toarray())
    mean = np.zeros((nodes, nodes))
    mean[edges[1], edges[0]] = 1
    mean /= np.maximum(mean.sum(1, keepdims=True), 1)
    for hop, start in ((1, words), (2, 2 * words)):
        exact = np.linalg.matrix_power(mean, hop) @ x.toarray()
        part = table[:, start : start + words].toarray()
        np.testing.assert_allclose(part @ part.T, exact @ exact.T, atol=1e-4)


def test_graph_table_belongs_to_each_graph_alone() -> None:
    """A graph's row is the same whatever other graphs are in the data."""
    sizes, parts, xs = [5, 1, 9, 7], [], []
    generator = np.random.default_rng(0)
    for start, size in zip(np.cumsum([0, *sizes]), sizes):
        parts.append(tidy_edges(*generator.integers(size, size=(2, 3 * size)), size, undirected=True) + start)
        xs.append(generator.standard_normal((size, 3)).astype(np.float32))
    graph = np.repeat(np.arange(4), sizes)
    joined = graph_table(np.concatenate(xs), np.concatenate(parts, axis=1), graph, 4)
    assert np.isfinite(joined).all()
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for number, (x, part) in enumerate(zip(xs, parts)):
        alone = graph_table(x, part - starts[number], np.zeros(len(x), np.int64), 1)[0]
        np.testing.assert_allclose(joined[number], alone, rtol=1e-3, atol=1e-4)


def test_graph_table_counts() -> None:
    triangle_and_pair = np.array([[0, 1, 1, 2, 0, 2, 3, 4], [1, 0, 2, 1, 2, 0, 4, 3]])
    table = graph_table(np.ones((6, 1), np.float32), triangle_and_pair, np.array([0, 0, 0, 1, 1, 1]), 2)
    counts = table[:, -4 - 5 : -4]
    assert counts.tolist() == [[3, 3, 1, 1, 1], [3, 1, pytest.approx(1 / 3), 0, 2]]
    np.testing.assert_allclose(table[:, -1], [2, 1], atol=1e-3)
    np.testing.assert_allclose(table[:, -4:-1], [[0.5, 0.25, 0.375], [2 / 3, 0, 2 / 3]], atol=1e-6)
