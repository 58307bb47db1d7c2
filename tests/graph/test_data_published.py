"""The named sets against torch_geometric's own loaders. Needs the data root (SSLPLUG_DATA)."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext
from sslplug_graph.data import DATA
from sslplug_graph.data.catalogue import SOURCES
from sslplug_graph.data.graph_data import BigGraph, SmallGraphs

ROOT = os.environ.get("SSLPLUG_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="SSLPLUG_DATA names no data root, so the published sets are not there")

SIZES = {  # nodes, stored edges, features, classes, as in torch_geometric's data set table
    "cora": (2_708, 10_556, 1_433, 7),
    "citeseer": (3_327, 9_104, 3_703, 6),
    "photo": (7_650, 238_162, 745, 8),
    "computers": (13_752, 491_722, 767, 10),
    "cs": (18_333, 163_788, 6_805, 15),
    "dblp": (17_716, 105_734, 1_639, 4),
}


def build(name: str, tmp_path: Path, **options: object) -> object:
    assert ROOT is not None
    return DATA[name].build(DATA[name].options(**options), DataContext(Path(ROOT), tmp_path / "cache", 0))


def reference(name: str, tmp_path: Path, **options: object) -> object:
    """torch_geometric's reading of a copy of the same files; its loader writes beside them."""
    assert ROOT is not None
    folder = Path(SOURCES[name].folder)
    shutil.copytree(Path(ROOT) / folder, tmp_path / folder)
    root, title = str(tmp_path / folder.parents[1]), SOURCES[name].title
    loader = {"planetoid": "Planetoid", "amazon": "Amazon", "coauthor": "Coauthor", "citation_full": "CitationFull"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import and its torch.load warn
        from torch_geometric import datasets

        return getattr(datasets, loader.get(folder.parts[1], "TUDataset"))(root, title, **options)


@pytest.mark.parametrize("name", SIZES)
def test_node_sets_equal_torch_geometrics(name: str, tmp_path: Path) -> None:
    data = build(name, tmp_path, features="raw")
    assert isinstance(data, BigGraph)
    nodes, edges, features, classes = SIZES[name]
    spec = data.spec
    assert (spec.num_nodes, spec.num_edges, spec.num_features) == (nodes, edges, features)
    task = data.tasks["node-class"]
    assert task.num_classes == classes
    wanted = reference(name, tmp_path)[0]  # type: ignore[index]
    batch = next(iter(data.rows())).data
    order = torch.argsort(wanted.edge_index[0] * nodes + wanted.edge_index[1])
    assert torch.equal(batch.edge_index, wanted.edge_index[:, order])
    stored = batch.x.matrix  # entry by entry: the dense matrix of CS has 500 MB
    assert torch.equal(wanted.x[stored.row, stored.col], stored.value)
    assert int(wanted.x.count_nonzero()) == len(stored.value)
    known = task.labels >= 0
    assert np.array_equal(task.labels[known], wanted.y.numpy()[known])
    assert int((~known).sum()) == (15 if name == "citeseer" else 0)
    assert batch.x.density < 0.4
    if task.protocol == "public":
        split = task.splits[0]
        for part, mask in ((split.train, wanted.train_mask), (split.val, wanted.val_mask), (split.test, wanted.test_mask)):
            assert part.tolist() == mask.nonzero()[:, 0].tolist()
        assert (len(split.train), len(split.val), len(split.test)) == (20 * classes, 500, 1000)


@pytest.mark.parametrize(
    ("name", "graphs", "mean_nodes", "mean_edges", "counts"),
    [
        ("mutag", 188, 17.93, 39.59, (63, 125)),
        ("proteins", 1113, 39.06, 145.63, (663, 450)),
        ("nci1", 4110, 29.87, 64.60, (2053, 2057)),
        ("imdb-binary", 1000, 19.77, 193.06, (500, 500)),
    ],
)
def test_graph_sets_equal_torch_geometrics(
    name: str, graphs: int, mean_nodes: float, mean_edges: float, counts: tuple[int, int], tmp_path: Path
) -> None:
    data = build(name, tmp_path)
    assert isinstance(data, SmallGraphs)
    assert data.spec.num_graphs == graphs
    assert round(data.spec.num_nodes / graphs, 2) == mean_nodes
    assert round(data.spec.num_edges / graphs, 2) == mean_edges
    labels = data.tasks["graph-class"].labels
    assert np.bincount(labels).tolist() == list(counts)
    wanted = reference(name, tmp_path)
    assert labels.tolist() == wanted.y.tolist()  # type: ignore[attr-defined]
    for number in (0, 7, graphs - 1):
        ours, theirs = data.gather(torch.tensor([number])), wanted[number]  # type: ignore[index]
        order = torch.argsort(theirs.edge_index[0] * theirs.num_nodes + theirs.edge_index[1])
        assert torch.equal(ours.edge_index, theirs.edge_index[:, order])
        if theirs.x is not None:
            assert torch.equal(ours.x.dense(), theirs.x)
        else:
            assert torch.equal(ours.x.dense().argmax(1), torch.bincount(theirs.edge_index[1], minlength=theirs.num_nodes))


def test_protein_attributes(tmp_path: Path) -> None:
    data = build("proteins", tmp_path, features="labels+attributes")
    wanted = reference("proteins", tmp_path, use_node_attr=True)
    assert isinstance(data, SmallGraphs)
    torch.testing.assert_close(data.gather(torch.arange(1113)).x.dense(), wanted.x)  # type: ignore[attr-defined]


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    from sslplug.errors import DataError

    assert ROOT is not None
    for name, change in (("cora", b"\0"), ("photo", None)):
        folder = Path(SOURCES[name].folder)
        shutil.copytree(Path(ROOT) / folder, tmp_path / folder)
        file = tmp_path / folder / next(iter(SOURCES[name].files))
        if change is not None:
            file.write_bytes(file.read_bytes() + change)
        else:
            parts = dict(np.load(file))
            parts["labels"][0] += 1
            np.savez(file, **parts)
        with pytest.raises(DataError, match="sha256"):
            DATA[name].build(DATA[name].options(), DataContext(tmp_path, tmp_path / "cache", 0))
