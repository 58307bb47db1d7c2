"""What an engineer would feed a boosted tree that knows no graph network. Label-free, and meant to be hard to beat.

Like transductive self-supervision, the tables use all rows of the data (neighbours, and the axes of the SVD), never a label.
Letters: N nodes, G graphs, F features.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from sslplug_graph.data.graph_set import FloatMatrix

Table: TypeAlias = "np.ndarray | sparse.csr_matrix"
COMPONENTS = 128
"""Width of the SVD that sums up neighbours' bags of words."""
HISTOGRAM = 12
"""Degrees 0..10 and "11 or more" have a column each."""
STRUCTURE = (
    "degree",
    "log degree",
    "PageRank x nodes",
    "eigenvector centrality",
    "clustering coefficient",
    "triangles",
    "core number",
    "mean degree of neighbours",
)


def node_table(features: FloatMatrix, edges: np.ndarray) -> Table:
    """(N, f) float32 for nodes: own features, means over 1 and 2 hops, and the columns of ``STRUCTURE``.

    Bags of words stay sparse, so the table is scipy CSR, and their neighbour means, which would be dense, are given as their
    128 leading singular directions (randomised SVD of the mean itself, not of an approximation of it).
    """
    nodes = features.shape[0]
    mean = _neighbour_mean(edges, nodes)
    if not sparse.issparse(features):
        one = mean @ features
        return np.hstack([features, one, mean @ one, structure(edges, nodes)]).astype(np.float32)
    hops = [_svd(features, mean, hop) for hop in (1, 2)]
    rest = sparse.csr_matrix(np.hstack([*hops, structure(edges, nodes)]))
    table: sparse.csr_matrix = sparse.hstack([features, rest], format="csr", dtype=np.float32)
    return table


def graph_table(features: FloatMatrix, edges: np.ndarray, graph: np.ndarray, graphs: int) -> np.ndarray:
    """(G, f) float32 for graphs: sum, mean and maximum of node features; mean and maximum of their 1-hop means; mean,
    deviation and maximum of each ``STRUCTURE`` column; counts of nodes, edges, triangles and components, density, degree
    histogram (counts and shares); spectral summary: moments 2, 3 and 4 of the random walk's spectrum (its return
    probabilities) and the largest adjacency eigenvalue.
    """
    nodes = features.shape[0]
    dense = features.toarray() if sparse.issparse(features) else features
    near = _neighbour_mean(edges, nodes) @ dense
    columns = structure(edges, nodes, graph)
    walk = _return_probabilities(edges, nodes)
    member = sparse.csr_matrix((np.ones(nodes, np.float32), (graph, np.arange(nodes))), shape=(graphs, nodes))
    size = np.asarray(member.sum(1)).ravel()
    per = 1 / np.maximum(size, 1)[:, None]
    links = member @ columns[:, 0] / 2
    means = (member @ columns) * per
    spread = np.sqrt(np.maximum((member @ columns.astype(np.float64) ** 2) * per - means**2, 0))
    degree = np.minimum(columns[:, 0].astype(np.int64), HISTOGRAM - 1)
    histogram = np.bincount(graph * HISTOGRAM + degree, minlength=graphs * HISTOGRAM).reshape(graphs, HISTOGRAM)
    _, component = csgraph.connected_components(_symmetric(edges, nodes), directed=False)
    first = np.unique(component, return_index=True)[1]
    counts = [
        size,
        links,
        2 * links / np.maximum(size * (size - 1), 1),
        member @ columns[:, 5] / 3,
        np.bincount(graph[first], minlength=graphs),
    ]
    parts = [
        member @ dense,
        (member @ dense) * per,
        _largest(dense, graph, graphs),
        (member @ near) * per,
        _largest(near, graph, graphs),
        means,
        spread,
        _largest(columns, graph, graphs),
        histogram,
        histogram * per,
        np.stack(counts, axis=1),
        (member @ walk) * per,
        _largest_eigenvalue(edges, graph, graphs, nodes)[:, None],
    ]
    return np.hstack(parts).astype(np.float32)


def structure(edges: np.ndarray, nodes: int, graph: np.ndarray | None = None) -> np.ndarray:
    """(N, 8) float32, the columns named in ``STRUCTURE``, of the graph seen as undirected.

    With ``graph`` (N,), the graph of each node, every column is that of the node's own graph alone.
    """
    owner = np.zeros(nodes, np.int64) if graph is None else graph
    adjacency = _symmetric(edges, nodes)
    degree = np.diff(adjacency.indptr).astype(np.float64)
    inverse = 1 / np.maximum(degree, 1)
    triangles = _triangles(adjacency, degree)
    possible = degree * (degree - 1) / 2
    columns = [
        degree,
        np.log1p(degree),
        _pagerank(adjacency, inverse, owner),
        _eigenvector(adjacency, owner),
        triangles / np.maximum(possible, 1),
        triangles,
        core_number(adjacency),
        inverse * (adjacency @ degree),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def core_number(adjacency: sparse.csr_matrix) -> np.ndarray:
    """(N,) the largest k such that a node is in a subgraph of degrees >= k, by peeling whole shells at a time."""
    degree = np.diff(adjacency.indptr).astype(np.int64)
    core, alive, k = np.zeros(len(degree), np.int64), np.ones(len(degree), bool), 0
    left = len(degree)
    while left:
        k = max(k, int(degree[alive].min()))
        shell: np.ndarray = np.flatnonzero(alive & (degree <= k))
        while len(shell):
            core[shell], alive[shell] = k, False
            left -= len(shell)
            touched = adjacency[shell].indices
            np.subtract.at(degree, touched, 1)
            near = np.unique(touched)
            shell = near[alive[near] & (degree[near] <= k)]
    return core


def _symmetric(edges: np.ndarray, nodes: int) -> sparse.csr_matrix:
    one = sparse.csr_matrix((np.ones(edges.shape[1], np.float64), (edges[0], edges[1])), shape=(nodes, nodes))
    both = one + one.T
    both.setdiag(0)
    both.eliminate_zeros()
    both.data[:] = 1
    return both.tocsr()


def _neighbour_mean(edges: np.ndarray, nodes: int) -> sparse.csr_matrix:
    """Row i averages over the sources of the edges into i; zero row without such edges."""
    matrix = sparse.csr_matrix((np.ones(edges.shape[1], np.float32), (edges[1], edges[0])), shape=(nodes, nodes))
    total = np.maximum(np.asarray(matrix.sum(1)).ravel(), 1)
    return sparse.diags((1 / total).astype(np.float32), format="csr") @ matrix


def _svd(features: sparse.csr_matrix, mean: sparse.csr_matrix, hops: int, rounds: int = 3) -> np.ndarray:
    """(N, k) left singular vectors times values of mean^hops X by randomised subspace iteration (Halko et al. 2011)."""

    def forward(right: np.ndarray) -> np.ndarray:
        out: np.ndarray = features @ right
        for _ in range(hops):
            out = mean @ out
        return out

    def backward(left: np.ndarray) -> np.ndarray:
        for _ in range(hops):
            left = mean.T @ left
        out: np.ndarray = features.T @ left
        return out

    width = min(COMPONENTS + 10, *features.shape)
    start = np.random.Generator(np.random.Philox(0)).standard_normal((features.shape[1], width), dtype=np.float32)
    basis = np.linalg.qr(forward(start))[0]
    for _ in range(rounds):
        basis = np.linalg.qr(forward(np.linalg.qr(backward(basis))[0]))[0]
    left, values, _ = np.linalg.svd(backward(basis).T, full_matrices=False)
    found: np.ndarray = (basis @ left * values)[:, :COMPONENTS]
    return found


def _pagerank(adjacency: sparse.csr_matrix, inverse: np.ndarray, owner: np.ndarray, rounds: int = 100) -> np.ndarray:
    """PageRank of damping 0.85, times the nodes of the graph, so that its mean is 1 in each graph."""
    rank, loose = np.ones(len(inverse)), np.diff(adjacency.indptr) == 0
    for _ in range(rounds):
        rank = 0.85 * (adjacency @ (rank * inverse) + rank[loose].sum() / len(rank)) + 0.15
    mean = np.bincount(owner, rank) / np.maximum(np.bincount(owner), 1)
    scaled: np.ndarray = rank / mean[owner]
    return scaled


def _eigenvector(adjacency: sparse.csr_matrix, owner: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Leading eigenvector of A + I (the shift makes bipartite graphs converge), of largest entry 1 in each graph."""
    there, first = np.unique(owner, return_index=True)
    largest = np.ones(int(owner.max(initial=0)) + 1)
    vector = np.ones(adjacency.shape[0])
    for _ in range(rounds):
        vector = vector + adjacency @ vector
        largest[there] = np.maximum.reduceat(vector, first)
        vector = vector / largest[owner]
    return vector


def _triangles(adjacency: sparse.csr_matrix, degree: np.ndarray) -> np.ndarray:
    """(N,) triangles through each node. Edges point from lower to higher degree, so that hubs cost little."""
    pairs = adjacency.tocoo()
    rank = np.empty(len(degree), np.int64)
    rank[np.argsort(degree, kind="stable")] = np.arange(len(degree))
    up = rank[pairs.row] < rank[pairs.col]
    directed = sparse.csr_matrix((np.ones(int(up.sum())), (pairs.row[up], pairs.col[up])), shape=adjacency.shape)
    ends = (directed @ directed).multiply(directed)
    middle = (directed.T @ directed).multiply(directed)
    return np.asarray(ends.sum(0)).ravel() + np.asarray(ends.sum(1)).ravel() + np.asarray(middle.sum(1)).ravel()


def _return_probabilities(edges: np.ndarray, nodes: int) -> np.ndarray:
    """(N, 3) chance that a random walk is back after 2, 3 and 4 steps; their sums are the spectrum's moments."""
    adjacency = _symmetric(edges, nodes)
    walk = sparse.diags(1 / np.maximum(np.diff(adjacency.indptr), 1)) @ adjacency
    two = (walk @ walk).tocsr()
    back = [two.diagonal(), two.multiply(walk.T).sum(1), two.multiply(two.T).sum(1)]
    return np.stack([np.asarray(column).ravel() for column in back], axis=1)


def _largest(values: np.ndarray, graph: np.ndarray, graphs: int) -> np.ndarray:
    """(G, f) column maxima per graph; 0 for graphs without nodes."""
    there, first = np.unique(graph, return_index=True)
    found = np.zeros((graphs, values.shape[1]), np.float32)
    found[there] = np.maximum.reduceat(values, first, axis=0)
    return found


def _largest_eigenvalue(edges: np.ndarray, graph: np.ndarray, graphs: int, nodes: int, rounds: int = 50) -> np.ndarray:
    """(G,) largest adjacency eigenvalue of each graph: power iteration on A + I for all graphs at once."""
    adjacency = _symmetric(edges, nodes)
    vector, value = np.ones(nodes), np.ones(graphs)
    for _ in range(rounds):
        following = vector + adjacency @ vector
        norm = np.sqrt(np.bincount(graph, vector**2, graphs))
        value = np.sqrt(np.bincount(graph, following**2, graphs)) / np.maximum(norm, 1e-300)
        vector = following / np.maximum(np.bincount(graph, following, graphs), 1e-300)[graph]
    return value - 1
