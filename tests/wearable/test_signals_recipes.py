"""Recipes of the wearable plugin: each says what it is, the parts it names exist, and the embedded one learns."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sslplug.build import recipe_tags, schema_of
from sslplug.cli import main
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
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (metrics,) = tmp_path.rglob("metrics.json")
    found: dict[str, dict[str, float]] = {}
    for score in json.loads(metrics.read_text())["scores"]:
        found.setdefault(f"{score['probe']} on {score['features']}", {})[score["metric"]] = score["value"]
    return found


def test_the_embedded_recipe_beats_its_untrained_encoder(tmp_path: Path) -> None:
    scores = trained(tmp_path, "simclr-gait", "train.epochs=15", "evaluate.lightgbm.rounds=20")
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
