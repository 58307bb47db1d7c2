"""How GRACE-style training grows with the graph: seconds per epoch and peak memory, full batch and neighbour-sampled.

    python tests/benchmarks/bench_graph_scale.py [--sizes 1000 10000 100000 1000000] [--limit 300] [--threads 2]

Generated graphs: average degree 10, 128 dense features. GCN 128-128 on two GRACE views with the CCA-SSG objective, which is
linear in the nodes. Sampled: 1024 seeds a step, 10 and 5 neighbours; an epoch visits every node once as a seed, and is measured
over at most 20 steps and scaled. Embed: the frozen encoder on the whole graph, all rows of a layer at once or 4096 at a time
(``data.inference_piece``). Each cell runs in a fresh process, with a time limit; what takes longer is printed as such.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

FEATURES, DEGREE, SEEDS, STEPS, PIECE = 128, 10, 1024, 20, 4096
KINDS = ("full", "sampled", "embed", "embed in pieces")


def measure(nodes: int, kind: str, threads: int) -> dict[str, float]:
    """Seconds per epoch, or per pass of the frozen encoder, and the growth of peak memory in MiB over the stored graph."""
    from sslplug.contracts import View
    from sslplug.objectives import OBJECTIVES
    from sslplug.randomness import Rng
    from sslplug_graph.batch import Features, GraphBatch
    from sslplug_graph.encoders import ENCODERS
    from sslplug_graph.sampler import NeighbourSampler
    from sslplug_graph.spec import GraphSpec
    from sslplug_graph.views import VIEWS

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pairs = torch.randint(nodes, (2, nodes * DEGREE // 2))
    edges, x = torch.cat([pairs, pairs.flip(0)], 1), torch.randn(nodes, FEATURES)
    zeros = torch.zeros(nodes, dtype=torch.int64)
    whole = GraphBatch(Features(x), edges, nodes, zeros, 1, torch.arange(nodes), zeros[:1])
    by_target = whole.structure.by_target
    spec = GraphSpec(FEATURES, nodes, edges.shape[1], 1, "node", False, kind == "sampled")
    views = VIEWS["grace"].build(VIEWS["grace"].options(), spec)
    encoder = ENCODERS["gcn"].build(ENCODERS["gcn"].options(widths=[128, 128]), spec)
    objective = OBJECTIVES["cca_ssg"].build(OBJECTIVES["cca_ssg"].options(), 128)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    sampler = NeighbourSampler(by_target.indptr, by_target.indices, [10, 5])

    def step(batch: GraphBatch, rng: Rng) -> None:
        optimiser.zero_grad()
        sum(objective([encoder(view)["node"] for view in views(batch, rng)]).values()).backward()
        optimiser.step()

    def part(seeds: torch.Tensor, rng: Rng) -> GraphBatch:
        near, index = sampler(seeds, rng)
        zero = torch.zeros(len(near), dtype=torch.int64)
        return GraphBatch(Features(x[near]), index, len(near), zero, 1, near, zero[:1], seeds=len(seeds))

    sampled, started = kind == "sampled", time.perf_counter()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind.startswith("embed"):
        view = View(replace(whole, piece=PIECE if kind == "embed in pieces" else None))
        with torch.no_grad():
            encoder.eval()(view)
        seconds = time.perf_counter() - started
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
        return {"seconds": seconds, "peak": peak, "per_node": seconds / nodes * 1e6}
    order = torch.randperm(nodes).split(SEEDS)
    timed = order[:STEPS] if sampled else order[:1] * 3
    elapsed = []
    for number, seeds in enumerate([order[0], *timed]):  # the first warms up
        start, rng = time.perf_counter(), Rng.root(number)
        step(part(seeds, rng) if sampled else whole, rng)
        elapsed.append(time.perf_counter() - start)
    seconds = sum(elapsed[1:]) / len(timed) * (len(order) if sampled else 1)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    return {"seconds": seconds, "peak": peak, "per_node": seconds / nodes * 1e6}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cell:
        print(json.dumps(measure(int(chosen.cell[0]), chosen.cell[1], chosen.threads)))
        return
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "plugins")])}
    print(
        "| nodes | batch | seconds per epoch or pass | microseconds per node | peak memory beside the graph, MiB |\n|--:|---|--:|--:|--:|"
    )
    for nodes in chosen.sizes:
        for kind in KINDS:
            command = [sys.executable, __file__, "--threads", str(chosen.threads), "--cell", str(nodes), kind]
            try:
                done = subprocess.run(
                    command, env=environment, timeout=chosen.limit, capture_output=True, text=True, check=True
                )
            except subprocess.TimeoutExpired:
                print(f"| {nodes:,} | {kind} | over the limit of {chosen.limit:.0f} s | | |", flush=True)
                continue
            cell = json.loads(done.stdout)
            print(
                f"| {nodes:,} | {kind} | {cell['seconds']:.3f} | {cell['per_node']:.1f} | {cell['peak']:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
