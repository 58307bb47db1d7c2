"""What the error memory is worth on a stream: base model, memory, incremental training, and both.

    python tests/benchmarks/bench_reloop.py drift|still|ml-100k [--seeds 3] [--data-root DIR]

The oldest 60 % of the impressions train the base model. The next 10 % are replayed to choose the memory's strength, gamma and bits,
and whether incremental training helps is not chosen but shown. The newest 30 % are replayed once, in ten slots, with empty memories.
Prints gAUC and AUC of the test replay, mean over the seeds, and the paired difference to the base model with its standard error.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import torch

from sslplug.contracts import DataContext
from sslplug.randomness import Rng
from sslplug_recsys.reloop import (
    Blend,
    ClickModel,
    ClickOptions,
    Clicks,
    DriftOptions,
    ErrorMemory,
    drifting_clicks,
    movielens_clicks,
    replay,
    report,
    train_clicks,
)
from sslplug_recsys.reloop.click_model import incremental
from sslplug_recsys.reloop.metrics import grouped_auc

TABLES = 20
STRENGTHS, DIRECT, BITS = (0.2, 0.4, 0.6, 0.9), (0.0, 0.5, 1.0), (6, 9, 12)


def stream(name: str, seed: int, root: Path | None) -> Clicks:
    """The named stream."""
    if name == "ml-100k":
        return movielens_clicks(DataContext(root, Path(tempfile.gettempdir()), seed))
    return drifting_clicks(DriftOptions(moving=0.5 if name == "drift" else 0.0), Rng.root(seed))


def one_seed(name: str, seed: int, root: Path | None, options: ClickOptions) -> dict[str, tuple[float, float]]:
    """{way: (gAUC, AUC)} of the test replay."""
    events = stream(name, seed, root)
    train, val, test = np.split(np.arange(len(events)), [round(0.6 * len(events)), round(0.7 * len(events))])
    rng = Rng.root(seed)
    model = ClickModel(options, events, rng)
    optimiser = train_clicks(model, events, train, options.epochs, rng)
    with torch.no_grad():
        _, keys = model(events.user[train], events.item[train])
    centre = keys.double().mean(0)

    def memory(bits: int) -> ErrorMemory:
        return ErrorMemory(keys.shape[1], TABLES, bits, rng, centre)

    found = {}
    for strength, direct, bits in product(STRENGTHS, DIRECT, BITS):
        outcome = replay(events, model, rows=val, memory=memory(bits), blend=Blend(strength, direct))
        found[strength, direct, bits] = grouped_auc(events.click[val], outcome.corrected, events.user[val])
    best = max(found, key=found.__getitem__)
    blend = Blend(*best[:2])
    frozen = copy.deepcopy(model)
    first = report(events, replay(events, model, rows=test, memory=memory(best[2]), blend=blend))
    score, learn = incremental(model, frozen, optimiser, rng)
    second = report(events, replay(events, score, rows=test, memory=memory(best[2]), blend=blend, learn=learn))
    print(
        f"  seed {seed}: {len(test)} test impressions; chosen strength {best[0]}, gamma {best[1]}, {best[2]} bits",
        flush=True,
    )
    ways = {
        "base": (first, "base"),
        "memory": (first, "corrected"),
        "incremental": (second, "base"),
        "both": (second, "corrected"),
    }
    return {way: (told[f"gauc/{which}"], told[f"auc/{which}"]) for way, (told, which) in ways.items()}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", choices=("drift", "still", "ml-100k"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("SSLPLUG_DATA"))
    chosen = parser.parse_args()
    root = None if chosen.data_root is None else Path(chosen.data_root)
    runs = [one_seed(chosen.stream, seed, root, ClickOptions()) for seed in range(chosen.seeds)]
    for way in runs[0]:
        values = np.array([run[way] for run in runs])
        less = values - np.array([run["base"] for run in runs])
        error = less.std(0, ddof=1) / len(runs) ** 0.5 if len(runs) > 1 else np.full(2, np.nan)
        print(
            f"{way:12s} gAUC {values[:, 0].mean():.4f} ({less[:, 0].mean():+.4f} +- {error[0]:.4f})   "
            f"AUC {values[:, 1].mean():.4f} ({less[:, 1].mean():+.4f} +- {error[1]:.4f})"
        )


if __name__ == "__main__":
    main()
