"""Collaborative recipes through the engine: they are there, stop and resume with the same bytes, and rank better than untrained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sslplug.cli import run
from sslplug.discovery import recipes_of
from sslplug_recsys.plugin import PLUGIN

PROMISED = {
    *(f"{method}-{data}" for method in ("mf", "lightgcn", "sgl", "simgcl", "xsimgcl", "lightgcl", "directau")
      for data in ("gowalla", "ml-1m", "yelp", "lastfm", "tastes")),
    *(f"{method}-{data}" for method in ("ncl", "dccf") for data in ("gowalla", "ml-1m", "tastes")),
    "lightgcn-lastfm-social", "lightgcn-beauty-attributes",
}  # fmt: skip


def test_the_promised_recipes_are_there() -> None:
    assert set(recipes_of(PLUGIN)) >= PROMISED


@pytest.mark.parametrize("method", ["sgl", "ncl", "xsimgcl"])
def test_stopped_within_an_epoch_and_resumed_ends_with_the_same_bytes(tmp_path: Path, method: str) -> None:
    """The graphs and clusters of an epoch are found again."""
    options = [
        "data.users=60",
        "data.items=80",
        "train.epochs=3",
        "train.batch_size=200",
        "train.checkpoint_every=2",
        "train.keep=50",
    ]
    if method == "ncl":
        options.append(
            'method.contrasts=[{"name": "structure", "weight": 0.01}, {"name": "prototypes", "clusters": 4, "warmup": 1}]'
        )
    settings = [part for option in options for part in ("--set", option)]
    chosen = [
        "train",
        "--plugin",
        "recsys",
        "--recipe",
        f"{method}-tastes",
        *settings,
        "--runs",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert run([*chosen, "--no-evaluate"]) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    points = sorted((folder / "checkpoints").glob("step-*"))
    last = {file.name: file.read_bytes() for file in points[-1].glob("*.safetensors")}
    per_epoch = int(points[-1].name.removeprefix("step-")) // 3
    within = next(
        point
        for point in points
        if int(point.name.removeprefix("step-")) % per_epoch > 0 and int(point.name[5:]) > per_epoch
    )
    for point in points:
        if point != within:
            shutil.rmtree(point)
    assert run(["resume", str(folder), "--device", "cpu", "--no-evaluate"]) == 0
    assert {
        file.name: file.read_bytes() for file in sorted((folder / "checkpoints").glob("step-*"))[-1].glob("*.safetensors")
    } == last


def test_a_trained_recipe_ranks_better_than_its_untrained_encoder(tmp_path: Path) -> None:
    settings = [
        "--set",
        "data.users=200",
        "--set",
        "data.items=150",
        "--set",
        "train.batch_size=256",
        "--set",
        "train.epochs=15",
    ]
    arguments = [
        "train",
        "--plugin",
        "recsys",
        "--recipe",
        "lightgcn-tastes",
        *settings,
        "--runs",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert run(arguments) == 0
    (file,) = tmp_path.rglob("metrics.json")
    scores = {
        (score["probe"], score["features"]): score["value"]
        for score in json.loads(file.read_text())["scores"]
        if score["metric"] == "ndcg@20"
    }
    assert scores["ranking", "pretrained"] > 2 * scores["ranking", "untrained"]
