"""A user's own graph from two CSV files, through the command line: trained, judged, embedded, or refused by row and column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sslplug.cli import run

NODES = 60
SMALL = (
    "encoder.widths=[8, 8]", "method.projector.widths=[8]", "train.epochs=3", "train.batch_size=0",
    "evaluate.lightgbm.rounds=10", "evaluate.lightgbm.num_threads=1", "evaluate.splits=2",
)  # fmt: skip


def tables(folder: Path, *, feature: str = "0.5", end: str = "n1") -> Path:
    """Two communities of people, whose ids are words; row 3 of the nodes and row 5 of the edges can be spoilt."""
    draw = np.random.default_rng(0)
    side = np.arange(NODES) % 2
    people = [f"n{i},{draw.normal(side[i]):.3f},{draw.normal():.3f},{'red' if side[i] else 'blue'}" for i in range(NODES)]
    people[2] = f"n2,{feature},0.1,blue"
    pairs = draw.integers(0, NODES, size=(400, 2))
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & ((side[pairs[:, 0]] == side[pairs[:, 1]]) | (draw.random(400) < 0.1))]
    edges = [f"n{a},n{b}" for a, b in pairs]
    edges[4] = f"n0,{end}"
    folder.mkdir()
    (folder / "nodes.csv").write_text("\n".join(["id,age,income,label", *people]) + "\n")
    (folder / "edges.csv").write_text("\n".join(["source,target", *edges]) + "\n")
    return folder


def train(data: Path, runs: Path) -> int:
    sets = [part for override in SMALL for part in ("--set", override)]
    return run(["train", "--plugin", "graph", "--data", str(data), "--runs", str(runs), "--device", "cpu", *sets])


def test_trains_judges_and_embeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tables(tmp_path / "people"), tmp_path / "runs") == 0
    shown, said = capsys.readouterr()
    assert "people: edges made undirected\n" in said
    for row in ("on pretrained", "on untrained", "lightgbm on raw", "lightgbm on pretrained", "lightgbm on both"):
        assert row in shown
    (file,) = (tmp_path / "runs").rglob("metrics.json")
    metrics = json.loads(file.read_text())
    assert metrics["steps"] == 3
    assert {row["split"] for row in metrics["scores"]} == {0, 1}
    assert run(["embed", str(file.parent), "-o", str(tmp_path / "people.parquet"), "--device", "cpu"]) == 0
    own = pq.read_table(tmp_path / "people.parquet")
    assert own["id"].to_pylist() == [f"n{i}" for i in range(NODES)]
    assert set(own["split"].to_pylist()) == {"train", "val", "test"}
    other = tables(tmp_path / "others")
    assert run(["embed", str(file.parent), "--data", str(other), "-o", str(tmp_path / "o.parquet"), "--device", "cpu"]) == 0
    assert pq.read_table(tmp_path / "o.parquet").equals(own.drop_columns("split"))  # new rows are in no split
    (other / "nodes.csv").write_text("id,age\n" + "".join(f"n{i},{i}\n" for i in range(NODES)))
    capsys.readouterr()
    assert run(["embed", str(file.parent), "--data", str(other), "-o", str(tmp_path / "p.parquet"), "--device", "cpu"]) == 1
    assert "others/nodes.csv, column 'income': found no such column; it has id, age;" in " ".join(
        capsys.readouterr().err.split()
    )
    digits = ["embed", str(file.parent), "--data", "digits", "-o", str(tmp_path / "d.parquet"), "--device", "cpu"]
    assert run(digits) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Data 'digits' does not fit the encoder of" in said
    assert "would be (64," in said
    assert "and was trained as (2," in said
    assert "Give data with the columns" in said


def test_new_rows_are_scaled_as_the_training_rows_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the nodes, alone and shifted: embedded by the run's own means and deviations, not by theirs."""
    assert train(tables(tmp_path / "people"), tmp_path / "runs") == 0
    (file,) = (tmp_path / "runs").rglob("fitted.json")
    lone = tmp_path / "lone"
    lone.mkdir()
    (lone / "edges.csv").write_text("source,target\n")
    rows = (tmp_path / "people" / "nodes.csv").read_text().splitlines()
    found = []
    for name, kept in (("all", rows[1:]), ("few", rows[1:8])):
        (lone / "nodes.csv").write_text("\n".join([rows[0], *kept]) + "\n")
        out = tmp_path / f"{name}.parquet"
        assert run(["embed", str(file.parent), "--data", str(lone), "-o", str(out), "--device", "cpu"]) == 0
        found.append(np.stack([column.to_numpy() for column in pq.read_table(out).columns]))
    np.testing.assert_array_equal(found[1], found[0][:, :7])  # without edges every node stands for itself
    (file.parent / "fitted.json").unlink()
    capsys.readouterr()
    assert run(["embed", str(file.parent), "--data", str(lone), "-o", str(tmp_path / "x.parquet"), "--device", "cpu"]) == 1
    assert "fitted.json: missing or damaged" in " ".join(capsys.readouterr().err.split())


def test_own_data_that_has_changed_is_new_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tables(tmp_path / "people"), tmp_path / "runs") == 0
    (file,) = (tmp_path / "runs").rglob("fitted.json")
    nodes = tmp_path / "people" / "nodes.csv"
    nodes.write_text(nodes.read_text().replace("n2,0.5,", "n2,7.5,"))
    capsys.readouterr()
    assert run(["embed", str(file.parent), "-o", str(tmp_path / "x.parquet"), "--device", "cpu"]) == 0
    assert "people has changed since" in " ".join(capsys.readouterr().err.split())
    assert "split" not in pq.read_table(tmp_path / "x.parquet").column_names


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"feature": "nan"}, "nodes.csv, row 3, column 'age': found 'nan'; expected a finite number."),
        (
            {"end": "n99"},
            "edges.csv, row 5, column 'target': found node 'n99', which is not there; expected a node of nodes.csv",
        ),
    ],
)
def test_refuses_by_file_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoilt: dict[str, str], sentence: str
) -> None:
    assert train(tables(tmp_path / "people", **spoilt), tmp_path / "runs") == 1
    text = " ".join(capsys.readouterr().err.split())
    assert f"Error: {tmp_path / 'people'}/{sentence}" in text
    assert not list((tmp_path / "runs").rglob("checkpoints"))
