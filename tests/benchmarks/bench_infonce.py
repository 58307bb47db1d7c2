"""Dense cross-entropy beside the tiled InfoNCE: seconds and peak extra memory of forward and backward, taking turns in one run.

    python tests/benchmarks/bench_infonce.py --rows 16384

Every measurement is a fresh process, so that one's memory does not hide the other's, and the two take turns, so that a busy
machine is busy for both. "Extra" is the peak resident size of the process minus its size just before, with inputs made and
libraries warm; the inputs' gradients (8 MiB at 16384 rows) are in it. Two views of rows/2 each, width 128, all other rows of
both views as negatives, float32, temperature 0.5.
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
    """Median wall and processor seconds of one forward and backward in this process, and its peak extra MiB."""
    loss = dense if arm == "dense" else tiled(tile)
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(rows // 2, width, generator=generator).requires_grad_() for _ in range(2)]
    small = [view.detach()[:64].clone().requires_grad_() for view in views]
    loss(*small).backward()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    wall, processor, value = [], [], 0.0
    for _ in range(repeats):
        for view in views:
            view.grad = None
        start, used = time.perf_counter(), time.process_time()
        result = loss(*views)
        result.backward()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
        value = float(result.detach())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "wall": statistics.median(wall),
        "processor": statistics.median(processor),
        "mib": (peak - before) / 2**20,
        "value": value,
        "grad": float(views[0].grad.double().norm()),
    }


def main() -> None:
    """Prints the table; ``--arm`` is how it calls itself for one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each kind")
    parser.add_argument("--repeats", type=int, default=3, help="forward and backward passes in each process")
    parser.add_argument("--tile", type=int, default=None)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--skip-dense", action="store_true", help="dense takes several copies of a rows x rows matrix")
    parser.add_argument("--arm", choices=["dense", "tiled"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.arm:
        print(json.dumps(measure(given.arm, given.rows, given.width, given.repeats, given.tile)))
        return
    arms = ["tiled"] if given.skip_dense else ["dense", "tiled"]
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for _ in range(given.rounds):
        for arm in arms:
            done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--arm", arm], capture_output=True, text=True)
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:]
                raise SystemExit(f"{arm} ended with {done.returncode}: {last[0] if last else 'killed, perhaps for memory'}")
            found[arm].append(json.loads(done.stdout))
    print(f"rows {given.rows}, width {given.width}, float32, {given.threads} threads, torch {torch.__version__}\n")
    print("| | seconds, median | fastest | processor seconds | extra memory, MiB | loss | gradient norm |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for arm, rounds in found.items():
        wall = [one["wall"] for one in rounds]
        print(
            f"| {arm} | {statistics.median(wall):.4f} | {min(wall):.4f} "
            f"| {statistics.median(one['processor'] for one in rounds):.4f} | {max(one['mib'] for one in rounds):.1f} "
            f"| {rounds[0]['value']:.7f} | {rounds[0]['grad']:.6e} |"
        )


if __name__ == "__main__":
    main()
