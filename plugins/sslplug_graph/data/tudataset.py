"""Many small graphs in the TUDataset text format (Morris et al. 2020).

``<name>_A.txt`` (edges "i, j", nodes numbered from 1 over all graphs), ``_graph_indicator.txt`` (graph of each node),
``_graph_labels.txt``, and optionally ``_node_labels.txt`` and ``_node_attributes.txt``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sslplug.errors import DataError
from sslplug_graph.data.graph_set import GraphSet, isolated_note, tidy_edges

NodeFeatures = Literal["labels", "attributes", "labels+attributes", "degree", "constant"]
MOST_DEGREE = 400
"""Degrees from here on share one column of the one-hot code."""


def read_tudataset(folder: Path, name: str, features: NodeFeatures) -> GraphSet:
    """The graphs in ``folder``. Duplicate edges and self-loops are removed; edges are kept as directed as the file has them.

    features  labels: one-hot node labels; attributes: node attributes as they are; degree: one-hot in-degree, capped at 400;
              constant: a single 1. Raises DataError naming the file and row, or the features that do exist.
    """
    pairs = _numbers(folder / f"{name}_A.txt", np.int64, columns=2) - 1
    indicator = _numbers(folder / f"{name}_graph_indicator.txt", np.int64)[:, 0] - 1
    raw_labels = _numbers(folder / f"{name}_graph_labels.txt", np.int64)[:, 0]
    nodes, graphs = len(indicator), len(raw_labels)
    down = np.flatnonzero(np.diff(indicator) < 0)
    if len(down) or indicator.min() < 0 or indicator.max() >= graphs:
        row = int(down[0]) + 2 if len(down) else int(np.flatnonzero((indicator < 0) | (indicator >= graphs))[0]) + 1
        raise DataError(
            f"{folder / f'{name}_graph_indicator.txt'}, row {row}: expected ascending graph numbers 1..{graphs}."
        )
    bad = np.flatnonzero(((pairs < 0) | (pairs >= nodes)).any(1))
    if len(bad):
        raise DataError(
            f"{folder / f'{name}_A.txt'}, row {bad[0] + 1}: node {pairs[bad[0]].max() + 1}; expected 1..{nodes}."
        )
    crossing = np.flatnonzero(indicator[pairs[:, 0]] != indicator[pairs[:, 1]])
    if len(crossing):
        raise DataError(f"{folder / f'{name}_A.txt'}, row {crossing[0] + 1}: the edge joins nodes of two graphs.")
    edges = tidy_edges(pairs[:, 0], pairs[:, 1], nodes, undirected=False)
    values, labels = np.unique(raw_labels, return_inverse=True)
    dropped = len(pairs) - edges.shape[1]
    return GraphSet(
        name=name,
        features=_features(folder, name, features, edges, nodes),
        edges=edges,
        graph=indicator,
        graphs=graphs,
        labels=labels.astype(np.int64),
        level="graph",
        classes=tuple(str(v) for v in values),
        notes=(
            f"node features: {features}",
            *((f"{dropped} duplicate edges and self-loops removed",) if dropped else ()),
            *isolated_note(edges, nodes),
        ),
    )


def one_hot_degree(edges: np.ndarray, nodes: int) -> np.ndarray:
    """(N, D) float32 one-hot in-degree, D = the largest degree + 1, at most 401."""
    degree = np.minimum(np.bincount(edges[1], minlength=nodes), MOST_DEGREE)
    return np.eye(int(degree.max(initial=0)) + 1, dtype=np.float32)[degree]


def _features(folder: Path, name: str, kind: NodeFeatures, edges: np.ndarray, nodes: int) -> np.ndarray:
    if kind == "degree":
        return one_hot_degree(edges, nodes)
    if kind == "constant":
        return np.ones((nodes, 1), np.float32)
    files = {"labels": folder / f"{name}_node_labels.txt", "attributes": folder / f"{name}_node_attributes.txt"}
    columns = []
    for part in reversed(kind.split("+")):
        if not files[part].exists():
            there = [key for key, path in files.items() if path.exists()] + ["degree", "constant"]
            raise DataError(f"{files[part]} does not exist, so features: {kind} cannot be had; choose {' or '.join(there)}.")
        table = _numbers(files[part], np.int64 if part == "labels" else np.float32)
        if len(table) != nodes:
            raise DataError(f"{files[part]}: {len(table)} rows for {nodes} nodes; expected one a node.")
        if part == "attributes":
            columns.append(table)
        else:
            table = table - table.min(0)
            columns += [np.eye(int(column.max()) + 1, dtype=np.float32)[column] for column in table.T]
    return np.concatenate(columns, axis=1)


def _numbers(path: Path, dtype: Any, columns: int | None = None) -> np.ndarray:
    """The file as (rows, columns) numbers. Raises DataError naming file and row."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file warns; it is refused below
            table: np.ndarray = np.loadtxt(path, delimiter=",", dtype=dtype, ndmin=2)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}; expected comma-separated numbers, as many in every row.") from error
    if not table.size or (columns is not None and table.shape[1] != columns):
        raise DataError(f"{path}: {table.shape[0]} rows of {table.shape[1]} numbers; expected rows of {columns or 'some'}.")
    return table
