"""The toy plugin through the command line: small settings, one judged pair of runs for all tests that only read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sslplug.cli import run
from sslplug.evaluation import Score
from sslplug.recipe_yaml import write_yaml
from sslplug.reporting.runfolder import create_run, write_environment, write_json, write_text
from tests.stages.made_runs import MakeRun

SMALL = (
    "data.rows=160", "data.splits=2", "encoder.hidden=16", "encoder.width=8", "method.projector.widths=[16, 8]",
    "train.batch_size=40", "train.epochs=3", "train.log_every=2", "optim.lr=0.003",
    "evaluate.lightgbm.rounds=15", "evaluate.lightgbm.num_threads=1",
)  # fmt: skip


@pytest.fixture(scope="session")
def toy_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The toy plugin announced for the whole session's runs, here and in child processes."""
    site = tmp_path_factory.mktemp("site")
    info = site / "sslplug_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sslplug-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslplug.plugins]\ntoy = sslplug.testing.toy:TOY\n")
    yield site


@pytest.fixture
def toy(toy_site: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Discovery finds the toy plugin."""
    announce(toy_site, monkeypatch)
    return "toy"


def announce(site: Path, patch: pytest.MonkeyPatch) -> None:
    patch.syspath_prepend(str(site))
    root = Path(__file__).parents[2]
    paths = [str(site), str(root), str(root / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    patch.setenv("PYTHONPATH", os.pathsep.join(paths))
    patch.setenv("OMP_NUM_THREADS", "1")


def words(*overrides: str, runs: Path, options: tuple[str, ...] = ()) -> list[str]:
    """The command line of a small training; later overrides win."""
    sets = [part for override in (*SMALL, *overrides) for part in ("--set", override)]
    return ["train", "--plugin", "toy", "--runs", str(runs), "--device", "cpu", *options, *sets]


@pytest.fixture(scope="session")
def judged(toy_site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of two seeds, trained and judged with two label fractions and fine-tuning. Only to be read: copy to change."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        announce(toy_site, patch)
        more = ("evaluate.fractions=[0.5, 1.0]", "evaluate.finetune.epochs=3")
        assert run(words(*more, runs=runs, options=("--seeds", "2"))) == 0
    first, second = sorted((file.parent for file in runs.rglob("metrics.json")), key=_seed)
    return first, second


FURTHER = (
    "data.further=true", "data.rows=96", "data.splits=1", "train.epochs=2", "evaluate.lightgbm.rounds=5",
    "evaluate.ranking={rounds: 5, min_child_samples: 5, shrink: [10.0, 0.0]}", "evaluate.finetune.epochs=1",
    "evaluate.published={same-cluster: 0.7, same-cluster/recall@5: 0.1}",
)  # fmt: skip


@pytest.fixture(scope="session")
def ranked(toy_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run whose data also asks to rank and to measure, judged. Only to be read."""
    runs = tmp_path_factory.mktemp("ranked")
    with pytest.MonkeyPatch.context() as patch:
        announce(toy_site, patch)
        assert run(words(*FURTHER, runs=runs)) == 0
    return next(runs.rglob("metrics.json")).parent


def _seed(folder: Path) -> int:
    found = re.search(r"^seed: (\d+)$", (folder / "recipe.yaml").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a judged run as the stages would, of a plugin that need not exist."""

    def make(scores: list[Score], seed: int = 0, name: str = "first", plugin: str = "none", **changes: Any) -> Path:
        """``changes``: sections of the recipe, and ``metrics``."""
        folder = create_run(tmp_path / "runs", plugin, name)
        metrics = changes.pop("metrics", {})
        recipe = {
            "plugin": plugin, "name": name, "about": "", "seed": seed, "data": {"name": "rows"}, "views": {"name": "crops"},
            "encoder": {"name": "mlp", "width": 8}, "method": {"name": "joint"}, "objective": {"name": "infonce"},
            "evaluate": {"published": {}}, **changes,
        }  # fmt: skip
        write_text(folder / "recipe.yaml", write_yaml({key: value for key, value in recipe.items() if value is not None}))
        write_environment(folder)
        content = {
            "format": 1, "finished": True, "seed": seed, "steps": 10, "training_seconds": 2.0, "evaluation_seconds": 1.0,
            "collapsed": None, "data": {"name": "rows", "sha256": "0" * 64}, "diagnostics": {"diag/rankme": 5.0 + seed},
            "scores": [asdict(score) for score in scores],
        }  # fmt: skip
        write_json(folder / "metrics.json", content | metrics)
        return folder

    return make
