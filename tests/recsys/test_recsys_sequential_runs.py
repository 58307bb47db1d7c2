"""The sequential components keep every promise of a plugin, and their runs stop, resume and embed as they must."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sslplug.cli import run
from sslplug.discovery import recipes_of
from sslplug.testing.checks import Case, cases
from sslplug_recsys.plugin import PLUGIN
from sslplug_recsys.sequential import SEQUENTIAL_DATA, SEQUENTIAL_ENCODERS, SEQUENTIAL_VIEWS

SEQUENTIAL = replace(
    PLUGIN,
    data=SEQUENTIAL_DATA,
    views=SEQUENTIAL_VIEWS,
    encoders=SEQUENTIAL_ENCODERS,
    default_recipe="sasrec-tastes",
)
"""The plugin as one that has sequences alone: the kit builds all parts on the data of the default recipe."""

PROMISED = {
    f"{name}-{data}"
    for name in ("sasrec", "sasrec-bce", "cl4srec", "duorec", "iclrec", "s3rec")
    for data in ("tastes", "beauty")
}
NEXT = {"name": "next"}
WEIGHTED = "weighted_sum"
METHODS = {
    "next": {"name": "next-item"},
    "bce": {"name": "next-item", "loss": "bce"},
    "contrast": {
        "name": WEIGHTED,
        "parts": {
            "next": {"method": {"name": "next-item"}},
            "altered": {"views": {"name": "augmented"}, "method": {"name": "joint"}, "objective": {"name": "dot_contrast"}},
            "target": {"views": {"name": "same-target", "cut": True}, "method": {"name": "joint"}, "objective": {"name": "infonce"}},
        },
    },
    "intents": {
        "name": WEIGHTED,
        "parts": {
            "next": {"method": {"name": "next-item"}},
            "intents": {"views": {"name": "augmented"}, "method": {"name": "intents", "intents": 5, "rounds": 3}},
        },
    },
    "stages": {
        "name": "stages",
        "stages": {
            "pretrain": {"epochs": 1, "views": {"name": "hidden-parts"}, "method": {"name": "attributes"}},
            "tune": {"method": {"name": "next-item"}},
        },
    },
}  # fmt: skip


def sequential_cases() -> list[Case]:
    wanted = [case for case in cases(SEQUENTIAL) if not case.id.startswith("recipe/")]
    recipes = [case for case in cases(SEQUENTIAL) if case.id.split("/")[1] in PROMISED]
    return wanted + [case for case in recipes if case.id.startswith("recipe/")]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in sequential_cases()])
def test_conformance_of_sequences(case: Case) -> None:
    result = case.result()
    assert result.passed, result.sentence


def test_the_promised_sequential_recipes_are_there() -> None:
    assert set(recipes_of(PLUGIN)) >= PROMISED


def arguments(tmp_path: Path, method: str, evaluate: bool = False) -> list[str]:
    recipe = {
        "name": method, "about": "small", "plugin": "recsys",
        "data": {"name": "sequences-tastes", "users": 40, "items": 60, "interactions": 8.0}, "views": NEXT,
        "encoder": {"name": "sasrec", "width": 8, "hidden": 8, "layers": 1, "heads": 1}, "method": METHODS[method],
        "train": {"epochs": 2, "batch_size": 16, "checkpoint_every": 1, "keep": 20},
    }  # fmt: skip
    written = tmp_path / f"{method}.yaml"
    written.write_text(json.dumps(recipe))
    told = ["train", "--plugin", "recsys", "--recipe", str(written), "--runs", str(tmp_path), "--device", "cpu"]
    return told if evaluate else [*told, "--no-evaluate"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_stopped_and_resumed_sequences_end_with_the_same_bytes(tmp_path: Path, method: str) -> None:
    assert run(arguments(tmp_path, method)) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    points = sorted((folder / "checkpoints").glob("step-*"))
    last = {file.name: file.read_bytes() for file in points[-1].glob("*.safetensors")}
    # Resumed within the second epoch: prototypes and the stage must be there without a new epoch's beginning.
    kept = points[-2]
    for point in points:
        if point != kept:
            shutil.rmtree(point)
    assert run(["resume", str(folder), "--device", "cpu", "--no-evaluate"]) == 0
    again = sorted((folder / "checkpoints").glob("step-*"))
    assert again[-1].name == points[-1].name != kept.name
    assert {file.name: file.read_bytes() for file in again[-1].glob("*.safetensors")} == last


def test_a_run_is_judged_by_full_ranking(tmp_path: Path) -> None:
    assert run(arguments(tmp_path, "next", evaluate=True)) == 0
    (file,) = tmp_path.rglob("metrics.json")
    scores = json.loads(file.read_text())["scores"]
    told = {(score["probe"], score["features"], score["metric"]) for score in scores}
    for metric in ("ndcg@10", "hit@10", "ndcg@10/tail"):
        assert ("ranking", "pretrained", metric) in told
        assert ("ranking", "untrained", metric) in told
    assert ("lightgbm", "both", "ndcg@10") in told
