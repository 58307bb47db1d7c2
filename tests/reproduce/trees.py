"""The bar that pretraining must pass on tables: LightGBM on raw features, by the fixed budget and tuned on validation rows.

    python tests/reproduce/trees.py california --trials 50        (needs SSLPLUG_DATA)

The same code judges every run as its control; here it is alone, so that many trials cost minutes. Test rows are scored once by
the fixed budget and once by the tuned trees.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from sslplug.contracts import DataContext, Task
from sslplug.evaluation.metrics import measure
from sslplug.evaluation.probe import take
from sslplug.evaluation.trees import LightGbm, LightGbmOptions
from sslplug_tabular.plugin import PLUGIN


def main() -> None:
    """Prints a line a budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=sorted(PLUGIN.data))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    root = os.environ.get("SSLPLUG_DATA")
    for name in given.data:
        component = PLUGIN.data[name]
        with tempfile.TemporaryDirectory() as cache:
            context = DataContext(Path(root) if root else None, Path(cache), given.seed)
            data = component.build(component.options(), context)
        task = next(task for task in data.tasks.values() if isinstance(task, Task))
        raw, split = data.raw_features(task), task.splits[0]
        for options in (LightGbmOptions(), LightGbmOptions(tune=given.trials)):
            began = time.perf_counter()
            labels = task.labels
            fitted = LightGbm(options).fit(
                take(raw, split.train), labels[split.train], take(raw, split.val), labels[split.val], task.kind, given.seed
            )
            found = measure(task.kind, labels[split.test], fitted(take(raw, split.test)))
            told = ", ".join(f"{metric} {value:.4f}" for metric, value in found.items())
            words = f"{options.tune} random settings" if options.tune else "fixed budget"
            print(f"{name}, seed {given.seed}, {words}: {told} ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
