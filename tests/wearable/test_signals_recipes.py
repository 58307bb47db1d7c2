"""Recipes of the wearable plugin: each says what it is, the parts it names exist, and the embedded one learns."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sslplug.build import recipe_tags, schema_of
from sslplug.cli import run
from sslplug.discovery import recipes_of
from sslplug.recipe import read_recipe, resolve
from sslplug_sequence.signals.plugin import PLUGIN

NAMES = sorted(recipes_of(PLUGIN))
NEEDED = {
    "simclr-gait", "simclr-har", "byol-har", "vicreg-har", "tstcc-har", "cpc-har", "multitask-har", "spt-har", "masked-har",
    "transform-har", "collossl-dsads", "simclr-dsads", "clan-dsads", "ts2vec-basicmotions", "ts2vec-gunpoint",
}  # fmt: skip
needs_data = pytest.mark.skipif(
    not os.environ.get("SSLPLUG_DATA"), reason="published data: set SSLPLUG_DATA to the data root"
)


def test_the_promised_recipes_are_there() -> None:
    assert set(NAMES) >= NEEDED
    assert PLUGIN.default_recipe in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_named_like_its_file_and_cites_its_method(name: str) -> None:
    raw = read_recipe(recipes_of(PLUGIN)[name])
    resolved = resolve(raw, schema_of(PLUGIN), f"{name}.yaml", recipe_tags(raw))
    assert resolved.name == name
    assert name.endswith("gait") or " et al. 20" in resolved.about
    if name.endswith("-har"):
        assert raw["evaluate"]["fractions"] == [0.01, 0.05, 0.1, 1.0]


def trained(tmp_path: Path, recipe: str, *settings: str) -> dict[str, dict[str, float]]:
    """{features: {metric: value}} on the test rows after a run of the command line."""
    arguments = ["train", "--plugin", "wearable", "--recipe", recipe, "--runs", str(tmp_path), "--device", "cpu"]
    for setting in ("evaluate.fractions=[1.0]", *settings):
        arguments += ["--set", setting]
    assert run(arguments) == 0
    (metrics,) = tmp_path.rglob("metrics.json")
    found: dict[str, dict[str, float]] = {}
    for score in json.loads(metrics.read_text())["scores"]:
        found.setdefault(f"{score['probe']} on {score['features']}", {})[score["metric"]] = score["value"]
    return found


def test_the_embedded_recipe_beats_its_untrained_encoder(tmp_path: Path) -> None:
    scores = trained(tmp_path, "simclr-gait", "train.epochs=80", "evaluate.lightgbm.rounds=20")
    assert scores["logistic on pretrained"]["accuracy"] > scores["logistic on untrained"]["accuracy"]


@needs_data
@pytest.mark.parametrize("name", ["ts2vec-basicmotions", "spt-basicmotions"])
def test_small_published_recipes_run_from_end_to_end(tmp_path: Path, name: str) -> None:
    scores = trained(
        tmp_path,
        name,
        "train.epochs=2",
        "evaluate.controls=false",
        "evaluate.probes=[{name: logistic}]",
        "evaluate.finetune=null",
    )
    assert 0 <= scores["logistic on pretrained"]["accuracy"] <= 1


METHODS = {
    "ts2vec": ({"name": "overlap_crops"}, {"name": "ts2vec", "depth": 2, "width": 32}, {"name": "ts2vec"}, None),
    "ts_tcc": ({"name": "pairs"}, {"name": "tstcc"}, {"name": "ts_tcc", "horizons": 3}, {"name": "infonce"}),
    "cpc": ({"name": "identity"}, {"name": "gru", "stride": 4, "width": 16}, {"name": "cpc", "horizons": 3}, None),
    "collossl": ({"name": "devices"}, {"name": "tpn"}, {"name": "collossl"}, None),
    "clan": ({"name": "negatives"}, {"name": "tpn"}, {"name": "clan"}, None),
    "masked": (
        {"name": "masked"}, {"name": "transformer", "depth": 1}, {"name": "masked", "decoder": {"name": "signal"}}, {"name": "mse"}
    ),
    "pretext": (
        {"name": "multitask"}, {"name": "resnet1d", "widths": [8, 8, 8], "blocks": [1, 1, 0]},
        {"name": "pretext", "targets": ["arrow_of_time", "permutation", "time_warp"]}, {"name": "cross_entropy"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", sorted(METHODS))
def test_stopped_and_resumed_ends_with_the_same_bytes(tmp_path: Path, method: str) -> None:
    sections = dict(zip(("views", "encoder", "method", "objective"), METHODS[method], strict=True))
    recipe = {
        "name": method, "about": "small", "plugin": "wearable", **{key: value for key, value in sections.items() if value},
        "data": {"name": "gait", "devices": ["wrist", "ankle"], "people": 5, "windows": 2},
        "train": {"epochs": 3, "batch_size": 8, "checkpoint_every": 4, "keep": 10},
    }  # fmt: skip
    written = tmp_path / f"{method}.yaml"
    written.write_text(json.dumps(recipe))
    arguments = ["train", "--plugin", "wearable", "--recipe", str(written), "--runs", str(tmp_path), "--device", "cpu"]
    assert run([*arguments, "--no-evaluate"]) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    points = sorted((folder / "checkpoints").glob("step-*"))
    last = {file.name: file.read_bytes() for file in points[-1].glob("*.safetensors")}
    for point in points[1:]:
        shutil.rmtree(point)
    assert run(["resume", str(folder), "--device", "cpu", "--no-evaluate"]) == 0
    again = sorted((folder / "checkpoints").glob("step-*"))
    assert again[-1].name == points[-1].name != points[0].name
    assert {file.name: file.read_bytes() for file in again[-1].glob("*.safetensors")} == last
