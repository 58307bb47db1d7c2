"""Labels in training and in judging: shuffled ones give chance, and a split that trained is the only one judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from sslplug.build import build_data, compose
from sslplug.cli import run
from sslplug.stages.session import data_context, recipe_of_run
from sslplug.testing import toy_data

SMALL = (
    "data.rows=480", "data.splits=1", "encoder.hidden=16", "encoder.width=8", "train.batch_size=120", "train.epochs=4",
    "evaluate.lightgbm.rounds=15", "evaluate.lightgbm.num_threads=1",
)  # fmt: skip


def train(runs: Path, *overrides: str) -> dict[str, Any]:
    sets = [part for override in (*SMALL, *overrides) for part in ("--set", override)]
    assert run(["train", "--plugin", "toy", "--runs", str(runs), "--device", "cpu", *sets]) == 0
    (file,) = runs.rglob("metrics.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_shuffled_labels_land_at_chance(toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """440 test rows, 4 classes of equal size: every probe and control stays within the binomial interval of 1/4."""
    make = toy_data.Clusters._task

    def shuffled(options: toy_data.ClustersOptions, classes: np.ndarray, generator: np.random.Generator) -> toy_data.Task:
        return make(options, np.random.default_rng(0).permutation(classes), generator)

    monkeypatch.setattr(toy_data.Clusters, "_task", staticmethod(shuffled))
    rows = [row for row in train(tmp_path, "evaluate.finetune.epochs=20")["scores"] if row["metric"] == "accuracy"]
    assert len(rows) == 7
    low, high = binom.interval(1 - 1e-4 / len(rows), 440, 0.25)
    for row in rows:
        assert low / 440 <= row["value"] <= high / 440, (row["probe"], row["features"])


def test_true_labels_land_above_chance(toy: str, tmp_path: Path) -> None:
    """The interval of the shuffled control is no empty promise: with true labels the same pipeline leaves it."""
    rows = train(tmp_path, "data.signal=2.0", "evaluate.finetune.epochs=20", "evaluate.finetune.lr=0.01")["scores"]
    _, high = binom.interval(1 - 1e-4 / 7, 440, 0.25)
    for row in rows:
        if row["metric"] == "accuracy":
            assert row["value"] > high / 440, (row["probe"], row["features"])


def test_a_task_that_trains_is_judged_on_its_own_split_alone(toy: str, tmp_path: Path) -> None:
    supervised = (
        "data.splits=3", "train.labels=cluster", "train.split=2", "views=identity", "objective=cross_entropy",
        'method={"name": "pretext", "targets": ["label"]}', "train.epochs=1",
    )  # fmt: skip
    found = train(tmp_path, *supervised)
    assert {row["split"] for row in found["scores"]} == {0}, "one split is left"
    assert {(row["train"], row["test"]) for row in found["scores"]} == {(20, 440)}
    (recipe,) = tmp_path.rglob("recipe.yaml")
    resolved, schema = recipe_of_run(recipe.parent, [])
    data = build_data(resolved, data_context(None, 0, False))
    composed = compose(resolved, schema, data, torch.device("cpu"))
    third = data.tasks["cluster"].splits[2]
    (judged,) = composed.tasks["cluster"].splits
    np.testing.assert_array_equal(judged.train, third.train)
    np.testing.assert_array_equal(judged.test, third.test)
    batches = composed.batches_of(0)
    batches = [batches[number] for number in range(len(batches))]
    given = np.concatenate([batch.numbers[batch.labels >= 0].numpy() for batch in batches])
    np.testing.assert_array_equal(np.sort(given), np.sort(third.train))
