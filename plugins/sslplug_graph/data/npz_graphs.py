"""The ``.npz`` graphs of Shchur et al. 2018 (Amazon, Coauthor) and Bojchevski and Günnemann 2018 (CitationFull).

Keys: adj_data, adj_indices, adj_indptr, adj_shape, attr_data, attr_indices, attr_indptr, attr_shape, labels. Features are
binarised, self-loops removed and edges made undirected, as torch_geometric does, so that published numbers compare.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from sslplug.contracts import plain_arrays
from sslplug.errors import DataError
from sslplug_graph.data.graph_set import GraphSet, isolated_note, tidy_edges

_KEYS = (
    "adj_data",
    "adj_indices",
    "adj_indptr",
    "adj_shape",
    "attr_data",
    "attr_indices",
    "attr_indptr",
    "attr_shape",
    "labels",
)


def read_npz_graph(path: Path, name: str) -> GraphSet:
    """The graph in ``path``. No pickled array is ever loaded. Raises DataError naming the file and the key."""
    part = plain_arrays(path, "the published arrays")
    missing = [key for key in _KEYS if key not in part]
    if missing:
        raise DataError(f"{path}: keys {', '.join(missing)} are missing; expected {', '.join(_KEYS)}.")
    adjacency, features = _matrix(path, "adj", part), _matrix(path, "attr", part)
    nodes = adjacency.shape[0]
    labels = part["labels"]
    if adjacency.shape != (nodes, nodes) or features.shape[0] != nodes or labels.shape != (nodes,):
        raise DataError(
            f"{path}: adjacency {adjacency.shape}, features {features.shape}, labels {labels.shape} do not fit; expected "
            "(N, N), (N, F), (N,)."
        )
    edges = adjacency.tocoo()
    pairs = tidy_edges(edges.row, edges.col, nodes, undirected=True)
    features.data = (features.data > 0).astype(np.float32)
    features.eliminate_zeros()
    return GraphSet(
        name=name,
        features=features,
        edges=pairs,
        graph=np.zeros(nodes, np.int64),
        graphs=1,
        labels=labels.astype(np.int64),
        level="node",
        notes=("features binarised, self-loops removed, edges made undirected", *isolated_note(pairs, nodes)),
    )


def _matrix(path: Path, prefix: str, part: dict[str, np.ndarray]) -> sparse.csr_matrix:
    data, indices, indptr = (part[f"{prefix}_{key}"] for key in ("data", "indices", "indptr"))
    rows, columns = (int(size) for size in part[f"{prefix}_shape"])
    try:
        matrix: sparse.csr_matrix = sparse.csr_matrix((data, indices, indptr), shape=(rows, columns))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {prefix}_* is not a sparse matrix ({error}); get the file again.") from error
    matrix.sum_duplicates()
    return matrix
