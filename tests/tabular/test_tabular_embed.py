"""New rows for a trained run, through the command line: encoded by what the run fitted, and what is strange in them said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sslplug.cli import run

SMALL = (
    "encoder={name: ft_transformer, width: 8, layers: 1, heads: 2, feedforward: 8}", "method.projector.widths=[8]",
    "train.epochs=2", "train.batch_size=32", "data.target=bought",
)  # fmt: skip
HEAD = "age,income,job,bought"


def people(file: Path, rows: list[str], head: str = HEAD) -> Path:
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


def rows_of(count: int) -> list[str]:
    draw = np.random.default_rng(0)
    jobs = ("baker", "smith", "miller")
    return [
        f"{draw.normal(40, 10):.2f},{draw.normal(30, 9):.2f},{jobs[draw.integers(3)]},{'yes' if draw.random() > 0.5 else 'no'}"
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 120 people. Only to be read."""
    folder = tmp_path_factory.mktemp("embed")
    data = people(folder / "people.csv", rows_of(120))
    sets = [part for override in SMALL for part in ("--set", override)]
    words = ["train", "--plugin", "tabular", "--recipe", "scarf", "--data", str(data), "--runs", str(folder / "runs")]
    assert run([*words, "--device", "cpu", "--no-evaluate", *sets]) == 0
    (fitted,) = (folder / "runs").rglob("fitted.json")
    return fitted.parent


def embed(run_folder: Path, data: Path, out: Path) -> int:
    return run(["embed", str(run_folder), "--data", str(data), "-o", str(out), "--device", "cpu"])


def read(file: Path) -> np.ndarray:
    table = pq.read_table(file)
    return np.stack([table[name].to_numpy() for name in table.column_names if name[1:].isdigit()], axis=1)


def test_new_rows_are_encoded_as_training_rows_were(trained: Path, tmp_path: Path) -> None:
    rows = rows_of(120)
    assert embed(trained, people(tmp_path / "all.csv", rows), tmp_path / "all.parquet") == 0
    # Five rows, no target, other order of columns, an extra one: what five rows alone would fit is not used.
    few = [",".join([part.split(",")[i] for i in (2, 0, 1)]) + ",x" for part in rows[:5]]
    assert embed(trained, people(tmp_path / "few.csv", few, "job,age,income,extra"), tmp_path / "few.parquet") == 0
    np.testing.assert_allclose(read(tmp_path / "few.parquet"), read(tmp_path / "all.parquet")[:5], rtol=1e-4, atol=1e-6)
    assert json.loads((trained / "fitted.json").read_text())["encoding"]["words"][0]["words"] == ["baker", "miller", "smith"]


def test_what_is_strange_is_said(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["41,30,tailor,yes", "41,30,cook,no", ",30,baker,no", "41,30,baker,no"]
    assert embed(trained, people(tmp_path / "new.csv", rows), tmp_path / "new.parquet") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "column 'job': 2 of 4 values are no category of training; they share one code" in said
    assert "numbers are missing, as none were in training" in said
    found = read(tmp_path / "new.parquet")
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[3])


def test_a_missing_column_is_named(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert embed(trained, people(tmp_path / "new.csv", ["41,baker"], "age,job"), tmp_path / "new.parquet") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "new.csv: found no column 'income', which the encoder was trained on" in said
    assert not (tmp_path / "new.parquet").exists()
