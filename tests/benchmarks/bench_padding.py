"""Share of padding in what is computed on batches of event sequences: whole batches, and groups of like length within them.

    python tests/benchmarks/bench_padding.py [--batches 32 64 128]

The recurrent encoder computes no padding at all. The transformer computes groups of like length within each batch; "whole batch"
is what a batch padded to its longest sequence would cost. Published sets need SSLPLUG_DATA and are left out without it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from sslplug.contracts import DataContext, Order
from sslplug_sequence.events.encoders.transformer import groups
from sslplug_sequence.events.plugin import PLUGIN


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    given = parser.parse_args()
    root = os.environ.get("SSLPLUG_DATA")
    names = ["shoppers", *(["stackoverflow", "physionet2012", "adfa_ld"] if root else [])]
    print("| data | batch | whole batch padded | as computed |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as cache:
        for name in names:
            component = PLUGIN.data[name]
            data = component.build(component.options(), DataContext(Path(root) if root else None, Path(cache), 0))
            for size in given.batches:
                events = whole = grouped = 0
                for batch in data.batches(Order(seed=0, epoch=0, batch_size=size)):
                    events += int(batch.lengths.sum())
                    whole += int(batch.lengths.max()) * len(batch.lengths)
                    grouped += sum(int(batch.lengths[group].max()) * len(group) for group in groups(batch.lengths))
                print(f"| {name} | {size} | {1 - events / whole:.1%} | {1 - events / grouped:.1%} |")


if __name__ == "__main__":
    main()
