import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from sslplug.contracts import DataContext, Order
from sslplug.errors import DataError
from sslplug_graph.data import DATA
from sslplug_graph.data.files import Columns, read_files
from sslplug_graph.data.graph_data import BigGraph

NODES = {"id": ["a", "b", "c", "d"], "f": [1.0, 2.0, 3.0, 4.0], "g": [0, 1, 0, 1], "label": ["x", None, "y", "x"]}
EDGES = {"source": ["a", "b", "c"], "target": ["b", "c", "c"]}
COLUMNS = Columns("source", "target", "id", "label", None, ())


def write(folder: Path, suffix: str = ".csv", **tables: dict[str, list[object]]) -> Path:
    for name, table in ({"nodes": NODES, "edges": EDGES} | tables).items():
        arrow = pa.table(table)
        if suffix == ".csv":
            csv.write_csv(arrow, folder / f"{name}.csv")
        else:
            parquet.write_table(arrow, folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_string_ids_labels_and_features(tmp_path: Path, suffix: str) -> None:
    read = read_files(write(tmp_path, suffix), COLUMNS, undirected=True)
    assert read.classes == ("x", "y")
    assert read.edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert read.features.tolist() == [[1, 0], [2, 1], [3, 0], [4, 1]]
    assert read.labels.tolist() == [0, -1, 1, 0]
    notes = " ".join(read.notes)
    assert "an edge from 'c' to 'c', itself" in notes
    assert "node 'd' without an edge" in notes
    assert "1 rows have no label" in notes


def test_an_empty_label_cell_of_a_csv_is_no_label(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "nodes.csv").write_text("id,f,label\na,1,x\nb,2,\nc,3,y\nd,4,x\n")
    read = read_files(tmp_path, COLUMNS, undirected=False)
    assert read.labels.tolist() == [0, -1, 1, 0]
    assert read.edges.T.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"edges": {"source": ["a", "z"], "target": ["b", "a"]}},
            r"edges\.csv, row 2, column 'source': found node 'z', which is not there; expected a node of nodes",
        ),
        (
            {"edges": {"from": ["a"], "target": ["b"]}},
            r"edges\.csv, column 'source': found no such column; it has from, target",
        ),
        (
            {"nodes": {"id": ["a", "b", "a"], "f": [1, 2, 3]}},
            r"nodes\.csv, row 3, column 'id': found 'a' again \(first in row 1",
        ),
        ({"nodes": NODES | {"f": [1.0, float("nan"), 3.0, 4.0]}}, r"nodes\.csv, row 2, column 'f'.*finite"),
        ({"nodes": NODES | {"f": [1.0, 2.0, float("inf"), 4.0]}}, r"nodes\.csv, row 3, column 'f'.*finite"),
        (
            {"nodes": NODES | {"f": ["p", "q", "r", "s"]}},
            r"column 'f': found a column of words \('p', 'q', 'r'\); expected numbers",
        ),
        ({"nodes": {"id": ["a", "b", "c"], "label": [0, 1, 0]}}, "no feature"),
        ({"nodes": {"name": ["a"], "f": [1]}}, r"column 'id': found no such column.*--set data\.columns\.id=name"),
        (
            {"nodes": NODES | {"f": [1.0, None, 3.0, 4.0]}},
            r"nodes\.csv, row 2, column 'f': found an empty cell; expected a finite number",
        ),
        (
            {"nodes": NODES | {"label": ["x", None, "x", "x"]}},
            r"nodes\.csv, column 'label': found only the class x; expected two",
        ),
        ({"nodes": NODES | {"label": ["w", "x", "y", "z"]}}, "column 'label': found 4 classes of one row each"),
        (
            {"nodes": NODES | {"label": [0.5, 1.5, 0.5, 1.5]}},
            r"row 1, column 'label': found '0.5'; expected classes, not numbers with fractions",
        ),
        ({"nodes": {"id": [0, 0], "f": [1, 2]}}, r"found '0' again.*Name data\.columns\.graph"),
    ],
)
def test_malformed_tables_name_file_row_and_column(
    tmp_path: Path, tables: dict[str, dict[str, list[object]]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_files(write(tmp_path, **tables), COLUMNS, undirected=True)


def test_empty_corrupt_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither nodes\.parquet nor nodes\.csv"):
        read_files(tmp_path, COLUMNS, undirected=True)
    write(tmp_path)
    (tmp_path / "nodes.csv").write_text("")
    with pytest.raises(DataError, match=r"nodes\.csv: found an empty file"):
        read_files(tmp_path, COLUMNS, undirected=True)
    (tmp_path / "nodes.parquet").write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(DataError, match=r"nodes\.parquet: found no readable Parquet file"):
        read_files(tmp_path, COLUMNS, undirected=True)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(DataError, match=r"bad\.npz"):
        read_files(tmp_path / "bad.npz", COLUMNS, undirected=True)


def test_whole_numbers_beside_empty_cells_are_classes(tmp_path: Path) -> None:
    read = read_files(
        write(tmp_path, ".parquet", nodes=NODES | {"label": [10.0, None, 9.0, 10.0]}), COLUMNS, undirected=True
    )
    assert read.classes == ("9", "10")
    assert read.labels.tolist() == [1, -1, 0, 1]


def test_tables_that_are_none(tmp_path: Path) -> None:
    write(tmp_path)
    for content, words in (
        (b"id,f,f\na,1,2\n", "two columns named 'f'"),
        (
            b"id,f\na,1\nb\n",
            r"row 2: found 1 of 2 cells; expected as many cells as the first line, with commas between them",
        ),
        (b"id,f\na,\x1b[2J\x07\nb,1\n", r"row 1, column 'f': found '\?\[2J\?'; expected a number"),
    ):
        (tmp_path / "nodes.csv").write_bytes(content)
        with pytest.raises(DataError, match=words):
            read_files(tmp_path, COLUMNS, undirected=True)
    (tmp_path / "junk.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"junk\.npz: found no \.npz archive; expected what numpy\.savez writes"):
        read_files(tmp_path / "junk.npz", COLUMNS, undirected=True)
    with pytest.raises(DataError, match=r"edges\.csv: found a single file; expected a folder"):
        read_files(tmp_path / "edges.csv", COLUMNS, undirected=True)


def test_a_graph_without_edges_is_handled_and_noted(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "edges.csv").write_text("source,target\n")
    read = read_files(tmp_path, COLUMNS, undirected=True)
    assert read.edges.shape == (2, 0)
    assert "found no edge; expected edges between nodes" in read.notes[0]


def test_many_graphs_with_ids_unique_only_inside_a_graph(tmp_path: Path) -> None:
    nodes = {"graph": ["p", "q", "p", "q", "q"], "id": [1, 1, 2, 2, 3], "f": [1.0, 2.0, 3.0, 4.0, 5.0]}
    edges = {"graph": ["q", "p", "q"], "source": [1, 1, 3], "target": [2, 2, 1]}
    graphs = {"graph": ["q", "p"], "label": ["good", "bad"]}
    columns = Columns("source", "target", "id", "label", "graph", ())
    read = read_files(write(tmp_path, nodes=nodes, edges=edges, graphs=graphs), columns, undirected=False)
    assert read.graph.tolist() == [0, 0, 0, 1, 1]
    assert read.features.ravel().tolist() == [2, 4, 5, 1, 3]
    assert read.edges.T.tolist() == [[0, 1], [2, 0], [3, 4]]
    assert [read.classes[k] for k in read.labels] == ["good", "bad"]
    with pytest.raises(
        DataError, match=r"nodes\.csv, row 1, column 'graph': found graph 'p'; expected a graph of graphs\.csv"
    ):
        read_files(
            write(tmp_path, nodes=nodes, edges=edges, graphs={"graph": ["q"], "label": ["x"]}), columns, undirected=False
        )
    edges["target"][0] = 9
    with pytest.raises(DataError, match=r"edges\.csv, row 1, column 'target': found node '9' of graph 'q'"):
        read_files(write(tmp_path, nodes=nodes, edges=edges, graphs=graphs), columns, undirected=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edge_index": np.array([[0, 1], [1, 7]])}, r"row 2, column 'edge_index': found nodes \[1, 7\]; expected 0\.\.2"),
        ({"x": np.array([[1.0], [np.nan], [0.0]])}, r"row 2, column 'x\[:, 0\]': found nan"),
        ({"x": np.ones((2, 1)), "edge_index": np.zeros((2, 1))}, "expected \\(2, E\\) integers"),
        ({"y": np.zeros(2, np.int64)}, r"y is \(2,\)"),
        ({"graph": np.array([0, 1, 0])}, "ascending"),
        ({"graph": np.array([0, 1, 1]), "y": np.array([0, 1])}, "two graphs"),
    ],
)
def test_malformed_npz(tmp_path: Path, change: dict[str, np.ndarray], words: str) -> None:
    parts = {"edge_index": np.array([[0, 1], [1, 2]]), "x": np.ones((3, 1)), "y": np.array([0, 1, -1])}
    np.savez(tmp_path / "g.npz", **(parts | change))
    with pytest.raises(DataError, match=words):
        read_files(tmp_path / "g.npz", COLUMNS, undirected=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), max_size=8),
    values=st.lists(st.floats(width=32), min_size=1, max_size=5),
)
def test_any_npz_is_read_or_refused_with_a_sentence(
    tmp_path: Path, pairs: list[tuple[int, int]], values: list[float]
) -> None:
    index = np.array(pairs, np.int64).reshape(-1, 2).T
    np.savez(tmp_path / "g.npz", edge_index=index, x=np.array(values, np.float32)[:, None])
    valid = np.isfinite(values).all() and (not index.size or (index.min() >= 0 and index.max() < len(values)))
    if valid:
        read = read_files(tmp_path / "g.npz", COLUMNS, undirected=True)
        assert {tuple(p) for p in read.edges.T.tolist()} == {p for a, b in pairs if a != b for p in ((a, b), (b, a))}
    else:
        with pytest.raises(DataError, match=r"g\.npz"):
            read_files(tmp_path / "g.npz", COLUMNS, undirected=True)


def test_the_component_trains_on_a_users_folder_below_the_data_root(tmp_path: Path) -> None:
    rows = 40
    nodes = {"id": list(range(rows)), "f": [float(i % 7) for i in range(rows)], "label": [i % 2 for i in range(rows)]}
    edges = {"source": list(range(rows - 1)), "target": list(range(1, rows))}
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", nodes=nodes, edges=edges)
    component = DATA["files"]
    data = component.build(component.options(path="mine", num_splits=2), DataContext(tmp_path, tmp_path / "cache", 0))
    assert data.spec.num_features == 1
    assert data.spec.num_edges == 2 * (rows - 1)
    assert len(data.tasks["node-class"].splits) == 2
    assert data.batches(Order(0, 0))[0].num_nodes == rows
    with pytest.raises(DataError, match="do not exist"):
        component.build(component.options(path="absent"), DataContext(tmp_path, tmp_path / "cache", 0))


def of_files(path: Path, **context: object) -> BigGraph:
    component = DATA["files"]
    return component.build(
        component.options(path=path, train_share=0.4, val_share=0.3), DataContext(None, path, 0, **context)
    )


def test_new_nodes_are_scaled_by_what_the_first_ones_fitted(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = of_files(write(tmp_path / "old"))
    fitted = json.loads(json.dumps(old.fitted))
    assert fitted["columns"] == ["f", "g"]
    moved = {"h": [7.0, 7.0], "g": [1, 0], "id": ["a", "b"], "f": [2.0, 12.5], "label": ["x", "x"]}
    new = of_files(write(tmp_path / "new", nodes=moved, edges={"source": ["a"], "target": ["b"]}), fitted=fitted)
    first, second = (next(iter(data.rows())).data.x.dense().numpy() for data in (old, new))
    np.testing.assert_allclose(first.mean(0), 0, atol=1e-6)
    np.testing.assert_array_equal(second[0], first[1])  # (2, 1) before and now, whatever stands beside it
    assert second[1, 0] == pytest.approx((12.5 - 2.5) / np.std([1, 2, 3, 4]))
    assert new.fitted == fitted
    assert any("columns 'h' of nodes.csv, which are no features of this run" in note for note in new.description["notes"])
    assert not new.tasks  # one class alone would be refused where labels are read
    (tmp_path / "new" / "nodes.csv").write_text("id,g\na,1\nb,2\n")
    with pytest.raises(DataError, match=r"nodes\.csv, column 'f': found no such column; it has id, g"):
        of_files(tmp_path / "new", fitted=fitted)
