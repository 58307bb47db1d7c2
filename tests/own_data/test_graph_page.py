"""The page on a graph of one's own: its file with its faults, and every command of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ("databases", "learning", "networks", "vision")


def library(folder: Path, damaged: bool = False, part: slice | None = None) -> None:
    """240 papers with counts of 12 words, which cite papers of their topic; a curator labelled six in ten. ``part``: some of them, unlabelled."""
    draw = np.random.default_rng(7)
    count = 240
    topic = draw.integers(len(TOPICS), size=count)
    words = draw.poisson(np.where(np.arange(12) // 3 == topic[:, None], 1.3, 0.8))
    names = [f"P{1000 + k}" for k in range(count)]
    nodes = [
        [names[k], int(draw.integers(1995, 2024)), *words[k].tolist(), TOPICS[topic[k]] if draw.random() < 0.6 else ""]
        for k in range(count)
    ]
    cited: dict[tuple[str, str], None] = {}
    for paper in range(count):
        near = np.flatnonzero((topic == topic[paper]) & (np.arange(count) != paper))
        for other in [*draw.choice(near, 2, replace=False), draw.integers(count)]:
            pair = (names[paper], names[int(other)])
            if pair[0] != pair[1] and pair[::-1] not in cited:
                cited[pair] = None
    edges = [list(pair) for pair in cited]
    if part is not None:
        nodes = [row[:-1] for row in nodes[part]]
        kept = {row[0] for row in nodes}
        edges = [pair for pair in edges if kept.issuperset(pair)]
    if damaged:
        nodes[41][1] = ""
        nodes[107][3] = "2,0"
        nodes.append(list(nodes[12]))
        edges[88][1] = "P9999"
        edges.insert(200, ["P1003", "P1003"])
        edges.append(list(edges[5]))
    folder.mkdir()
    heading = ["id", "year", *(f"word{k}" for k in range(12)), *([] if part else ["label"])]
    _table(folder / "nodes.csv", heading, nodes)
    _table(folder / "edges.csv", ["source", "target"], edges)


def _table(file: Path, heading: list[str], rows: list[list[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([heading, *rows])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    library(tmp_path / "library", damaged=True)
    library(tmp_path / "mended")
    library(tmp_path / "later", part=slice(200, 240))
    walk(ROOT / "docs/own-data/graph.md", tmp_path)
    made = pq.read_table(tmp_path / "papers.parquet")
    assert made["id"].to_pylist() == [f"P{1000 + k}" for k in range(240)]
    assert pq.read_table(tmp_path / "later.parquet").column_names[:3] == ["row", "id", "e0"]
    assert set(made["split"].to_pylist()) == {"train", "val", "test", "unlabelled"}
