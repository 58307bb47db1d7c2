import json
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_graph.data.catalogue import SOURCES, Source
from sslplug_graph.data.download import locate, prove
from sslplug_graph.data.graph_set import tidy_edges
from sslplug_graph.data.npz_graphs import read_npz_graph
from sslplug_graph.data.planetoid import _verified, assemble, read_planetoid
from sslplug_graph.data.preprocessing import fit, scale
from sslplug_graph.data.tudataset import read_tudataset


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25), undirected=st.booleans())
def test_tidy_edges_equals_sets(pairs: list[tuple[int, int]], undirected: bool) -> None:
    wanted = {(a, b) for a, b in pairs if a != b}
    wanted |= {(b, a) for a, b in wanted} if undirected else set()
    table = np.array(pairs, np.int64).reshape(-1, 2)
    assert tidy_edges(table[:, 0], table[:, 1], 7, undirected).T.tolist() == [list(p) for p in sorted(wanted)]


def npz_parts() -> dict[str, np.ndarray]:
    adjacency = sparse.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32))
    features = sparse.csr_matrix(np.array([[2, 0], [0, 3], [0, 0], [1, 1]], np.float32))
    parts = {"labels": np.array([0, 1, 1, 0])}
    for prefix, matrix in (("adj", adjacency), ("attr", features)):
        parts |= {f"{prefix}_{k}": getattr(matrix, k) for k in ("data", "indices", "indptr")}
        parts[f"{prefix}_shape"] = np.array(matrix.shape)
    return parts


def test_npz_binarises_symmetrises_and_drops_loops(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **npz_parts())
    read = read_npz_graph(tmp_path / "a.npz", "a")
    assert read.edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert read.features.toarray().tolist() == [[1, 0], [0, 1], [0, 0], [1, 1]]
    assert read.labels.tolist() == [0, 1, 1, 0]
    assert any("1 of 4 nodes have no edge" in note for note in read.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.array([0, 1])}, "do not fit"),
        ({"adj_indices": np.array([0, 1, 9, 1], np.int32)}, "adj_"),
        ({"labels": np.array([None, "x", 1, 2], dtype=object)}, "labels cannot be read"),
    ],
)
def test_bad_npz_is_refused(tmp_path: Path, change: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "bad.npz", **(npz_parts() | change))
    with pytest.raises(DataError, match=words):
        read_npz_graph(tmp_path / "bad.npz", "bad")


def test_npz_without_a_key_or_cut_short_is_refused(tmp_path: Path) -> None:
    parts = npz_parts()
    del parts["attr_data"]
    np.savez(tmp_path / "less.npz", **parts)
    with pytest.raises(DataError, match="attr_data"):
        read_npz_graph(tmp_path / "less.npz", "less")
    np.savez(tmp_path / "whole.npz", **npz_parts())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:200])
    with pytest.raises(DataError, match=r"cut\.npz"):
        read_npz_graph(tmp_path / "cut.npz", "cut")


def planetoid_parts() -> tuple[dict[str, object], np.ndarray]:
    """Five known nodes, test nodes 5, 8, 6 (node 7 is missing, as in CiteSeer)."""
    part = {
        "x": sparse.csr_matrix(np.eye(2, 3, dtype=np.float32)),
        "allx": sparse.csr_matrix(np.eye(5, 3, dtype=np.float32)),
        "tx": sparse.csr_matrix(np.array([[5, 0, 0], [0, 8, 0], [0, 0, 6]], np.float32)),
        "y": np.eye(2, dtype=np.int32),
        "ally": np.eye(2, dtype=np.int32)[[0, 1, 0, 1, 0]],
        "ty": np.eye(2, dtype=np.int32)[[1, 0, 1]],
        "graph": defaultdict(list, {0: [1, 1], 1: [0], 5: [8, 5], 6: [0]}),
    }
    return part, np.array([5, 8, 6])


def test_planetoid_places_test_rows_and_marks_missing_ones() -> None:
    read = assemble("small", *planetoid_parts())
    dense = read.features.toarray()
    assert dense[5].tolist() == [5, 0, 0]
    assert dense[8].tolist() == [0, 8, 0]
    assert dense[6].tolist() == [0, 0, 6]
    assert dense[7].tolist() == [0, 0, 0]
    assert read.labels.tolist() == [0, 1, 0, 1, 0, 1, 1, -1, 0]
    assert read.edges.T.tolist() == [[0, 1], [0, 6], [1, 0], [5, 8], [6, 0], [8, 5]]
    assert read.public is not None
    assert read.public.test.tolist() == [5, 6, 8]


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("should-not-exist"),))  # type: ignore[return-value]


def test_planetoid_files_are_checked_before_and_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "ind.small.x"
    file.write_bytes(pickle.dumps(Harmful(), protocol=2))
    digests = {f"ind.small.{p}": "0" * 64 for p in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")}
    with pytest.raises(DataError, match="not opened"):
        read_planetoid(tmp_path, "small", digests, "small")
    digests["ind.small.x"] = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="refused, it asks for"):
        read_planetoid(tmp_path, "small", digests, "small")
    assert not (tmp_path / "should-not-exist").exists()
    assert _verified(file, digests) == file.read_bytes()


def write_tu(folder: Path, **files: str) -> None:
    given = {
        "A": "1, 2\n2, 1\n2, 1\n3, 3\n4, 5\n",
        "graph_indicator": "1\n1\n1\n2\n2\n",
        "graph_labels": "1\n-1\n",
        "node_labels": "3\n5\n3\n4\n3\n",
        "node_attributes": "0.5, 1\n1, 2\n2, 3\n3, 4\n4, 5\n",
    } | files
    for part, text in given.items():
        (folder / f"T_{part}.txt").write_text(text)


def test_tu_format(tmp_path: Path) -> None:
    write_tu(tmp_path)
    read = read_tudataset(tmp_path, "T", "labels+attributes")
    assert read.edges.T.tolist() == [[0, 1], [1, 0], [3, 4]]
    assert read.labels.tolist() == [1, 0]
    assert read.classes == ("-1", "1")
    assert read.graph.tolist() == [0, 0, 0, 1, 1]
    assert read.features[1].tolist() == [1, 2, 0, 0, 1]
    assert any("2 duplicate edges" in note for note in read.notes)
    assert read_tudataset(tmp_path, "T", "degree").features.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [0, 1]]
    assert read_tudataset(tmp_path, "T", "constant").features.tolist() == [[1]] * 5


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"A": "1, 2\n2, 9\n"}, r"T_A\.txt, row 2: node 9"),
        ({"A": "1, 2\n2, x\n"}, r"T_A\.txt.*row"),
        ({"A": "1, 2\n3, 4\n"}, "row 2: the edge joins"),
        ({"A": ""}, r"T_A\.txt"),
        ({"graph_indicator": "1\n2\n1\n2\n2\n"}, "row 3"),
        ({"graph_indicator": "1\n1\n1\n2\n3\n"}, r"row 5: expected ascending graph numbers 1\.\.2"),
        ({"node_labels": "1\n2\n"}, "2 rows for 5 nodes"),
    ],
)
def test_bad_tu_files_name_file_and_row(tmp_path: Path, files: dict[str, str], words: str) -> None:
    write_tu(tmp_path, **files)
    with pytest.raises(DataError, match=words):
        read_tudataset(tmp_path, "T", "labels")


def test_missing_tu_features_say_what_there_is(tmp_path: Path) -> None:
    write_tu(tmp_path)
    (tmp_path / "T_node_labels.txt").unlink()
    with pytest.raises(DataError, match="attributes or degree or constant"):
        read_tudataset(tmp_path, "T", "labels")


def test_scaling() -> None:
    table = np.array([[1, 3], [0, 0], [2, 2]], np.float32)
    assert scale(table, "row-normalised", {}).tolist() == [[0.25, 0.75], [0, 0], [0.5, 0.5]]
    assert scale(sparse.csr_matrix(table), "row-normalised", {}).toarray().tolist() == [[0.25, 0.75], [0, 0], [0.5, 0.5]]
    wide = np.hstack([table, np.ones((3, 1), np.float32)])
    fitted = json.loads(json.dumps(fit(wide, "standardised")))
    scaled = scale(wide, "standardised", fitted)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0), [1, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(scale(wide[:1], "standardised", fitted), scaled[:1])
    assert fit(wide, "raw") == fit(wide, "row-normalised") == {}
    with pytest.raises(DataError, match="trained on features that were not"):
        scale(wide, "standardised", {})
    with pytest.raises(DataError, match="There are 2 node features; the encoder was trained on 3"):
        scale(table, "standardised", fitted)


def test_a_missing_set_says_how_to_get_it(tmp_path: Path) -> None:
    for root in (None, tmp_path / "root"):
        with pytest.raises(DataError, match="kimiyoung/planetoid") as caught:
            locate(SOURCES["cora"], DataContext(root, tmp_path / "cache", 0))
        assert "graph/planetoid/Cora/raw" in str(caught.value)
        assert "--download" in str(caught.value)


def test_a_download_is_proved_by_sha256(tmp_path: Path) -> None:
    import hashlib
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.txt").write_text("hello")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/{{file}}"
        context = DataContext(None, tmp_path / "cache", 0, download=True)
        good = Source("A", "a/raw", {"a.txt": hashlib.sha256(b"hello").hexdigest()}, url)
        assert (locate(good, context) / "a.txt").read_text() == "hello"
        with pytest.raises(DataError, match="download failed"):
            locate(Source("B", "b/raw", {"a.txt": "0" * 64}, url), context)
        assert not (tmp_path / "cache" / "b" / "raw" / "a.txt").exists()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_other_content_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the published ones"):
        prove(SOURCES["photo"], "0" * 64, tmp_path)
