"""A user's own graph: an edge table and a node table (Parquet or CSV), or one ``.npz``; with a graph column, many graphs.

Everything malformed is refused with file, row (counted from 1, without the header) and column, or handled and noted.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.errors import DataError
from sslplug_graph.data.graph_set import GraphSet, isolated_note, tidy_edges
from sslplug_graph.data.tables import read_table, require, table_path


@dataclass(frozen=True)
class Columns:
    """Names of columns. ``graph`` None: one big graph. ``features`` empty: every node column that is not named here."""

    source: str
    target: str
    id: str
    label: str
    graph: str | None
    features: tuple[str, ...]


def read_files(path: Path, columns: Columns, undirected: bool, labelled: bool = True) -> GraphSet:
    """The graph at ``path``; its labels are read only where ``labelled``.

    A folder holds ``edges`` and ``nodes``, each ``.parquet`` or ``.csv``, and for many labelled graphs ``graphs`` with the
    columns ``graph`` and ``label``. Where the edge table too has the graph column, node ids need only be unique in a graph.
    A ``.npz`` holds ``edge_index`` (2, E) and ``x`` (N, F), and optionally ``y`` ((N,) or (G,)) and ``graph`` (N,).
    """
    if path.suffix == ".npz":
        return _read_npz(path, undirected, labelled)
    if not path.is_dir():
        what = "a single file" if path.exists() else "not there"
        raise DataError(f"{path}: {what}; expected a folder with edges.* and nodes.* (.parquet or .csv), or a .npz file.")
    edge_path, node_path = table_path(path, "edges"), table_path(path, "nodes")
    edges, nodes = read_table(edge_path), read_table(node_path)
    require(edge_path, edges, columns.source, columns.target)
    require(node_path, nodes, columns.id, *([columns.graph] if columns.graph else []), *columns.features)
    local = columns.graph is not None and columns.graph in edges.column_names
    ids = _keys(node_path, nodes, columns.id, columns.graph if local else None)
    if not len(ids):
        raise DataError(f"{node_path}: no rows; expected one a node.")
    _no_repeats(node_path, columns.id, ids, "" if local else " Are ids unique only inside a graph? Name data.columns.graph.")
    ends = []
    for column in (columns.source, columns.target):
        names = _keys(edge_path, edges, column, columns.graph if local else None)
        place = pc.index_in(names, value_set=ids).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        unknown = np.flatnonzero(place < 0)
        if len(unknown):
            raise DataError(
                f"{edge_path}, row {unknown[0] + 1}, column {column!r}: node {_shown(names[int(unknown[0])])} is not in "
                f"{node_path.name}, column {columns.id!r} ({len(unknown)} such rows); add the node or drop the edge."
            )
        ends.append(place)
    taken = {columns.id, columns.label, columns.graph}
    wanted = columns.features or tuple(name for name in nodes.column_names if name not in taken)
    if not wanted:
        raise DataError(f"{node_path}: no feature beside {', '.join(sorted(t for t in taken if t))}; add at least one.")
    features = np.stack([_feature(node_path, nodes, name) for name in wanted], axis=1)
    unused = ", ".join(repr(name) for name in nodes.column_names if name not in taken and name not in wanted)
    notes = [f"columns {unused} of {node_path.name} are no features of this run"] if unused else []
    if columns.graph is None:
        labels, classes = _labels(node_path, nodes, columns.label) if labelled else (None, ())
        zeros = np.zeros(len(ids), np.int64)
        found = _finish(path.name, features, ends, zeros, 1, labels, classes, "node", undirected)
    else:
        found = _many(
            path, node_path, edge_path, nodes, columns.graph, columns.label if labelled else None, features, ends, undirected
        )
    return replace(found, columns=tuple(wanted), notes=(*found.notes, *notes))


def _many(
    path: Path,
    node_path: Path,
    edge_path: Path,
    nodes: pa.Table,
    column: str,
    label: str | None,
    features: np.ndarray,
    ends: list[np.ndarray],
    undirected: bool,
) -> GraphSet:
    """Graphs named in ``column``, their classes in the graph table's column ``label``; None: labels are not read."""
    owner = _keys(node_path, nodes, column, None)
    names = pc.unique(owner)
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if any((path / f"graphs{suffix}").exists() for suffix in (".parquet", ".csv")):
        graph_path = table_path(path, "graphs")
        table = read_table(graph_path)
        require(graph_path, table, column, *([] if label is None else [label]))
        listed = _keys(graph_path, table, column, None)
        _no_repeats(graph_path, column, listed)
        missing = pc.index_in(names, value_set=listed).null_count
        if missing:
            raise DataError(f"{graph_path}, column {column!r}: {missing} graphs of {node_path.name} are missing.")
        empty = pc.index_in(listed, value_set=names).is_null().to_numpy(zero_copy_only=False)
        if empty.any():
            raise DataError(f"{graph_path}, row {int(empty.argmax()) + 1}: this graph has no node in {node_path.name}.")
        names = listed
        if label is not None:
            labels, classes = _labels(graph_path, table, label)
    graph = pc.index_in(owner, value_set=names).to_numpy(zero_copy_only=False).astype(np.int64)
    crossing = np.flatnonzero(graph[ends[0]] != graph[ends[1]])
    if len(crossing):
        raise DataError(f"{edge_path}, row {crossing[0] + 1}: the edge joins nodes of two graphs.")
    order = np.argsort(graph, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    moved = [place[end] for end in ends]
    return _finish(path.name, features[order], moved, graph[order], len(names), labels, classes, "graph", undirected)


def _finish(
    name: str,
    features: np.ndarray,
    ends: list[np.ndarray],
    graph: np.ndarray,
    graphs: int,
    labels: np.ndarray | None,
    classes: tuple[str, ...],
    level: str,
    undirected: bool,
) -> GraphSet:
    nodes = len(features)
    edges = tidy_edges(ends[0], ends[1], nodes, undirected)
    unlabelled = 0 if labels is None else int((labels < 0).sum())
    loops = int((ends[0] == ends[1]).sum())
    notes = [
        *(["there is no edge at all: every node sees only itself"] if not edges.size else isolated_note(edges, nodes)),
        *([f"{loops} self-loops removed"] if loops else []),
        *(["edges made undirected"] if undirected else []),
        *([f"{unlabelled} rows have no label"] if unlabelled else []),
    ]
    return GraphSet(name, features, edges, graph, graphs, labels, level, classes, None, tuple(notes))


def _read_npz(path: Path, undirected: bool, labelled: bool) -> GraphSet:
    wanted = "expected what numpy.savez writes, with edge_index and x as plain numbers."
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: no .npz archive; {wanted}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            part = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz ({error}); {wanted}") from error
    missing = [key for key in ("edge_index", "x") if key not in part]
    if missing:
        raise DataError(f"{path}: has {', '.join(sorted(part))}; expected also {' and '.join(missing)}.")
    index, x = part["edge_index"], part["x"]
    if (
        index.ndim != 2
        or len(index) != 2
        or index.dtype.kind not in "iu"
        or x.ndim != 2
        or x.dtype.kind not in "fiub"
        or not x.size
    ):
        raise DataError(
            f"{path}: edge_index {index.shape} {index.dtype}, x {x.shape} {x.dtype}; expected (2, E) integers, (N, F)."
        )
    nodes = len(x)
    outside = np.flatnonzero(((index < 0) | (index >= nodes)).any(0))
    if len(outside):
        raise DataError(
            f"{path}, edge_index column {outside[0]}: nodes {index[:, outside[0]].tolist()}; expected 0..{nodes - 1} "
            f"({len(outside)} such edges)."
        )
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        raise DataError(f"{path}, x row {bad[0, 0]}, column {bad[0, 1]}: {x[tuple(bad[0])]}; expected a finite number.")
    graph = part.get("graph", np.zeros(nodes, np.int64)).astype(np.int64)
    if graph.shape != (nodes,) or graph.min() < 0 or (np.diff(graph) < 0).any():
        raise DataError(f"{path}: graph is {graph.shape}; expected ({nodes},) graph numbers, ascending from 0.")
    many, graphs = "graph" in part, int(graph.max()) + 1
    if (graph[index[0]] != graph[index[1]]).any():
        raise DataError(f"{path}: edge_index joins nodes of two graphs; expected both ends in one graph.")
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if "y" in part and labelled:
        expected = graphs if many else nodes
        if part["y"].shape != (expected,) or part["y"].dtype.kind not in "iu":
            raise DataError(
                f"{path}: y is {part['y'].shape} {part['y'].dtype}; expected ({expected},) integers, -1 for no label."
            )
        labels, classes = _codes(f"{path}, y", part["y"], part["y"] >= 0)
    ends = [index[0].astype(np.int64), index[1].astype(np.int64)]
    level = "graph" if many else "node"
    return _finish(path.stem, x.astype(np.float32), ends, graph, graphs, labels, classes, level, undirected)


def _keys(path: Path, table: pa.Table, column: str, graph: str | None) -> pa.Array:
    """The column as strings, prefixed with the graph's name where ids are unique only inside a graph."""
    parts = []
    for name in (column,) if graph is None else (graph, column):
        values = table[name].combine_chunks()
        if values.null_count:
            row = int(values.is_null().to_numpy(zero_copy_only=False).argmax()) + 1
            raise DataError(f"{path}, row {row}, column {name!r}: empty; expected an id.")
        try:
            parts.append(values.cast(pa.string()))
        except pa.ArrowException as error:
            raise DataError(f"{path}, column {name!r}: {values.type} cannot be an id ({error}).") from error
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")


def _shown(key: Any) -> str:
    return " of graph ".join(reversed([repr(part) for part in str(key).split("\x1f")]))


def _no_repeats(path: Path, column: str, keys: pa.Array, hint: str = "") -> None:
    first = pc.index_in(keys, value_set=pc.unique(keys)).to_numpy(zero_copy_only=False)
    _, seen = np.unique(first, return_index=True)
    repeated = np.setdiff1d(np.arange(len(first)), seen)
    if len(repeated):
        row = int(repeated[0])
        raise DataError(
            f"{path}, row {row + 1}, column {column!r}: {_shown(keys[row])} appears again (first in row "
            f"{int((first == first[row]).argmax()) + 1}); expected each once.{hint}"
        )


def _feature(path: Path, table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(
            f"{path}, column {name!r}: {column.type}; expected numbers. Encode it, or list the columns to use in "
            "data.columns.features."
        )
    values: np.ndarray = column.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        cell = column[int(bad[0])]
        found, hint = (str(cell), "") if cell.is_valid else ("empty", " Fill it or drop the row.")
        raise DataError(f"{path}, row {bad[0] + 1}, column {name!r}: {found}; expected a finite number.{hint}")
    return values


def _labels(path: Path, table: pa.Table, name: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Classes 0..K-1 in the order of their sorted names; empty cells are -1. None where there is no such column."""
    if name not in table.column_names:
        return None, ()
    column = table[name].combine_chunks()
    present = column.is_valid().to_numpy(zero_copy_only=False)
    kept = column.drop_null()
    if pa.types.is_floating(kept.type):
        try:
            kept = kept.cast(pa.int64())  # whole numbers beside empty cells
        except pa.ArrowException as error:
            raise DataError(
                f"{path}, column {name!r}: numbers with fractions; expected classes. Put them into classes, or "
                "leave the column out to train without labels."
            ) from error
    kept = kept.to_numpy(zero_copy_only=False) if pa.types.is_integer(kept.type) else kept.cast(pa.string())
    values = np.empty(len(column), dtype=object)
    values[present] = np.asarray(kept)
    return _codes(f"{path}, column {name!r}", values, present)


def _codes(where: str, values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n,) classes 0..K-1, -1 where no value is present, and the K names. DataError where the classes can teach nothing."""
    names, codes = np.unique(values[present], return_inverse=True)
    if len(names) == 1 or 2 < present.sum() == len(names):
        found = f"only the class {names[0]}" if len(names) == 1 else f"{len(names)} classes of one row each"
        raise DataError(
            f"{where}: {found}; expected two classes or more, with several rows each. Mend the labels, or leave them out "
            "to train without."
        )
    labels = np.full(len(values), -1, np.int64)
    labels[present] = codes
    return labels, tuple(str(name) for name in names)
