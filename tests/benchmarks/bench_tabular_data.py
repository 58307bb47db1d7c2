"""Streaming a Parquet file that does not fit: peak memory and rows a second of the statistics pass and of an epoch.

    python tests/benchmarks/bench_tabular_data.py [--rows 10000000] [--columns 100] [--group 131072] [--steps 0] [--threads 2]

A generated file (a tenth of the columns words, one in ten of those cells missing; the rest float32; a target) is written by one
process into a temporary folder and read by another, whose peak memory is its own. Two scalers; for each: the pass that fits
statistics, an epoch of batches alone, and an epoch in which a small network (columns-256-256-columns, reconstruction, Adam)
trains on every batch of 1024. ``--steps`` ends each epoch early. Memory counts everything: Python, torch, file buffers.
On a busy machine, CPU seconds tell more than seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

BATCH = 1024


def write(path: Path, rows: int, columns: int, group: int) -> None:
    """The generated file."""
    generator = np.random.default_rng(0)
    words = pa.array([f"w{number}" for number in range(50)])
    texts = columns // 10
    writer = None
    for start in range(0, rows, group):
        count = min(group, rows - start)
        table = {f"n{c}": generator.standard_normal(count, dtype=np.float32) for c in range(columns - texts)}
        for c in range(texts):
            codes = pa.array(generator.integers(50, size=count), pa.int32(), mask=generator.random(count) < 0.1)
            table[f"w{c}"] = pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())
        table["y"] = (table["n0"] > 0).astype(np.int64) ^ (generator.random(count) < 0.2)
        made = pa.table(table)
        if writer is None:
            writer = parquet.ParquetWriter(path, made.schema, use_dictionary=[f"w{c}" for c in range(texts)])
        writer.write_table(made, row_group_size=group)
    if writer is not None:
        writer.close()


def read(path: Path, scaler: str, steps: int, threads: int) -> dict[str, float]:
    """Rows a second, and the peak memory in MiB after each stage."""
    import torch

    from sslplug.contracts import DataContext, Order
    from sslplug_tabular.data import DATA

    torch.set_num_threads(threads)
    pa.set_cpu_count(threads)
    pa.set_io_thread_count(threads)

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    found = {"start MiB": peak()}
    began, worked = time.perf_counter(), time.process_time()
    component = DATA["files"]
    options = component.options(path=path, target="y", stream=True, scaler=scaler)
    data = component.build(options, DataContext(None, path.parent, 0))
    found |= {"fit s": time.perf_counter() - began, "fit CPU s": time.process_time() - worked, "fit MiB": peak()}

    def epoch(what: str, number: int, network: torch.nn.Module | None) -> dict[str, float]:
        optimiser = None if network is None else torch.optim.Adam(network.parameters())
        batches, seen = data.batches(Order(0, number, batch_size=BATCH)), 0
        start, work = time.perf_counter(), time.process_time()
        for step in range(min(steps or len(batches), len(batches))):
            batch = batches[step]
            seen += batch.n
            if network is not None and optimiser is not None:
                optimiser.zero_grad()
                (network(batch.numeric) - batch.numeric).square().mean().backward()
                optimiser.step()
        rates = {"rows/s": seen / (time.perf_counter() - start), "rows/CPU s": seen / (time.process_time() - work)}
        return {f"{what} {name}": rate for name, rate in rates.items()} | {f"{what} MiB": peak()}

    width = len(data.spec.numeric)
    found |= epoch("load", 0, None)
    network = torch.nn.Sequential(
        torch.nn.Linear(width, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, width)
    )
    return found | epoch("train", 1, network)


def main() -> None:
    """Print a line for each scaler."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--group", type=int, default=131_072)
    parser.add_argument("--steps", type=int, default=0, help="of each epoch; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scalers", nargs="+", default=["quantile-normal", "standard"])
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.cell is not None:
        if chosen.cell[1] == "write":
            write(Path(chosen.cell[0]), chosen.rows, chosen.columns, chosen.group)
        else:
            print(json.dumps(read(Path(chosen.cell[0]), chosen.cell[1], chosen.steps, chosen.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        for what in ("write", *chosen.scalers):
            command = [sys.executable, __file__, *sys.argv[1:], "--cell", str(path), what]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            if what == "write":
                print(f"{chosen.rows} rows x {chosen.columns} columns, {path.stat().st_size / 2**20:.0f} MiB", flush=True)
                continue
            shown = ", ".join(f"{name} {value:.1f}" for name, value in json.loads(done.stdout).items())
            print(f"{what}: {shown}", flush=True)


if __name__ == "__main__":
    main()
