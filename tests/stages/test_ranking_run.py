"""A run whose data asks to rank and to measure: trained, judged, embedded level by level, and answered from."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sslplug.build import build_data
from sslplug.cli import run
from sslplug.contracts import RankingTask
from sslplug.reporting.runfolder import read_run
from sslplug.stages.embedding_files import Origin, level_file, read_embeddings, write_levels
from sslplug.stages.report import table_rows
from sslplug.stages.session import data_context, recipe_of_run


def data_of(folder: Path) -> Any:
    return build_data(recipe_of_run(folder, [])[0], data_context(None, 0, False))


def same(folder: Path) -> RankingTask:
    task = data_of(folder).tasks["same-cluster"]
    assert isinstance(task, RankingTask)
    return task


def test_every_form_of_task_is_judged_and_only_labelled_ones_are_tuned(ranked: Path) -> None:
    rows = json.loads((ranked / "metrics.json").read_text())["scores"]
    models: dict[str, list[str]] = {}
    for row in rows:
        models.setdefault(row["task"], []).append(f"{row['probe']} on {row['features']}")
    assert {"finetune on pretrained", "logistic on pretrained"} <= set(models["cluster"])
    assert list(dict.fromkeys(models["same-cluster"])) == [
        "ranking on pretrained", "ranking on untrained", "popularity on raw", "item_knn on raw", "lightgbm on raw",
        "lightgbm on pretrained", "lightgbm on both",
    ]  # fmt: skip
    assert models["nearest"] == ["measured on pretrained", "measured on untrained", "cells on raw"]


def test_the_table_shows_recall_and_slices_and_its_verdict_is_about_ndcg(
    toy: str, ranked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in table_rows([read_run(ranked)]) if row.task == "same-cluster"]
    assert [row.metric for row in rows] == ["ndcg@5", "recall@5", "ndcg@5/rare", "recall@5/rare"]
    assert [row.published for row in rows] == [0.7, 0.1, None, None]
    assert [row.primary for row in rows] == [True, False, False, False]
    assert len(rows[0].controls) == 6
    assert run(["compare", str(ranked)]) == 0
    said = capsys.readouterr().out
    assert said.count("same-cluster (half of the rows ask): ranking on pretrained, ndcg@5") == 1
    assert "ranking on pretrained, recall@5" not in said, "a verdict is about the primary metric"
    further = said.split("same-cluster, further metrics")[1].split("same-cluster (")[0]
    lines = {line.split("│")[1].strip(): line.split("│")[2:5] for line in further.splitlines() if "│" in line}
    assert [cell.strip() for cell in lines["published"]] == ["0.1000", "", ""]
    models = [rows[0].name, *(control.name for control in rows[0].controls)]
    assert list(lines) == [*models, "published"]
    assert [float(cell) for cell in lines[models[0]]] == [pytest.approx(row.mean, abs=5e-5) for row in rows[1:]]
    assert [float(cell) for cell in lines[models[3]]] == [pytest.approx(row.controls[2].mean, abs=5e-5) for row in rows[1:]]
    assert "nearest (every row): measured on pretrained, agreement" in said
    assert "cluster (random, 20 train, 20 validation, 100% of labels)" in said


def answers(said: str) -> list[list[str]]:
    return [line.split("\t") for line in said.strip().splitlines()]


def test_recommend_answers_by_full_ranking_without_what_was_seen(
    toy: str, ranked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recommend", str(ranked), "--users", "row-3,row-40", "--users", "row-3", "-k", "4"]) == 0
    head, *rows = answers(capsys.readouterr().out)
    assert head == ["user", "rank", "item", "score"]
    assert [row[:2] for row in rows] == [[user, str(rank)] for user in ("row-3", "row-40", "row-3") for rank in (1, 2, 3, 4)]
    task = same(ranked)
    vectors = read_embeddings(ranked / "embeddings.parquet").astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, user in enumerate((3, 40)):
        seen: set[int] = set()
        for name, part in task.parts.items():
            for place in np.flatnonzero(part.queries == user):
                seen |= set(part.seen[place].indices) | (set(part.relevant[place].indices) if name == "val" else set())
        order = [item for item in np.argsort(-(unit @ unit[user])) if item not in seen][:4]
        mine = rows[4 * number : 4 * number + 4]
        assert [row[2] for row in mine] == [f"row-{item}" for item in order]
        np.testing.assert_allclose([float(row[3]) for row in mine], unit[order] @ unit[user], rtol=1e-4)


def test_recommend_writes_files(toy: str, ranked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = {ending: tmp_path / "deep" / f"best{ending}" for ending in (".parquet", ".csv", ".tsv")}
    for file in out.values():
        assert run(["recommend", str(ranked), "--users", "row-1", "-k", "2", "-o", str(file)]) == 0
        assert capsys.readouterr().out == f"{file}\n"
    table = pq.read_table(out[".parquet"]).to_pydict()
    assert table["user"] == ["row-1", "row-1"]
    assert [line.split(",")[2] for line in out[".csv"].read_text().splitlines()[1:]] == table["item"]
    assert [line.split("\t")[2] for line in out[".tsv"].read_text().splitlines()[1:]] == table["item"]
    assert run(["recommend", str(ranked), "--users", "row-1", "-o", str(tmp_path / "best.json")]) == 2
    assert "ends in '.json'; expected .parquet, .csv, .tsv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--users", "row-11x"), "--users row-11x: no row of this name; near names: row-11"),
        (("--users", "somebody"), "no row of this name; the first of 96: row-0, row-1, row-2"),
        (("--users", " , "), "--users names nobody"),
        (
            ("--users", "row-1", "--task", "cluster"),
            "--task cluster: no ranking task of this name; this data has same-cluster",
        ),
    ],
)
def test_recommend_refuses_unknown_names(
    toy: str, ranked: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert run(["recommend", str(ranked), *options]) == 2
    assert words in capsys.readouterr().err


def test_recommend_refuses_other_data_and_missing_embeddings(
    toy: str, ranked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ranked, folder)
    rows = bytearray((folder / "embeddings.parquet").read_bytes())
    rows[len(rows) // 2] ^= 1
    (folder / "embeddings.parquet").write_bytes(rows)
    assert run(["recommend", str(folder), "--users", "row-1"]) == 1
    assert "embeddings.parquet: missing or damaged (its sha256 is not the one in SHA256SUMS)" in capsys.readouterr().err
    (folder / "embeddings.parquet").unlink()
    assert run(["recommend", str(folder), "--users", "row-1"]) == 1
    assert "embeddings.parquet: missing or damaged (No such file" in capsys.readouterr().err
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("signal: 0.8", "signal: 0.9"))
    assert run(["recommend", str(folder), "--users", "row-1"]) == 1
    assert "rows would be taken for others" in capsys.readouterr().err


def test_recommend_without_a_ranking_task(toy: str, judged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recommend", str(judged[0]), "--users", "1"]) == 2
    assert "0 ranking tasks to answer by; this data has none" in capsys.readouterr().err


def test_faiss_is_asked_for_more_and_what_was_seen_is_dropped(
    toy: str, ranked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index of faiss's form by a full sort: the answers are those of the exact search."""

    class Index:
        def __init__(self, width: int) -> None:
            self.rows = np.zeros((0, width), np.float32)

        def add(self, rows: np.ndarray) -> None:
            self.rows = np.concatenate([self.rows, rows])

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            scores = queries @ self.rows.T
            order = np.argsort(-scores, axis=1)[:, :k]
            return np.take_along_axis(scores, order, axis=1), order

    ask = ["recommend", str(ranked), "--users", "row-3,row-40,row-7", "-k", "5"]
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert run([*ask, "--index", "faiss"]) == 2
    assert "faiss is not installed; install faiss-cpu, or search by --index exact" in capsys.readouterr().err
    fake: Any = types.ModuleType("faiss")
    fake.IndexFlatIP = Index
    monkeypatch.setitem(sys.modules, "faiss", fake)
    said = []
    for index in ("exact", "faiss"):
        assert run([*ask, "--index", index]) == 0
        said.append([row[:3] for row in answers(capsys.readouterr().out)])
    assert said[0] == said[1]


def test_embed_names_rows_and_writes_every_level_of_the_ranking(
    toy: str, ranked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.parquet"
    assert run(["embed", str(ranked), "-o", str(out), "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    table = pq.read_table(out)
    assert table.column_names[:3] == ["row", "id", "split"]
    assert table["id"].to_pylist() == [f"row-{number}" for number in range(96)]
    np.testing.assert_array_equal(read_embeddings(out), read_embeddings(ranked / "embeddings.parquet"))
    data = data_of(ranked)
    task = same(ranked)
    two = types.SimpleNamespace(
        level="row", tasks={"t": RankingTask(**{**vars(task), "query": "user", "query_names": None})}, description={}
    )
    levels = {
        "row": np.ones((96, 2), np.float32),
        "user": np.zeros((96, 3), np.float32),
        "cell": np.ones((9, 2), np.float32),
    }
    written = write_levels(tmp_path / "two.parquet", levels, two, Origin("", ""))  # type: ignore[arg-type]
    assert [file.name for file in written] == ["two.parquet", "two.user.parquet"]
    assert pq.read_table(written[1]).column_names == ["row", "id", "e0", "e1", "e2"]
    assert level_file(Path("a.parquet"), data.level, data.level) == Path("a.parquet")
