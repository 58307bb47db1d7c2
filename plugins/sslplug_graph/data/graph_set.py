"""What every loader returns: one graph or many, as arrays, before any preprocessing.

Letters: N nodes, E stored edges, G graphs, F features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from sslplug.contracts import Split
from sslplug.errors import DataError

FloatMatrix: TypeAlias = "sparse.csr_matrix | np.ndarray"


@dataclass(frozen=True)
class GraphSet:
    """A data set as read from its source.

    name      what it is called in descriptions
    features  (N, F) float32: scipy CSR for bags of words, an array otherwise
    edges     (2, E) int64, sources and targets, sorted by (source, target), no duplicates; both directions if undirected
    graph     (N,) int64 graph of each node, ascending 0..G-1
    graphs    G
    labels    (N,) or (G,) int64 classes (-1: none), according to ``level``; or None
    level     what is labelled and trained on: "node" (one big graph) or "graph" (many small ones)
    classes   names of the classes
    public    the published split, where there is one
    notes     what was found and handled (isolated nodes, removed duplicates), for the run's record
    columns   names of the features, where the source names them
    names     {level: what the source calls each row}, where it does
    """

    name: str
    features: FloatMatrix
    edges: np.ndarray
    graph: np.ndarray
    graphs: int
    labels: np.ndarray | None
    level: str
    classes: tuple[str, ...] = ()
    public: Split | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.nodes
        if self.edges.dtype != np.int64 or self.edges.ndim != 2 or len(self.edges) != 2:
            raise DataError(f"{self.name}: edges are {self.edges.shape} {self.edges.dtype}; expected (2, E) int64.")
        if self.edges.size and (self.edges.min() < 0 or self.edges.max() >= n):
            raise DataError(f"{self.name}: edges name node {int(self.edges.max())}; there are {n} nodes (0..{n - 1}).")
        if self.graph.shape != (n,) or (n and (np.any(np.diff(self.graph) < 0) or self.graph[-1] >= self.graphs)):
            raise DataError(f"{self.name}: the graph of each node must be {n} ascending numbers below {self.graphs}.")
        rows = n if self.level == "node" else self.graphs
        if self.labels is not None and self.labels.shape != (rows,):
            raise DataError(f"{self.name}: {len(self.labels)} labels for {rows} rows of level {self.level!r}.")
        values = self.features.data if sparse.issparse(self.features) else self.features
        if not np.isfinite(values).all():
            raise DataError(f"{self.name}: the node features hold NaN or infinite values; clean or fill them first.")

    @property
    def nodes(self) -> int:
        """N."""
        return int(self.features.shape[0])

    @property
    def sha256(self) -> str:
        """Digest of the content (features, edges, graphs, labels), whatever file it came from."""
        digest = hashlib.sha256()
        if sparse.issparse(self.features):
            parts: list[Any] = [
                self.features.data,
                self.features.indices.astype(np.int64),
                self.features.indptr.astype(np.int64),
            ]
        else:
            parts = [self.features]
        for array in [*parts, self.edges, self.graph, *([] if self.labels is None else [self.labels])]:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def tidy_edges(source: np.ndarray, target: np.ndarray, nodes: int, undirected: bool, loops: bool = False) -> np.ndarray:
    """(2, E) int64 edges sorted by (source, target) without duplicates; both directions if ``undirected``; self-loops only
    if ``loops``.

    >>> tidy_edges(np.array([1, 1, 2]), np.array([0, 0, 2]), 3, undirected=True).tolist()
    [[0, 1], [1, 0]]
    """
    source, target = np.asarray(source, np.int64), np.asarray(target, np.int64)
    if not loops:
        keep = source != target
        source, target = source[keep], target[keep]
    if undirected:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
    code = np.sort(source * nodes + target)  # numpy.unique hashes since numpy 2.3: 9 s instead of 0.05 s for 6 million
    code = code[np.concatenate([[True], code[1:] != code[:-1]])[: len(code)]]
    return np.stack([code // max(nodes, 1), code % max(nodes, 1)])


def isolated_note(edges: np.ndarray, nodes: int) -> tuple[str, ...]:
    """A sentence about nodes without edges, if there are any."""
    seen = np.zeros(nodes, bool)
    seen[edges] = True
    alone = int(nodes - seen.sum())
    return (f"{alone} of {nodes} nodes have no edge; they are kept, and see only themselves",) if alone else ()
