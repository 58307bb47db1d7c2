"""A comparison made by hand, of three domains, with everything a real one may hold: gaps, ties, one seed, hostile names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sslplug.reporting.comparison import Cell, Comparison, Entry, Pair, Prediction, Ranking, Verdict, Word
from sslplug.reporting.table import ControlRow, TableRow
from sslplug.reporting.tensorboard import write_projector

OBJECTIVES = ("infonce", "vicreg", "barlow", "mse")
DOMAINS = (("graph", "digits", "digit"), ("tabular", "adult", "income"), ("wearable", "har", "activity"))

Make = Callable[..., Comparison]


@pytest.fixture
def make_comparison(tmp_path: Path) -> Make:
    """Makes a comparison whose run folders lie below ``tmp_path/runs``; with projector files in an entry's first where asked."""

    def make(
        objectives: tuple[str, ...] = OBJECTIVES,
        domains: tuple[tuple[str, str, str], ...] = DOMAINS,
        projector: bool = False,
    ) -> Comparison:
        made = comparison(tmp_path / "runs", objectives, domains)
        for one in made.entries if projector else ():
            project(one)
        return made

    return make


def comparison(root: Path, objectives: tuple[str, ...], domains: tuple[tuple[str, str, str], ...]) -> Comparison:
    rng = np.random.default_rng(5)
    entries, cells, verdicts, predictions = [], [], [], []
    for plugin, data, task in domains:
        trees = float(rng.uniform(0.6, 0.9))
        for number, objective in enumerate(objectives):
            if plugin == "tabular" and number == 1:
                continue  # a hole in the heat map
            found = entry(
                root, plugin, data, task, objective, trees, float(rng.uniform(0.5, 0.95)), seeds=1 if number == 2 else 3
            )
            entries.append(found)
            full = next(row for row in found.rows if row.fraction == 1.0)
            untrained = next(one.mean for one in full.controls if one.name.endswith("untrained"))
            known = number != 3 or plugin != "wearable"
            cells.append(
                Cell(
                    f"{plugin}/{data}/{task}", found.name, "accuracy", True, full.mean, full.low, full.high, full.n,
                    untrained, trees, 0.95, (full.mean - untrained) / (0.95 - untrained) if known else None,
                    (1 if full.mean > trees else -1) if number != 2 else None, "" if known else "the gap is nil",
                )
            )  # fmt: skip
        mine = [cell for cell in cells if cell.task == f"{plugin}/{data}/{task}"]
        best = max(mine, key=lambda cell: cell.mean)
        word: Word = "helps" if best.outcome == 1 else "does not help" if best.outcome == -1 else "cannot be told"
        sentence = f"{best.task}: pretraining {word} with {best.entry} <b>&amp; so on</b>; try more labels."
        verdicts.append(
            Verdict(
                best.task,
                best.entry,
                word,
                best.mean - trees,
                0.1 if word == "helps" else None,
                12.5,
                sentence,
                best.mean - trees - 0.01,
                best.mean - trees + 0.01,
                "lightgbm on raw",
            )
        )
        points = tuple((cell.entry, float(rng.uniform(5, 60)), cell.share) for cell in mine if cell.share is not None)
        predictions.append(Prediction("rankme", best.task, points, 0.33, 0.5))
        predictions.append(Prediction("std", best.task, points, None, None, "all values are equal"))
    models = (*objectives, "LightGBM raw")
    ranks = tuple(1.2 + 0.9 * number for number in range(len(models)))
    pairs = (
        Pair(models[0], models[1], 3, 2, 0, 1, 0.5, 0.25, 0.75),
        Pair(models[0], models[-1], 0, 0, 0, 0, note="no task in common"),
    )
    named = tuple(f"{p}/{d}/{t}" for p, d, t in domains)
    ranking = Ranking(models, ranks, named, 0.21, 2.4, (models[:3], models[2:]), pairs=pairs)
    return Comparison(
        tuple(entries),
        tuple(cells),
        ranking,
        tuple(verdicts),
        tuple(predictions),
        {one.name: (1, 0, 0) if number % 2 else (0, 1, 0) for number, one in enumerate(entries)},
        (f"{root / 'graph/broken/1'}: left out, it was not judged.",),
    )


def project(one: Entry) -> None:
    rng = np.random.default_rng(len(one.name))
    centres = rng.normal(size=(3, 8)) * 4
    kinds = rng.integers(3, size=60)
    labels = [f"{one.rows[0].task} {kind}" for kind in kinds]
    write_projector(one.runs[0], centres[kinds] + rng.normal(size=(60, 8)), labels, 10)


def entry(root: Path, plugin: str, data: str, task: str, objective: str, trees: float, height: float, seeds: int) -> Entry:
    name = f"{plugin}/default-{data} (objective={objective})"
    folders = tuple(root / plugin / f"default-{data}" / f"{objective}-{seed}" for seed in range(seeds))
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(f"plugin: {plugin}\n")
    rows = []
    for fraction in (0.01, 0.1, 1.0):
        gain = 0.15 * (1 + np.log10(fraction) / 2)
        mean, bar = height - 0.15 + gain, trees - 0.3 + 2 * gain
        spread = 0.02 if seeds > 1 else None
        controls = (
            ControlRow(
                "logistic on untrained", mean - 0.1, _low(mean - 0.1, spread), _high(mean - 0.1, spread), seeds,
                0.1, 0.08, 0.12, 0.001,
            ),
            ControlRow(
                "lightgbm on raw", bar, _low(bar, spread), _high(bar, spread), seeds, mean - bar, None, None, None,
                "one seed is not tested" if seeds == 1 else "",
            ),
        )  # fmt: skip
        for probe, metric, primary in (("logistic", "accuracy", True), ("logistic", "macro_f1", False)):
            rows.append(
                TableRow(
                    task, "given", probe, metric, fraction, True, mean, _low(mean, spread), _high(mean, spread), seeds,
                    controls, 0.9 if primary and fraction == 1.0 else None, "", primary,
                )
            )  # fmt: skip
    command = f"sslplug train --plugin {plugin} --set objective={objective} --seeds {seeds} --set 'data.note=a<b'"
    return Entry(
        name, plugin, f"default-{data}", data, "crops", "mlp", "joint" if objective else "latent", objective,
        tuple(range(seeds)), folders, command, "0f" * 32, tuple(rows), 12.5, 3.25, {"rankme": 17.5, "std": 0.8},
        "Collapsed: std 0.01" if objective == "barlow" and plugin == "graph" else "",
    )  # fmt: skip


def _low(mean: float, spread: float | None) -> float | None:
    return None if spread is None else mean - spread


def _high(mean: float, spread: float | None) -> float | None:
    return None if spread is None else mean + spread
