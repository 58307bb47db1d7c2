"""Every kind of fault in a user's own graph: alone it is found with file, row, column and kind; beside others none is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug_graph.data import DATA

Found = tuple[str, int | None, str | None, str]

NODES = ["id,f,g,label", "a,1,0,x", "b,2,1,x", "c,3,0,y", "d,4,1,y", "e,5,0,x", "f,6,1,y"]
EDGES = ["source,target", "a,b", "b,c", "c,d", "d,e", "e,f"]
GRAPH_NODES = ["graph,id,f", "p,1,0.5", "p,2,1.5", "q,1,2.5", "q,2,3.5", "r,1,4.5", "r,2,5.5", "s,1,6.5", "s,2,7.5"]
GRAPH_EDGES = ["graph,source,target", "p,1,2", "q,1,2", "r,1,2", "s,1,2"]
GRAPHS = ["graph,label", "p,x", "q,x", "r,y", "s,y"]


def changed(lines: list[str], row: int, text: str | None) -> list[str]:
    """The lines with row ``row`` (0 is the heading) replaced, or taken out for None; a row behind the last is added."""
    new = list(lines)
    new[row : row + 1] = [] if text is None else [text]
    return new


def folder(path: Path, nodes: list[str] = NODES, edges: list[str] = EDGES, graphs: list[str] | None = None) -> Path:
    for stem, lines in (("nodes", nodes), ("edges", edges), ("graphs", graphs)):
        if lines is not None:
            (path / f"{stem}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def faults(path: Path, **options: object) -> list[Fault]:
    component = DATA["files"]
    assert component.faults is not None
    return list(component.faults(component.options(path=path, **options), DataContext(None, path, 0)))


def told(found: list[Fault]) -> set[Found]:
    return {(Path(fault.file).name, fault.row, fault.column, fault.kind) for fault in found}


def trains(path: Path, **options: object) -> bool:
    component = DATA["files"]
    given = {"train_share": 0.4, "val_share": 0.2, "num_splits": 1, "folds": 2, **options}
    try:
        component.build(component.options(path=path, **given), DataContext(None, path, 0))
    except DataError:
        return False
    return True


def test_clean_files_have_no_fault(tmp_path: Path) -> None:
    assert faults(folder(tmp_path)) == []
    (tmp_path / "many").mkdir()
    many = folder(tmp_path / "many", GRAPH_NODES, GRAPH_EDGES, GRAPHS)
    assert faults(many, columns={"graph": "graph"}) == []
    assert trains(tmp_path)
    assert trains(many, columns={"graph": "graph"})


NODE_FAULTS: dict[str, tuple[dict[int, str | None], list[Found]]] = {
    "missing-id": ({7: ",7,0,x"}, [("nodes.csv", 7, "id", "missing-id")]),
    "repeated-id": ({7: "b,7,0,x"}, [("nodes.csv", 7, "id", "repeated-id")]),
    "blank-around-id": ({3: " c,3,0,y"}, [("nodes.csv", 3, "id", "blank-around-id")]),
    "damaged-characters": ({7: "\ufffdx,7,0,x"}, [("nodes.csv", 7, "id", "damaged-characters")]),
    "not-a-number": ({4: "d,four,1,y"}, [("nodes.csv", 4, "f", "not-a-number")]),
    "decimal-comma": ({4: 'd,"4,5",1,y'}, [("nodes.csv", 4, "f", "decimal-comma")]),
    "number-with-unit": ({2: "b,2 km,1,x"}, [("nodes.csv", 2, "f", "number-with-unit")]),
    "missing-number": ({2: "b,NaN,1,x", 5: "e,,0,x"}, [("nodes.csv", row, "f", "missing-number") for row in (2, 5)]),
    "not-finite": ({1: "a,inf,0,x", 2: "b,-Infinity,1,x"}, [("nodes.csv", row, "f", "not-finite") for row in (1, 2)]),
    "too-large": ({6: "f,1e39,1,y"}, [("nodes.csv", 6, "f", "too-large")]),
    "words-for-numbers": (
        {
            row: line.replace(f"{row}", ["red", "blue", "green", "grey", "pink", "white"][row - 1], 1)
            for row, line in enumerate(NODES)
            if row
        },
        [("nodes.csv", None, "f", "words-for-numbers")],
    ),
    "constant-feature": (
        {row: line[:4] + "1" + line[5:] for row, line in enumerate(NODES) if row},
        [("nodes.csv", None, "g", "constant-feature")],
    ),
    "ragged-row": ({3: "c,3,0", 6: "f,6,1,y,z"}, []),
    "one-class": (
        {row: line[:6] + "x" for row, line in enumerate(NODES) if row},
        [("nodes.csv", None, "label", "one-class")],
    ),
    "a-class-a-row": (
        {row: line[:6] + f"k{row}" for row, line in enumerate(NODES) if row},
        [("nodes.csv", None, "label", "a-class-a-row")],
    ),
    "fractional-label": (
        {row: line[:6] + f"{row}.5" for row, line in enumerate(NODES) if row},
        [("nodes.csv", row, "label", "fractional-label") for row in range(1, 7)],
    ),
    "label-of-another-type": (
        {1: "a,1,0,7", 2: "b,2,1,y", 5: "e,5,0,y"},
        [("nodes.csv", 1, "label", "label-of-another-type"), ("nodes.csv", None, "label", "rare-class")],
    ),
    "label-reads-missing": (
        {1: "a,1,0,N/A", 2: "b,2,1,N/A", 5: "e,5,0,N/A"},
        [("nodes.csv", row, "label", "label-reads-missing") for row in (1, 2, 5)],
    ),
    "classes-alike": (
        {1: "a,1,0,Y", 2: "b,2,1,Y", 5: "e,5,0,Y"},
        [("nodes.csv", None, "label", "classes-alike")],
    ),
    "rare-class": ({5: "e,5,0,z"}, [("nodes.csv", None, "label", "rare-class")]),
    "isolated-node": ({7: "lone,7,0,x"}, [("nodes.csv", 7, None, "isolated-node")]),
    "missing-column": ({0: "name,f,g,label"}, []),
    "repeated-column": ({0: "id,f,f,label"}, [("nodes.csv", None, "f", "repeated-column")]),
    "unnamed-column": ({0: "id,f,,label"}, [("nodes.csv", None, None, "unnamed-column")]),
    "blank-around-name": ({0: "id, f,g ,label"}, [("nodes.csv", None, None, "blank-around-name")]),
}
OFTEN_MORE = {
    # What a lost node brings with it: its edges name nobody.
    "ragged-row": {("nodes.csv", row, None, "ragged-row") for row in (3, 6)},
    "missing-column": {("nodes.csv", None, "id", "missing-column")},
}
HARMLESS = {
    "blank-around-id",
    "constant-feature",
    "label-of-another-type",
    "label-reads-missing",
    "classes-alike",
    "rare-class",
    "isolated-node",
    "unnamed-column",
    "blank-around-name",
}


@pytest.mark.parametrize("kind", NODE_FAULTS)
def test_faults_of_nodes(tmp_path: Path, kind: str) -> None:
    changes, expected = NODE_FAULTS[kind]
    nodes = NODES
    for row, text in changes.items():
        nodes = changed(nodes, row, text)
    edges = EDGES if kind in ("isolated-node", "missing-id", "repeated-id") or 7 not in changes else [*EDGES, "f,\ufffdx"]
    if kind == "damaged-characters":
        edges = EDGES
    found = faults(folder(tmp_path, nodes, edges))
    if kind in OFTEN_MORE:
        assert OFTEN_MORE[kind] <= told(found)
    else:
        assert told(found) == set(expected)
    assert all(fault.harmless == (fault.kind in HARMLESS) for fault in found)
    assert trains(tmp_path) == (kind in HARMLESS)
    assert all(fault.found and fault.expected and fault.mend for fault in found)


EDGE_FAULTS: dict[str, tuple[dict[int, str | None], list[Found]]] = {
    "unknown-node": (
        {6: "a,zoe", 7: "yan,b"},
        [("edges.csv", 6, "target", "unknown-node"), ("edges.csv", 7, "source", "unknown-node")],
    ),
    "missing-id": ({6: "a,"}, [("edges.csv", 6, "target", "missing-id")]),
    "self-loop": ({6: "c,c"}, [("edges.csv", 6, None, "self-loop")]),
    "repeated-edge": ({6: "b,c", 7: "b,c"}, [("edges.csv", row, None, "repeated-edge") for row in (6, 7)]),
    "edge-both-ways": ({6: "c,b"}, [("edges.csv", 6, None, "edge-both-ways")]),
    "edges-both-ways": (
        {6 + k: f"{line[2]},{line[0]}" for k, line in enumerate(EDGES[1:])},
        [("edges.csv", None, None, "edges-both-ways")],
    ),
    "missing-column": ({0: "from,target"}, [("edges.csv", None, "source", "missing-column")]),
    "no-heading": ({0: "1,2"}, []),
    "ragged-row": ({6: "a,b,c", 7: "a"}, [("edges.csv", row, None, "ragged-row") for row in (6, 7)]),
    "unclosed-quote": ({2: 'b,"c'}, [("edges.csv", 2, None, "unclosed-quote")]),
    "no-edge": ({1: None, 2: None}, []),
}
EDGE_HARMLESS = {"self-loop", "repeated-edge", "edge-both-ways", "edges-both-ways", "no-edge", "isolated-node"}


@pytest.mark.parametrize("kind", EDGE_FAULTS)
def test_faults_of_edges(tmp_path: Path, kind: str) -> None:
    changes, expected = EDGE_FAULTS[kind]
    edges = EDGES
    for row, text in changes.items():
        edges = changed(edges, row, text)
    edges = EDGES[:1] if kind == "no-edge" else edges
    found = faults(folder(tmp_path, edges=edges))
    if kind == "no-edge":
        assert told(found) == {("edges.csv", None, None, "no-edge")}
    elif kind in ("missing-column", "no-heading"):
        name = "source" if kind == "missing-column" else None
        assert ("edges.csv", None, name, kind) in told(found)
        assert {fault.kind for fault in found} == {kind, "incomplete"}
    else:
        assert told(found) == set(expected)
    assert all(fault.harmless == (fault.kind in EDGE_HARMLESS) for fault in found)
    assert trains(tmp_path) == (kind in EDGE_HARMLESS)


def test_weights_and_other_columns_of_edges_are_said(tmp_path: Path) -> None:
    edges = ["source,target,weight,since", *(f"{line},1.5,2020" for line in EDGES[1:])]
    edges[2], edges[3], edges[4] = "b,c,-2,2020", "c,d,0,2020", "d,e,,2020"
    found = faults(folder(tmp_path, edges=edges))
    assert told(found) == {
        ("edges.csv", 2, "weight", "weight-not-positive"),
        ("edges.csv", 3, "weight", "weight-not-positive"),
        ("edges.csv", 4, "weight", "missing-number"),
        ("edges.csv", None, None, "unused-column"),
    }
    assert trains(tmp_path)


@pytest.mark.parametrize(
    ("nodes", "edges", "row", "column", "kind"),
    [
        (["id,f", "1,0.5", "2.5,1", "3,2"], ["source,target", "1,3", "3,1"], 2, "id", "fractional-id"),
        (["id,f", "1,0.5", "2.0,1", "3,2"], ["source,target", "1,2", "2,3"], 2, "id", "float-id"),
        (["id,f", "1,0.5", "1.23457E+18,1", "3,2"], ["source,target", "1,3", "3,1"], 2, "id", "rounded-id"),
        (["id,f", "1,0.5", "nan,1", "3,2"], ["source,target", "1,3", "3,1"], 2, "id", "missing-id"),
    ],
)
def test_ids_that_are_numbers(tmp_path: Path, nodes: list[str], edges: list[str], row: int, column: str, kind: str) -> None:
    found = faults(folder(tmp_path, nodes, edges))
    assert ("nodes.csv", row, column, kind) in told(found)
    assert {fault.kind for fault in found} <= {kind, "edges-both-ways"}


def test_edges_that_count_from_one_are_recognised(tmp_path: Path) -> None:
    nodes = ["id,f", *(f"{k},{k * k}" for k in range(5))]
    edges = ["source,target", *(f"{k},{k % 5 + 1}" for k in range(1, 6))]
    found = [fault for fault in faults(folder(tmp_path, nodes, edges)) if fault.kind == "unknown-node"]
    assert [(fault.row, fault.column) for fault in found] == [(5, "source"), (4, "target")]
    assert "subtract 1" in found[0].mend


BYTES: dict[str, tuple[Callable[[bytes], bytes], int | None]] = {
    "empty-file": (lambda content: b"  \n", None),
    "byte-order-mark": (lambda content: b"\xef\xbb\xbf" + content, None),
    "not-utf-8": (lambda content: content.replace(b"\nc,", b"\n\xe9,"), 3),
    "nul-bytes": (lambda content: content.replace(b"d,4", b"d,4\0"), 4),
    "another-format": (lambda content: b"PK\x03\x04" + content, None),
    "wrong-delimiter": (lambda content: content.replace(b",", b";"), None),
    "no-rows": (lambda content: content[: content.index(b"\n") + 1], None),
    "heading-of-other-width": (lambda content: content.replace(b"\n", b",\n").replace(b",\n", b"\n", 1), None),
}


@pytest.mark.parametrize("kind", BYTES)
def test_files_that_are_no_tables(tmp_path: Path, kind: str) -> None:
    damage, row = BYTES[kind]
    path = folder(tmp_path) / "nodes.csv"
    path.write_bytes(damage(path.read_bytes()))
    found = faults(tmp_path)
    assert ("nodes.csv", row, None, kind) in told(found)
    assert trains(tmp_path) == (kind == "byte-order-mark")
    assert all(fault.harmless for fault in found) == (kind == "byte-order-mark")


def test_utf_16_and_missing_tables(tmp_path: Path) -> None:
    path = folder(tmp_path) / "nodes.csv"
    path.write_text("\n".join(NODES), encoding="utf-16")
    assert ("nodes.csv", None, None, "not-utf-8") in told(faults(tmp_path))
    path.unlink()
    assert (tmp_path.name, None, None, "missing-table") in told(faults(tmp_path))
    (tmp_path / "nodes.parquet").write_bytes(b"PAR1 no")
    assert ("nodes.parquet", None, None, "unreadable") in told(faults(tmp_path))
    assert told(faults(tmp_path / "edges.csv")) == {("edges.csv", None, None, "no-folder")}


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    folder(tmp_path)
    nodes = {"id": list("abcdef"), "f": [1.0, None, 3.0, float("nan"), 5.0, float("inf")], "g": [[1]] * 6}
    parquet.write_table(pa.table(nodes), tmp_path / "nodes.parquet")
    assert told(faults(tmp_path)) == {
        ("nodes.parquet", 2, "f", "missing-number"),
        ("nodes.parquet", 4, "f", "missing-number"),
        ("nodes.parquet", 6, "f", "not-finite"),
        ("nodes.parquet", None, "g", "words-for-numbers"),
    }


@pytest.mark.parametrize(
    ("which", "row", "text", "expected"),
    [
        ("nodes", 9, ",3,1.0", [("nodes.csv", 9, "graph", "missing-id")]),
        ("nodes", 9, "s,2,1.0", [("nodes.csv", 9, "id", "repeated-id")]),
        ("nodes", 9, "t,1,1.0", [("nodes.csv", 9, "graph", "unlisted-graph"), ("nodes.csv", 9, None, "graph-of-one-node")]),
        ("edges", 5, "q,1,7", [("edges.csv", 5, "target", "unknown-node")]),
        ("edges", 5, "z,1,2", [("edges.csv", 5, "source", "unknown-node"), ("edges.csv", 5, "target", "unknown-node")]),
        ("edges", 5, ",1,2", [("edges.csv", 5, "graph", "missing-id")]),
        ("graphs", 5, "empty,x", [("graphs.csv", 5, "graph", "empty-graph")]),
        ("graphs", 5, "p,x", [("graphs.csv", 5, "graph", "repeated-id")]),
    ],
)
def test_faults_of_many_graphs(tmp_path: Path, which: str, row: int, text: str, expected: list[Found]) -> None:
    tables = {"nodes": GRAPH_NODES, "edges": GRAPH_EDGES, "graphs": GRAPHS}
    folder(tmp_path, **(tables | {which: changed(tables[which], row, text)}))
    found = {
        one for one in told(faults(tmp_path, columns={"graph": "graph"})) if one[3] not in ("isolated-node", "rare-class")
    }
    assert found == set(expected)
    assert not trains(tmp_path, columns={"graph": "graph"})


def test_an_edge_across_graphs(tmp_path: Path) -> None:
    nodes = ["graph,id,f", "p,a,1", "p,b,2", "q,c,3", "q,d,4"]
    folder(tmp_path, nodes, ["source,target", "a,b", "c,d", "b,c"])
    assert told(faults(tmp_path, columns={"graph": "graph"})) == {("edges.csv", 3, None, "edge-between-graphs")}
    assert not trains(tmp_path, columns={"graph": "graph"})


ARRAYS = {
    "edge_index": np.array([[0, 1, 2, 3], [1, 2, 3, 4]]),
    "x": np.arange(10.0).reshape(5, 2),
    "y": np.array([0, 0, 0, 1, 1]),
}


@pytest.mark.parametrize(
    ("change", "row", "column", "kind"),
    [
        ({"x": None}, None, "x", "missing-key"),
        ({"pos": np.zeros(3)}, None, None, "unknown-key"),
        ({"edge_index": np.array([[0, 1, 2, 9], [1, 2, -1, 4]])}, 3, "edge_index", "node-out-of-range"),
        ({"edge_index": ARRAYS["edge_index"].T}, None, "edge_index", "transposed"),
        ({"edge_index": ARRAYS["edge_index"] * 1.0}, None, "edge_index", "wrong-edges"),
        ({"x": np.where(np.arange(10).reshape(5, 2) == 7, np.nan, 1.0)}, 4, "x[:, 1]", "not-finite"),
        ({"x": np.array(["a"] * 5)}, None, "x", "wrong-features"),
        ({"x": np.array([object()] * 5)}, None, "x", "damaged-array"),
        ({"y": np.zeros(4, np.int64)}, None, "y", "wrong-labels"),
        ({"y": np.zeros(5, np.int64)}, None, "y", "one-class"),
        ({"graph": np.array([0, 0, 1, 0, 0])}, 4, "graph", "graphs-not-ascending"),
        ({"graph": np.array([0, 0, 0, 2, 2]), "y": None}, None, "graph", "empty-graph"),
        ({"graph": np.array([0, 0, 0, 1, 1]), "y": None}, 3, "edge_index", "edge-between-graphs"),
        ({"graph": np.zeros(4, np.int64)}, None, "graph", "wrong-graphs"),
        ({"edge_index": np.array([[0, 1, 2, 3], [1, 2, 2, 4]])}, 3, "edge_index", "self-loop"),
        ({"edge_index": np.array([[0, 1, 2, 0], [1, 2, 3, 1]])}, 4, "edge_index", "repeated-edge"),
        ({"edge_index": np.array([[0, 1, 2], [1, 2, 3]])}, 5, None, "isolated-node"),
    ],
)
def test_faults_of_archives(
    tmp_path: Path, change: dict[str, np.ndarray | None], row: int | None, column: str | None, kind: str
) -> None:
    arrays = {key: value for key, value in (ARRAYS | change).items() if value is not None}
    np.savez(tmp_path / "g.npz", **arrays)
    found = faults(tmp_path / "g.npz")
    assert ("g.npz", row, column, kind) in told(found)
    harmless = kind in ("unknown-key", "self-loop", "repeated-edge", "isolated-node")
    assert next(fault.harmless for fault in found if fault.kind == kind) == harmless
    assert trains(tmp_path / "g.npz", val_share=0.3) == harmless


def test_archives_that_are_none(tmp_path: Path) -> None:
    for content, kind in ((b"", "empty-file"), (b"text", "no-archive")):
        (tmp_path / "g.npz").write_bytes(content)
        assert told(faults(tmp_path / "g.npz")) == {("g.npz", None, None, kind)}


def test_all_faults_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    nodes = [*NODES, ",7,0,x", "b,8,1,y", "g,nine,0,x", "h,10"]
    nodes[1] = "a,inf,0,x"
    edges = [*EDGES, "a,zoe", "c,c", "b,c", "c", ",a", "f,g"]
    assert told(faults(folder(tmp_path, nodes, edges))) == {
        ("nodes.csv", 10, None, "ragged-row"),
        ("nodes.csv", 1, "f", "not-finite"),
        ("nodes.csv", 9, "f", "not-a-number"),
        ("nodes.csv", 7, "id", "missing-id"),
        ("nodes.csv", 8, "id", "repeated-id"),
        ("edges.csv", 9, None, "ragged-row"),
        ("edges.csv", 6, "target", "unknown-node"),
        ("edges.csv", 10, "source", "missing-id"),
        ("edges.csv", 7, None, "self-loop"),
        ("edges.csv", 8, None, "repeated-edge"),
    }


def test_who_trains_is_refused_with_the_first_fault_and_told_how_many(tmp_path: Path) -> None:
    folder(tmp_path, edges=[*EDGES, "a,zoe", "b,zoe"])
    with pytest.raises(DataError, match=r"edges\.csv, row 6, column 'target': found node 'zoe'.*\(2 such rows\)"):
        DATA["files"].build(DATA["files"].options(path=tmp_path), DataContext(None, tmp_path, 0))


def test_many_rows_are_checked_without_a_loop_over_them(tmp_path: Path) -> None:
    rows = 200_000
    ids = np.arange(rows)
    parquet.write_table(pa.table({"id": ids, "f": np.sqrt(ids)}), tmp_path / "nodes.parquet")
    target = (ids + 1) % rows
    target[12_345] = rows + 7
    parquet.write_table(pa.table({"source": ids, "target": target}), tmp_path / "edges.parquet")
    assert told(faults(tmp_path)) == {("edges.parquet", 12_346, "target", "unknown-node")}
