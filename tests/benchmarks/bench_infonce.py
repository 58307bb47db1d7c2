"""Dense cross-entropy beside the tiled InfoNCE: seconds and peak extra memory of forward and backward, in one run.

    python tests/benchmarks/bench_infonce.py --rows 16384

Every measurement is a fresh process, so that one's memory does not hide the other's. "Extra" is the peak resident size of
the process minus its size just before, with inputs made and libraries warm. Two views of rows/2 each, width 128, all other
rows of both views as negatives, float32, temperature 0.5.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sslplug.objectives import OBJECTIVES

TEMPERATURE = 0.5


def dense(a: Tensor, b: Tensor) -> Tensor:
    """NT-Xent as a cross-entropy over the whole matrix."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.t() / TEMPERATURE
    logits.fill_diagonal_(-torch.inf)
    n = len(a)
    return F.cross_entropy(logits, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def tiled(tile: int | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The objective as a recipe builds it."""
    component = OBJECTIVES["infonce"]
    given = {} if tile is None else {"tile": tile}
    objective = component.build(component.options(temperature=TEMPERATURE, **given), 128)
    return lambda a, b: objective([a, b])["infonce"]


def measure(arm: str, rows: int, width: int, repeats: int, tile: int | None) -> dict[str, float]:
    """Median seconds and peak extra MiB of forward and backward in this process."""
    loss = dense if arm == "dense" else tiled(tile)
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(rows // 2, width, generator=generator).requires_grad_() for _ in range(2)]
    small = [view.detach()[:64].clone().requires_grad_() for view in views]
    loss(*small).backward()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    seconds = []
    value = 0.0
    for _ in range(repeats):
        for view in views:
            view.grad = None
        start = time.perf_counter()
        result = loss(*views)
        result.backward()
        seconds.append(time.perf_counter() - start)
        value = float(result.detach())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gradient = float(views[0].grad.double().norm())
    return {
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "mib": (peak - before) / 2**20,
        "value": value,
        "grad": gradient,
    }


def main() -> None:
    """Prints the table; ``--arm`` is how it calls itself for one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dense-repeats", type=int, default=3)
    parser.add_argument("--tile", type=int, default=None)
    parser.add_argument("--skip-dense", action="store_true")
    parser.add_argument("--arm", choices=["dense", "tiled"])
    given = parser.parse_args()
    if given.arm:
        repeats = given.dense_repeats if given.arm == "dense" else given.repeats
        print(json.dumps(measure(given.arm, given.rows, given.width, repeats, given.tile)))
        return
    print(f"rows {given.rows}, width {given.width}, float32, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'arm':8} {'median s':>9} {'fastest s':>10} {'extra MiB':>10} {'loss':>12} {'|grad|':>12}")
    results = {}
    for arm in ["tiled"] if given.skip_dense else ["dense", "tiled"]:
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--arm", arm], capture_output=True, text=True)
        if done.returncode:
            print(f"{arm:8} failed (exit {done.returncode}): {done.stderr.strip().splitlines()[-1:]}")
            continue
        one = results[arm] = json.loads(done.stdout)
        print(
            f"{arm:8} {one['seconds']:9.3f} {one['fastest']:10.3f} {one['mib']:10.1f} {one['value']:12.8f} "
            f"{one['grad']:12.5e}"
        )
    if len(results) == 2:
        time_share = results["tiled"]["seconds"] / results["dense"]["seconds"]
        print(f"tiled / dense: time {time_share:.3f}, memory 1/{results['dense']['mib'] / results['tiled']['mib']:.0f}")


if __name__ == "__main__":
    main()
