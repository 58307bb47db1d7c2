"""Cora and CiteSeer as published by Yang et al. 2016 (``ind.<name>.*``), with the public split.

The published files are Python 2 pickles, which could run code when loaded. Two doors stand before them: a file is read only
if its sha256 is the published one, and then only by an unpickler that knows six harmless names.
See ``docs/decisions/graph-planetoid-files.md``.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from pickle import Unpickler, UnpicklingError
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct
from scipy import sparse

from sslplug.contracts import Split
from sslplug.errors import DataError
from sslplug_graph.data.graph_set import GraphSet, isolated_note, tidy_edges

_ALLOWED = {
    ("scipy.sparse.csr", "csr_matrix"): sparse.csr_matrix,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}
_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph")


class PlainArraysOnly(Unpickler):
    """Reads arrays, sparse matrices, dicts and lists; refuses every other name a pickle can ask for."""

    def find_class(self, module: str, name: str) -> Any:
        """The allowed object of that name. Raises UnpicklingError for any other."""
        if (module, name) not in _ALLOWED:
            raise UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def read_planetoid(folder: Path, stem: str, digests: Mapping[str, str], name: str) -> GraphSet:
    """The graph in ``folder`` (files ``ind.<stem>.x`` ...), each checked against ``digests`` {file name: sha256} first.

    CiteSeer's index of test nodes has gaps: 15 nodes without features, edges in the test block or labels. They get zero rows
    and the label -1 (torch_geometric gives them class 0), so that no split scores them.
    """
    part = {key: _read(folder / f"ind.{stem}.{key}", digests) for key in _PARTS}
    index = np.array(_verified(folder / f"ind.{stem}.test.index", digests).decode().split(), dtype=np.int64)
    return assemble(name, part, index)


def assemble(name: str, part: Mapping[str, Any], test_index: np.ndarray) -> GraphSet:
    """The graph of the seven parsed parts and the test nodes' numbers in file order."""
    first, count = int(test_index.min()), int(test_index.max() - test_index.min()) + 1
    known = part["allx"].shape[0]
    if first != known:
        raise DataError(f"{name}: test nodes start at {first}, but there are {known} other nodes; expected {known}.")
    nodes, classes = known + count, part["ally"].shape[1]
    place = sparse.csr_matrix(
        (np.ones(len(test_index), np.float32), (test_index - first, np.arange(len(test_index)))),
        shape=(count, len(test_index)),
    )
    features = sparse.vstack([part["allx"], place @ part["tx"]], format="csr").astype(np.float32)
    features.sum_duplicates()
    features.eliminate_zeros()
    onehot = np.zeros((nodes, classes), np.int64)
    onehot[:known], onehot[test_index] = part["ally"], part["ty"]
    labels = np.where(onehot.any(1), onehot.argmax(1), -1)
    neighbours = part["graph"]
    source = np.repeat(np.fromiter(neighbours, np.int64), [len(v) for v in neighbours.values()])
    target = np.fromiter((v for row in neighbours.values() for v in row), np.int64)
    edges = tidy_edges(source, target, nodes, undirected=True)
    train = np.arange(len(part["y"]))
    public = Split(train, np.arange(len(train), len(train) + 500), np.sort(test_index))
    unlabelled = int((labels < 0).sum())
    missing = (f"{unlabelled} nodes have neither features nor label: zero rows, in no split",) if unlabelled else ()
    return GraphSet(
        name=name,
        features=features,
        edges=edges,
        graph=np.zeros(nodes, np.int64),
        graphs=1,
        labels=labels.astype(np.int64),
        level="node",
        public=public,
        notes=("duplicate edges and self-loops removed", *missing, *isolated_note(edges, nodes)),
    )


def _verified(path: Path, digests: Mapping[str, str]) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digests[path.name]:
        raise DataError(f"{path}: sha256 {found}; expected {digests[path.name]}. It was not opened; get it again.")
    return content


def _read(path: Path, digests: Mapping[str, str]) -> Any:
    try:
        return PlainArraysOnly(io.BytesIO(_verified(path, digests)), encoding="latin1").load()
    except UnpicklingError as error:
        raise DataError(f"{path}: refused, {error}; the published file holds only arrays, dicts and lists.") from error
