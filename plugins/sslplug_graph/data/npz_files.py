"""A user's own graph as ``.npz``: ``edge_index`` (2, E), ``x`` (N, F), and maybe ``y`` and ``graph``.

Rows count from 1: the k-th edge, node or graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.archives import arrays_in
from sslplug.contracts.classes import codes
from sslplug_graph.data.graph_set import GraphSet
from sslplug_graph.data.whole_graph import Parts, whole_graph

KEYS = ("edge_index", "x", "y", "graph")


def read_npz(path: Path, undirected: bool, labelled: bool) -> Reading[GraphSet]:
    """The graph in an archive. No pickled array is ever loaded."""
    part = yield from arrays_in(path, "what numpy.savez writes, with edge_index and x as plain numbers", "Save it again.")
    for key in ("edge_index", "x"):
        if key not in part:
            yield _key(
                path, "missing-key", key, f"no {key}; it has {', '.join(part) or 'nothing'}", f"the array {key}", "Save it."
            )
    others = [key for key in part if key not in KEYS]
    if others:
        yield _key(
            path,
            "unknown-key",
            None,
            f"arrays {', '.join(others)}",
            f"{', '.join(KEYS)}",
            "They are left out.",
            harmless=True,
        )
    x = (yield from _features(path, part["x"])) if "x" in part else None
    index = (yield from _edges(path, part["edge_index"])) if "edge_index" in part else None
    if x is None or index is None:
        raise Refused(_key(path, "incomplete", None, "no whole graph", "edge_index and x", "Mend the faults above."))
    n = len(x)
    outside = np.asarray(((index < 0) | (index >= n)).any(0))
    if outside.any():
        yield _rows(
            path,
            "node-out-of-range",
            "edge_index",
            outside,
            lambda at: f"nodes {index[:, at].tolist()}",
            f"0..{n - 1}",
            "Nodes count from 0; mend the number or drop the edge.",
        )
    graph = (yield from _owners(path, part["graph"], n)) if "graph" in part else None
    count = 1 if graph is None else int(graph.max(initial=-1)) + 1
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if "y" in part and labelled:
        y, rows = part["y"], n if graph is None else count
        if y.shape != (rows,) or y.dtype.kind not in "iu":
            yield _key(
                path, "wrong-labels", "y", f"y is {y.shape} {y.dtype}", f"({rows},) integers, -1 for no label", "Save it so."
            )
        else:
            labels, classes = yield from codes(str(path), "y", y[y >= 0], y >= 0)
    sound = ~outside
    parts = Parts(
        path.stem,
        x,
        index[:, sound],
        str(path),
        np.flatnonzero(sound) + 1,
        str(path),
        np.arange(1, n + 1),
        np.arange(n).astype(str).astype(object),
        edge_column="edge_index",
    )
    names = [str(number) for number in range(count)]
    return (yield from whole_graph(parts, undirected, labels, classes, graph, names if graph is not None else ()))


def _features(path: Path, x: np.ndarray) -> Reading[np.ndarray | None]:
    """(N, F) float32; values that are no finite numbers are 0."""
    if x.ndim != 2 or not len(x) or not x.shape[1] or x.dtype.kind not in "fiub":
        yield _key(path, "wrong-features", "x", f"x is {x.shape} {x.dtype}", "(N, F) numbers, at least one", "Save it so.")
        return None
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    wrong = ~np.isfinite(values)
    if wrong.any():
        for column in np.flatnonzero(wrong.any(0)):
            yield _rows(
                path,
                "not-finite",
                f"x[:, {column}]",
                wrong[:, column],
                partial(_number, x[:, column]),
                "a finite number",
                "Replace it or drop the node.",
            )
        values[wrong] = 0
    return values


def _edges(path: Path, index: np.ndarray) -> Reading[np.ndarray | None]:
    """(2, E) int64."""
    if index.ndim == 2 and index.shape[1] == 2 and len(index) != 2:
        yield _key(
            path,
            "transposed",
            "edge_index",
            f"edge_index is {index.shape}",
            "(2, E) integers",
            "Save its transpose, edge_index.T.",
        )
        return None
    if index.ndim != 2 or len(index) != 2 or index.dtype.kind not in "iu":
        yield _key(
            path, "wrong-edges", "edge_index", f"edge_index is {index.shape} {index.dtype}", "(2, E) integers", "Save it so."
        )
        return None
    return index.astype(np.int64)


def _owners(path: Path, graph: np.ndarray, n: int) -> Reading[np.ndarray | None]:
    """(N,) graph of each node, every number from 0 to the largest taken."""
    if graph.shape != (n,) or graph.dtype.kind not in "iu":
        yield _key(
            path, "wrong-graphs", "graph", f"graph is {graph.shape} {graph.dtype}", f"({n},) graph numbers", "Save it so."
        )
        return None
    graph = graph.astype(np.int64)
    falls = np.concatenate([[graph[0] < 0], np.diff(graph) < 0])
    if falls.any():
        yield _rows(
            path,
            "graphs-not-ascending",
            "graph",
            falls,
            lambda at: f"graph {graph[at]}" + (f" after {graph[at - 1]}" if at else ""),
            "graph numbers ascending from 0",
            "Sort the nodes by graph.",
        )
    there, place = np.unique(graph, return_inverse=True)
    gap = np.flatnonzero(there != np.arange(len(there)))
    if len(gap) and there[0] >= 0:
        yield _key(
            path,
            "empty-graph",
            "graph",
            f"graphs up to {there[-1]}, but no node of graph {gap[0]}",
            "every number from 0 to the largest",
            "Number the graphs without gaps.",
        )
    return np.asarray(place, np.int64)


def _number(values: np.ndarray, at: int) -> str:
    return str(values[at])


def _key(path: Path, kind: str, key: str | None, found: str, expected: str, mend: str, harmless: bool = False) -> Faults:
    return Faults(kind, str(path), found, expected, mend, column=key, harmless=harmless)


def _rows(
    path: Path, kind: str, key: str, where: np.ndarray, found: Callable[[int], str], expected: str, mend: str
) -> Faults:
    at = np.flatnonzero(where)
    return Faults(kind, str(path), lambda k: found(int(at[k])), expected, mend, at + 1, key)
