"""What a judged run leaves behind and what the commands make of it, on the toy plugin."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sslplug import discovery
from sslplug.build import build_data, compose, schema_of
from sslplug.cli import run
from sslplug.evaluation.statistics import interval
from sslplug.stages.evaluate import judge_run, load_method
from sslplug.stages.recipes import chosen
from sslplug.stages.report import show
from sslplug.stages.session import data_context, open_session, recipe_of_run
from sslplug.training import checkpoint

METRICS = {
    "format", "plugin", "recipe", "seed", "data", "steps", "finished", "collapsed", "diagnostics", "training_seconds",
    "device", "world", "scores", "evaluation_seconds",
}  # fmt: skip
ROWS = [
    ("logistic", "pretrained"), ("logistic", "untrained"), ("lightgbm", "raw"), ("lightgbm", "pretrained"),
    ("lightgbm", "both"), ("finetune", "pretrained"), ("finetune", "untrained"),
]  # fmt: skip


def metrics(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "metrics.json").read_text())
    return found


def scores(folder: Path) -> list[dict[str, object]]:
    found = metrics(folder)["scores"]
    assert isinstance(found, list)
    return found


def test_metrics_hold_every_control_of_every_split_and_fraction(judged: tuple[Path, Path]) -> None:
    for seed, folder in enumerate(judged):
        found = metrics(folder)
        assert found.keys() == METRICS
        assert (found["format"], found["seed"], found["steps"], found["finished"]) == (1, seed, 12, True)
        rows = [row for row in scores(folder) if row["metric"] == "accuracy"]
        places = [(row["probe"], row["features"], row["split"], row["fraction"]) for row in rows]
        assert sorted(places) == sorted((*row, split, share) for row in ROWS for split in (0, 1) for share in (0.5, 1.0))  # type: ignore[misc]
        assert {row["train"] for row in rows if row["fraction"] == 1.0} == {20}
        assert {row["test"] for row in rows} == {120}
        assert all(0.0 <= row["value"] <= 1.0 for row in rows)  # type: ignore[operator]


def test_three_seeds_print_one_table(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ("data.rows=96", "data.splits=1", "train.epochs=1", "evaluate.lightgbm.rounds=5", "seed=4")
    options = [part for change in sets for part in ("--set", change)]
    assert run(["train", "--plugin", "toy", "--seeds", "3", "--runs", str(tmp_path), "--device", "cpu", *options]) == 0
    shown = capsys.readouterr().out
    assert shown.count("toy/crops-infonce, seeds 4..6") == shown.count("┏") == 1
    values = [
        row["value"]
        for file in tmp_path.rglob("metrics.json")
        for row in scores(file.parent)
        if (row["probe"], row["features"], row["metric"]) == ("logistic", "pretrained", "accuracy")
    ]
    found = interval(values)  # type: ignore[arg-type]
    assert found.n == 3
    (line,) = [line for line in shown.splitlines() if "logistic on pretrained │" in line]
    assert f"{found.mean:.4f} │ [{found.low:.4f}, {found.high:.4f}]" in line


def test_the_table_joins_seeds_and_shows_controls(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(judged[0].parent), "--logdir", str(tmp_path / "log")]) == 0
    shown = capsys.readouterr().out
    assert "toy/crops-infonce, seeds 0..1" in shown
    for probe, features in ROWS:
        assert f"{probe} on {features}" in shown
    for share in (0.5, 1.0):
        values = [
            row["value"]
            for folder in judged
            for row in scores(folder)
            if (row["probe"], row["features"], row["metric"], row["fraction"])
            == ("logistic", "pretrained", "accuracy", share)
        ]
        assert len(values) == 4
        (line,) = [line for line in shown.splitlines() if f"{share:.0%}" in line and "logistic on pretrained │" in line]
        assert f"{np.mean(values):.4f}" in line  # type: ignore[arg-type]
        assert "[" in line, "two splits give an interval"
    events = EventAccumulator(str(tmp_path / "log" / "comparison" / "toy" / "crops-infonce" / "cluster")).Reload()
    curve = events.Scalars("labels/toy/clusters/cluster/accuracy")
    assert [event.step for event in curve] == [50, 100]
    assert (tmp_path / "log" / "comparison" / "toy" / "crops-infonce" / "labels.md").is_file()


def test_compare_of_two_recipes_prints_a_table_each(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(judged[1], other)
    recipe = (other / "recipe.yaml").read_text()
    assert "name: crops-infonce\n" in recipe
    (other / "recipe.yaml").write_text(recipe.replace("name: crops-infonce\n", "name: second\n"))
    assert run(["compare", str(judged[0]), str(other), "--logdir", str(tmp_path / "log")]) == 0
    shown = capsys.readouterr().out
    assert "toy/crops-infonce, seed 0" in shown
    assert "toy/second, seed 1" in shown
    for name in ("crops-infonce", "second"):
        assert len(list((tmp_path / "log" / "comparison" / "toy" / name).glob("*/events.out.tfevents.*"))) == 1


def test_compare_joins_nothing_but_seeds_and_keeps_the_newer_of_one_seed(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, again = tmp_path / "runs" / "other", tmp_path / "runs" / "zz-again"
    shutil.copytree(judged[1], other)
    shutil.copytree(judged[0], tmp_path / "runs" / "first")
    shutil.copytree(judged[0], again)
    recipe = (other / "recipe.yaml").read_text()
    assert "rows: 160" in recipe
    (other / "recipe.yaml").write_text(recipe.replace("rows: 160", "rows: 161"))
    assert run(["compare", str(tmp_path / "runs"), "--logdir", str(tmp_path / "log")]) == 0
    shown, said = capsys.readouterr()
    assert "toy/crops-infonce (data.rows=160), seed 0, data clusters" in shown
    assert "toy/crops-infonce (data.rows=161), seed 1, data clusters" in shown
    assert f"first: left out, {again} is a newer run of the same recipe and seed" in said
    logged = tmp_path / "log" / "comparison" / "toy"
    assert {p.name for p in logged.iterdir()} == {f"crops-infonce,data.rows={n}" for n in (160, 161)}


def test_runs_without_a_labelled_task_are_called_so(
    toy: str, judged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    (folder / "metrics.json").write_text(json.dumps(metrics(folder) | {"scores": []}))
    show([folder])
    assert f"nothing to judge. The embeddings: {folder / 'embeddings.parquet'}" in capsys.readouterr().err
    assert run(["compare", str(folder)]) == 1
    assert "left out. Its data has no task" in capsys.readouterr().err


def test_published_figures_leave_with_the_data_and_method_they_are_for(toy: str, tmp_path: Path) -> None:
    plugin = discovery.load("toy")
    with importlib.resources.as_file(discovery.recipes_of(plugin)[plugin.default_recipe]) as file:
        text = file.read_text()
    (tmp_path / "mine.yaml").write_text(text + "\nevaluate: {published: {cluster: 0.9}}\n")

    def published(*overrides: str) -> object:
        found = chosen(plugin, str(tmp_path / "mine.yaml"), overrides, schema_of(plugin)).sections["evaluate"]
        return found.model_dump()["published"]

    assert published("seed=3", "train.epochs=2") == {"cluster": 0.9}
    assert published("data.rows=96") == published("objective=vicreg") == {}
    assert published("data.rows=96", "evaluate.published={cluster: 0.5}") == {"cluster": 0.5}


def test_tensorboard_holds_training_diagnostics_scores_hparams_and_projector(judged: tuple[Path, Path]) -> None:
    events = EventAccumulator(str(judged[0])).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/loss", "train/loss/infonce", "diag/rankme", "eval/cluster/logistic/accuracy"} <= tags
    assert "eval/cluster/finetune/accuracy" in tags
    log = [json.loads(line) for line in (judged[0] / "log.jsonl").read_text().splitlines()]
    logged = [(line["step"], line["train/loss"]) for line in log if "train/loss" in line]
    assert [step for step, _ in logged] == [2, 4, 6, 8, 10, 12]
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(s, pytest.approx(v)) for s, v in logged]
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    for word in (b"crops-infonce", b"infonce", b"clusters", b"lr"):
        assert word in content
    tensors = (judged[0] / "projector" / "tensors.tsv").read_text().splitlines()
    labels = (judged[0] / "projector" / "labels.tsv").read_text().splitlines()
    assert len(tensors) == len(labels) == 160
    assert set(labels) == {f"cluster {number}" for number in range(4)}
    assert "projector/tensors.tsv" in (judged[0] / "projector_config.pbtxt").read_text()


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_embed_and_export_give_the_trained_encoder(toy: str, judged: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "rows.parquet"
    assert run(["embed", str(judged[0]), "-o", str(out), "--device", "cpu"]) == 0
    table, kept = pq.read_table(out), pq.read_table(judged[0] / "embeddings.parquet")
    assert table.equals(kept)
    assert table["row"].to_pylist() == list(range(160))
    assert table["id"].to_pylist() == [str(row) for row in range(160)]
    assert Counter(table["split"].to_pylist()) == {"train": 20, "val": 20, "test": 120}
    assert run(["export", str(judged[0]), "-o", str(tmp_path / "encoder"), "--no-onnx"]) == 0
    weights = load_file(tmp_path / "encoder" / "encoder.safetensors")
    said = {key.decode().removeprefix("sslplug."): value.decode() for key, value in table.schema.metadata.items()}
    assert said == {key.decode().removeprefix("sslplug."): value.decode() for key, value in kept.schema.metadata.items()}
    assert said["model.sha256"] == sha256(tmp_path / "encoder" / "encoder.safetensors")
    assert said["recipe.sha256"] == sha256(judged[0] / "recipe.yaml")
    assert said["data.sha256"] == metrics(judged[0])["data"]["sha256"]
    assert (said["data"], said["level"]) == ("clusters", "row")
    assert said["split"] == "task cluster, split 1 of 2: random, 20 train, 20 validation"
    assert (tmp_path / "encoder" / "recipe.yaml").read_text() == (judged[0] / "recipe.yaml").read_text()
    assert (tmp_path / "encoder" / "fitted.json").read_text() == (judged[0] / "fitted.json").read_text() == "{}\n"
    resolved, schema = recipe_of_run(judged[0], [])
    composed = compose(resolved, schema, build_data(resolved, data_context(None, 0, False)), torch.device("cpu"))
    encoder = composed.new_encoder()
    encoder.load_state_dict(weights)
    with torch.no_grad():
        rows = torch.cat([encoder.eval()(view)["row"] for view in composed.data.rows()]).numpy()
    columns = np.stack([table[f"e{number}"].to_numpy() for number in range(rows.shape[1])], axis=1)
    np.testing.assert_array_equal(columns, rows)


def test_evaluate_judges_anew_with_other_probes(toy: str, judged: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    changes = ["evaluate.probes=[{name: knn}]", "evaluate.fractions=[1.0]", "evaluate.splits=1", "evaluate.finetune=null"]
    assert run(["evaluate", str(folder), *[part for change in changes for part in ("--set", change)]]) == 0
    found = [(row["probe"], row["features"]) for row in scores(folder) if row["metric"] == "accuracy"]
    assert found == [("knn", "pretrained"), ("knn", "untrained"), *ROWS[2:5]]
    assert {key: value for key, value in metrics(folder).items() if key not in ("scores", "evaluation_seconds")} == {
        key: value for key, value in metrics(judged[0]).items() if key not in ("scores", "evaluation_seconds")
    }
    before = {
        row["split"]: row["value"]
        for row in scores(judged[0])
        if (row["probe"], row["features"], row["metric"], row["fraction"]) == ("lightgbm", "raw", "accuracy", 1.0)
    }
    (again,) = [
        row["value"]
        for row in scores(folder)
        if (row["probe"], row["features"], row["metric"]) == ("lightgbm", "raw", "accuracy")
    ]
    assert again == before[0], "a control does not depend on the probe"
    assert "knn" in (folder / "recipe.yaml").read_text()


def test_finetuning_starts_from_both_encoders(judged: tuple[Path, Path]) -> None:
    tuned = [row for row in scores(judged[0]) if row["probe"] == "finetune" and row["metric"] == "macro_f1"]
    values = {(row["split"], row["fraction"], row["features"]): row["value"] for row in tuned}
    assert len(values) == 8
    assert any(
        values[split, share, "pretrained"] != values[split, share, "untrained"] for split in (0, 1) for share in (0.5, 1.0)
    )


def test_doctor_info_recipes_and_plugins_know_the_toy(
    toy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLPLUG_DATA", str(tmp_path / "none"))
    said = {}
    for words in (["doctor"], ["info", "toy"], ["recipes", "toy"], ["plugins"]):
        assert run(words) == 0
        said[words[0]] = capsys.readouterr().out
    assert "plugin toy: ok; " + discovery.load("toy").summary in said["doctor"]
    assert f"data root {tmp_path / 'none'} is not a folder" in said["doctor"]
    assert "method joint  " in said["info"]
    assert "finetune" in said["info"]
    assert "* crops-infonce" in said["recipes"]
    assert "sslplug-toy 1.0" in said["plugins"]


def test_a_run_is_judged_in_one_order_whatever_the_threads(toy: str, judged: tuple[Path, Path], tmp_path: Path) -> None:
    """Every pass through an encoder, those of fine-tuning too, asks torch for the numbers that come out alike each time."""
    folder = tmp_path / "run"
    shutil.copytree(judged[0], folder)
    resolved, schema = recipe_of_run(folder, ["evaluate.fractions=[1.0]", "evaluate.splits=1"])
    session = open_session(resolved, schema, data_context(None, resolved.seed, False), torch.device("cpu"))
    load_method(session, checkpoint.newest(folder / "checkpoints")[0])
    passes: list[tuple[bool, bool, bool]] = []
    encoder = session.composed.method.encoder
    assert isinstance(encoder, torch.nn.Module)

    def note(module: torch.nn.Module, given: object) -> None:
        passes.append((module.training, torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()))

    encoder.register_forward_pre_hook(note)
    judge_run(session, folder)
    assert set(passes) == {(False, False, True), (True, True, True)}
    assert not torch.are_deterministic_algorithms_enabled()
