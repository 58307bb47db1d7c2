"""A user's own graph: an edge table and a node table (Parquet or CSV), or one ``.npz``; with a graph column, many graphs.

Malformed rows are told with file, row (counted from 1, without the header) and column, or handled and said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading, Refused, attempt, finished
from sslplug.contracts.cells import ids, numbers, repeats, shown
from sslplug.contracts.classes import classes_of
from sslplug.contracts.tables import Table, cell, mask, read_table, require
from sslplug_graph.data.graph_set import GraphSet
from sslplug_graph.data.npz_files import read_npz
from sslplug_graph.data.whole_graph import Parts, whole_graph

HINT = "Rename it, or name yours in data.columns (--set data.columns.id=name)."
LOCAL = "\x1f"
"""Joins a graph's name and a node's id where ids are unique only inside a graph."""


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
    """The graph at ``path``, see :func:`reading`. Raises DataError with the first fault that training cannot go on with."""
    notes: list[str] = []
    found = finished(reading(path, columns, undirected, labelled), notes)
    return replace(found, notes=(*notes, *found.notes))


def reading(path: Path, columns: Columns, undirected: bool, labelled: bool = True) -> Reading[GraphSet]:
    """The graph at ``path``; its labels are read only where ``labelled``.

    A folder holds ``edges`` and ``nodes``, each ``.parquet`` or ``.csv``, and for many labelled graphs ``graphs`` with the
    columns ``graph`` and ``label``. Where the edge table too has the graph column, node ids need only be unique in a graph.
    A ``.npz`` holds ``edge_index`` (2, E) and ``x`` (N, F), and optionally ``y`` ((N,) or (G,)) and ``graph`` (N,).
    """
    if path.suffix == ".npz":
        return (yield from read_npz(path, undirected, labelled))
    if not path.is_dir():
        raise Refused(
            Faults(
                "no-folder",
                str(path),
                "a single file" if path.exists() else "nothing there",
                "a folder with edges.* and nodes.* (.parquet or .csv), or a .npz file",
                "Put the tables into one folder and name that.",
            )
        )
    nodes = yield from attempt(_table(path, "nodes"))
    edges = yield from attempt(_table(path, "edges"))
    listed = None
    if columns.graph is not None and _place(path, "graphs") is not None:
        listed = yield from attempt(_table(path, "graphs"))
    if nodes is None or edges is None:
        raise Refused(Faults("incomplete", str(path), "tables that cannot be read", "both tables", "Mend the faults above."))
    return (yield from _of_tables(path, nodes, edges, listed, columns, undirected, labelled))


def _place(folder: Path, stem: str) -> Path | None:
    return next((found for suffix in (".parquet", ".csv") if (found := folder / f"{stem}{suffix}").exists()), None)


def _table(folder: Path, stem: str) -> Reading[Table]:
    place = _place(folder, stem)
    if place is None:
        raise Refused(
            Faults(
                "missing-table",
                str(folder),
                f"neither {stem}.parquet nor {stem}.csv",
                f"the table {stem} in one of them",
                "Export it there.",
            )
        )
    return (yield from read_table(place))


def _of_tables(
    path: Path, nodes: Table, edges: Table, listed: Table | None, columns: Columns, undirected: bool, labelled: bool
) -> Reading[GraphSet]:
    c = columns
    graph = [] if c.graph is None else [c.graph]
    whole = yield from require(nodes, c.id, *graph, hint=HINT)
    joined = yield from require(edges, c.source, c.target, hint=HINT)
    features, names = yield from _features(nodes, c)
    if not whole or not joined:
        raise Refused(
            Faults("incomplete", str(path), "tables without their key columns", "them all", "Mend the faults above.")
        )
    if not len(nodes):
        raise Refused(Faults("no-rows", nodes.file, "no row", "one row a node", "Export the nodes."))
    local = c.graph is not None and c.graph in edges.content.column_names
    keys = yield from _keys(nodes, c.id, c.graph if local else None)
    again = yield from repeats(
        nodes,
        c.id,
        keys,
        "Join the rows." if local else "Join the rows. Are ids unique only inside a graph? Name data.columns.graph.",
    )
    owner = None
    if c.graph is not None:
        owner = yield from ids(nodes, c.graph)
    kept = mask(pc.is_valid(keys)) & ~again & (True if owner is None else mask(pc.is_valid(owner)))
    known = keys.filter(pa.array(kept))
    ends, sound = [], np.ones(len(edges), bool)
    for column in (c.source, c.target):
        named = yield from _keys(edges, column, c.graph if local else None)
        place = np.asarray(pc.fill_null(pc.index_in(named, value_set=known), -1), np.int64)
        unknown = (place < 0) & mask(pc.is_valid(named)) & ~mask(pc.is_in(named, value_set=keys.drop_null()))
        if unknown.any():
            yield edges.wrong(
                "unknown-node",
                unknown,
                column,
                f"a node of {Path(nodes.file).name}, column {c.id!r}",
                _advice(named, known),
                partial(_absent, named),
            )
        ends.append(place)
        sound &= place >= 0
    yield from _other_columns(edges, (c.source, c.target, *graph))
    taken = {c.id, c.label, c.graph}
    unused = [name for name in nodes.content.column_names if name not in taken and name not in names]
    if unused:
        yield Faults(
            "unused-column",
            nodes.file,
            f"columns {', '.join(map(repr, unused))} of {Path(nodes.file).name}, which are no features of this run",
            "features alone",
            "They are left out, as data.columns.features asks.",
            harmless=True,
        )
    titles = np.asarray(known.to_numpy(zero_copy_only=False), object)
    if local:
        titles = np.array([title.split(LOCAL)[1] for title in titles], object)
    parts = Parts(
        path.name,
        features[kept],
        np.stack(ends)[:, sound],
        edges.file,
        edges.rows[sound],
        nodes.file,
        nodes.rows[kept],
        titles,
        tuple(names),
    )
    if owner is None:
        labels, classes = (yield from classes_of(nodes, c.label)) if labelled else (None, ())
        return (yield from whole_graph(parts, undirected, None if labels is None else labels[kept], classes))
    return (yield from _many(parts, nodes, listed, owner.filter(pa.array(kept)), c, undirected, labelled))


def _many(
    parts: Parts, nodes: Table, listed: Table | None, owner: pa.Array, columns: Columns, undirected: bool, labelled: bool
) -> Reading[GraphSet]:
    """Graphs named in the graph column, their classes in the graph table's label column."""
    assert columns.graph is not None  # the caller asks
    names = pc.unique(owner)
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    wanted = [columns.graph, *([columns.label] if labelled else [])]
    if listed is not None and (yield from require(listed, *wanted, hint=HINT)):
        keys = yield from ids(listed, columns.graph)
        again = yield from repeats(listed, columns.graph, keys, "Join the rows: one a graph.")
        missing = np.flatnonzero(mask(pc.invert(pc.is_in(owner, value_set=keys.drop_null()))))
        if len(missing):
            _, first = np.unique(owner.take(pa.array(missing)).to_numpy(zero_copy_only=False), return_index=True)
            at = np.sort(missing[first])
            yield Faults(
                "unlisted-graph",
                parts.node_file,
                lambda k: f"graph {owner[int(at[k])].as_py()!r}",
                f"a graph of {Path(listed.file).name}",
                "Add its row, or drop its nodes.",
                parts.node_rows[at],
                columns.graph,
            )
        empty = mask(pc.is_valid(keys)) & ~mask(pc.is_in(keys, value_set=names))
        if empty.any():
            yield listed.wrong(
                "empty-graph",
                empty,
                columns.graph,
                f"a graph with at least one node in {Path(nodes.file).name}",
                "Add its nodes, or drop the row.",
            )
        kept = mask(pc.is_valid(keys)) & ~again & ~empty
        if labelled:
            labels, classes = yield from classes_of(listed, columns.label)
            labels = None if labels is None else labels[kept]
        names = keys.filter(pa.array(kept))
        if len(missing):
            extra = pc.unique(owner.take(pa.array(missing)))
            names = pa.concat_arrays([names, extra])
            labels = None if labels is None else np.concatenate([labels, np.full(len(extra), -1)])
    graph = np.asarray(pc.index_in(owner, value_set=names), np.int64)
    return (yield from whole_graph(parts, undirected, labels, classes, graph, names.to_pylist()))


def _keys(table: Table, column: str, graph: str | None) -> Reading[pa.Array]:
    """The ids of a column, joined with the graph's name where ids are unique only inside a graph; null where faulty."""
    named = yield from ids(table, column)
    if graph is None:
        return named
    owner = yield from ids(table, graph)
    return pc.binary_join_element_wise(owner, named, pa.scalar(LOCAL, pa.large_string()))


def _absent(named: pa.Array, at: int) -> str:
    return f"node {shown(named[at])}, which is not there"


def _advice(named: pa.Array, known: pa.Array) -> str:
    """What to do about edges that name unknown nodes; both counts of numbers from 0 and from 1 are common."""
    wanted, there = set(pc.unique(named).to_pylist()), set(known.to_pylist())
    if there == {str(number) for number in range(len(there))} and "0" not in wanted and str(len(there)) in wanted:
        return "The edges seem to count nodes from 1, the node table from 0: subtract 1."
    if there == {str(number) for number in range(1, len(there) + 1)} and "0" in wanted:
        return "The edges seem to count nodes from 0, the node table from 1: add 1."
    return "Add the node or drop the edge."


def _other_columns(edges: Table, taken: tuple[str, ...]) -> Reading[None]:
    """Edges have no weights here: what else stands in the table is said, and weights that say "no edge" are told."""
    others = [name for name in edges.content.column_names if name not in taken]
    for name in others:
        if "weight" not in name.lower():
            continue
        values = yield from numbers(edges, name, "harmless")
        if (values <= 0).any():
            yield edges.wrong(
                "weight-not-positive",
                values <= 0,
                name,
                "a positive weight",
                "Edges are read without weights, so this one counts in full; drop it if it means no edge.",
                harmless=True,
            )
    if others:
        yield Faults(
            "unused-column",
            edges.file,
            f"columns {', '.join(map(repr, others))}, which are no part of the graph",
            "the two ends alone",
            "Edges are read without weights and features.",
            harmless=True,
        )


def _features(nodes: Table, columns: Columns) -> Reading[tuple[np.ndarray, list[str]]]:
    """(n, F) float32 and the names; a cell that is no number is 0."""
    taken = {columns.id, columns.label, columns.graph}
    wanted = list(columns.features) or [name for name in nodes.content.column_names if name not in taken]
    there = yield from require(nodes, *columns.features, hint=HINT)
    if not there:
        wanted = [name for name in wanted if name in nodes.content.column_names]
    if not wanted and there:
        beside = ", ".join(sorted(name for name in taken if name))
        yield Faults("no-feature", nodes.file, f"no feature beside {beside}", "at least one column of numbers", "Add one.")
    features = np.zeros((len(nodes), len(wanted)), np.float32)
    for place, name in enumerate(wanted):
        values = yield from numbers(nodes, name)
        large = np.abs(values) > np.finfo(np.float32).max
        if large.any():
            yield nodes.wrong("too-large", large, name, "a number below 3.4e38", "Scale it, or take its logarithm.")
        if len(nodes) > 1 and (values == values[0]).all():
            yield Faults(
                "constant-feature",
                nodes.file,
                f"the same value in every row ({cell(nodes.content[name], 0)})",
                "values that differ",
                "It tells nothing; leave it out.",
                column=name,
                harmless=True,
            )
        features[:, place] = np.where(large | np.isnan(values), 0, values)
    return features, wanted
