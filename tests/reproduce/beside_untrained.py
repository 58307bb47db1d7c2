"""Is a gain of LightGBM on raw features *and* embeddings due to pretraining? The same with the untrained encoder's embeddings.

    python tests/reproduce/beside_untrained.py RUNS        (RUNS: run folders of several seeds, or their folder)

By share of the labels: the mean over seeds on raw features alone, beside the untrained and beside the trained encoder's
embeddings, and the paired differences of the last two with 95 % t intervals over seeds; a seed's splits are averaged.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from sslplug.evaluation import EvaluateOptions, Score, embed, judge
from sslplug.evaluation.statistics import interval
from sslplug.evaluation.trees import LightGbm
from sslplug.reporting.runfolder import read_metrics
from sslplug.stages.session import data_context, open_session, recipe_of_run
from sslplug.training.device import repeatable

Scores = dict[tuple[str, float], dict[int, list[float]]]
"""{(task, share of the labels): {seed: LightGBM's primary metric, split by split}}"""


def main() -> None:
    """Prints a table a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    folders = sorted(
        {recipe.parent for given in parser.parse_args().runs for recipe in given.rglob("recipe.yaml")},
    )
    told: dict[str, Scores] = {name: defaultdict(lambda: defaultdict(list)) for name in ("raw", "untrained", "pretrained")}
    for folder in folders:
        seed = int(read_metrics(folder)["seed"])
        first = {row["task"]: row["metric"] for row in reversed(read_metrics(folder)["scores"])}
        for row in read_metrics(folder)["scores"]:
            if row["probe"] == "lightgbm" and row["metric"] == first[row["task"]] and row["features"] in ("raw", "both"):
                name = "raw" if row["features"] == "raw" else "pretrained"
                told[name][row["task"], row["fraction"]][seed].append(row["value"])
        for score in _untrained(folder):
            if score.probe == "lightgbm" and score.features == "both" and score.metric == first[score.task]:
                told["untrained"][score.task, score.fraction][seed].append(score.value)
    for key, trained in told["pretrained"].items():
        seeds = sorted(trained)
        values = {name: np.array([np.mean(scores[key][seed]) for seed in seeds]) for name, scores in told.items()}
        means = ", ".join(f"{name} {value.mean():.4f}" for name, value in values.items())
        gains = ", ".join(f"minus {name} {_told(values['pretrained'] - values[name])}" for name in ("raw", "untrained"))
        print(f"{key[0]}, {100 * key[1]:g} % of the labels, seeds {seeds}: {means}; pretrained {gains}", flush=True)


def _untrained(folder: Path) -> list[Score]:
    resolved, schema = recipe_of_run(folder, [])
    session = open_session(resolved, schema, data_context(None, resolved.seed, False), torch.device("cpu"))
    options = resolved.sections["evaluate"]
    assert isinstance(options, EvaluateOptions)
    data = session.composed.data
    with repeatable(session.device):
        stand_in = {"pretrained": embed(session.composed.new_encoder(), data.rows(), session.device)}
        return judge(
            list(session.composed.tasks.values()), stand_in, data.raw_features, [], LightGbm(options.lightgbm), options,
            resolved.seed, lambda _: None,
        )  # fmt: skip


def _told(differences: np.ndarray) -> str:
    found = interval(differences)
    return f"{found.mean:+.4f}" if found.low is None else f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


if __name__ == "__main__":
    main()
