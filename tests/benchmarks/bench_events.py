"""CoLES, seconds per step and per epoch: sslplug, pytorch-lifestream and the plainest torch loop, taking turns in one run.

    python tests/benchmarks/bench_events.py [--ptls FOLDER] [--hidden 64] [--rounds 3] [--steps 16] [--threads 1]

FOLDER is where pytorch-lifestream lies, by default ``build/ptls``; without it that row is left out and the table says so. It is
installed beside the environment, so that nothing of the environment changes:

    pip install --no-deps --target build/ptls pytorch-lifestream pytorch-lightning lightning-utilities torchmetrics \\
        omegaconf hydra-core antlr4-python3-runtime==4.9.3 pymonad duckdb

(its ``transformers``, used by none of the parts measured here, is left out). Every contestant trains the same network on the same
generated clients: two categories (200 and 50 codes, 16 and 8 wide), one number, GRU, 64 clients a step with 5 slices of 25 to 200
events, margin 0.5, 5 hard negatives, Adam. A step is all of it: batch, slices, forward, loss, backward, optimiser. Each contestant
lives in a process of its own, and they take turns, so that a busy machine is busy for all of them; processor seconds are counted
beside wall seconds. The best round of each counts, the median is printed beside it.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import statistics
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLIENTS, BATCH, SLICES, SHORTEST, LONGEST = 2048, 64, 5, 25, 200
CODES, WIDTHS = (200, 50), (16, 8)
MARGIN, NEGATIVES = 0.5, 5
Step = Callable[[], None]


def clients() -> list[dict[str, np.ndarray]]:
    """Generated clients: times, two categories, an amount; lengths lognormal around 150, between 25 and 1000."""
    draw = np.random.default_rng(0)
    lengths = np.clip(np.exp(draw.normal(5.0, 0.6, CLIENTS)), SHORTEST, 1000).astype(int)
    return [
        {
            "event_time": np.sort(draw.uniform(0, 365, n)),
            "mcc": draw.integers(1, CODES[0], n),
            "kind": draw.integers(1, CODES[1], n),
            "amount": np.exp(draw.normal(3, 1, n)).astype(np.float32),
        }
        for n in lengths
    ]


def sslplug(hidden: int) -> Step:
    """The project's data, views, encoder, method and objective, built as a recipe is."""
    from sslplug.build import compose, schema_of
    from sslplug.contracts import DataContext, Progress
    from sslplug.randomness import Rng
    from sslplug.recipe import resolve
    from sslplug_sequence.events.data.builders import event_data
    from sslplug_sequence.events.data.options import EventOptions
    from sslplug_sequence.events.data.table import make_table
    from sslplug_sequence.events.plugin import PLUGIN

    made = clients()
    joined = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    owner = np.repeat(np.arange(CLIENTS), [len(one["mcc"]) for one in made])
    categories = {name: joined[name] for name in ("mcc", "kind")}
    time_, amount = joined["event_time"], {"amount": joined["amount"]}
    table = make_table("clients", np.arange(CLIENTS), owner, time_, categories, amount, "days")
    data = event_data(table, {}, EventOptions(logarithmic=("amount",)), DataContext(None, Path(), 0))
    recipe = {
        "plugin": "events",
        "data": {"name": "shoppers"},
        "views": {"name": "slices", "slices": SLICES, "shortest": SHORTEST, "longest": LONGEST, "drop_rate": 0.0},
        "encoder": {
            "name": "gru",
            "width": hidden,
            "input": {"dims": dict(zip(("mcc", "kind"), WIDTHS, strict=True)), "gaps": False},
        },
        "method": {"name": "joint"},
        "objective": {"name": "coles", "margin": MARGIN, "negatives": NEGATIVES},
        "train": {"batch_size": BATCH},
    }
    schema = schema_of(PLUGIN)
    composed = compose(resolve(recipe, schema, "benchmark"), schema, data, torch.device("cpu"))
    method = composed.method.train()
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    root = Rng.root(0)

    def batches() -> Iterator[tuple[Any, Rng]]:
        epoch = 0
        while True:
            found = composed.batches_of(epoch)
            for number in range(len(found)):
                yield found[number], root.fork(epoch, number)
            epoch += 1

    stream = batches()

    def step() -> None:
        batch, rng = next(stream)
        loss = torch.stack(list(method(batch, rng).values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        method.after_step(Progress(0, 1, 0, 1))  # type: ignore[operator]

    return step


def lifestream(hidden: int, folder: Path) -> Step:
    """pytorch-lifestream's own parts, as its examples put them together."""
    sys.path.insert(0, str(folder))
    absent = types.ModuleType("transformers")
    absent.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    absent.LongformerConfig = absent.LongformerModel = absent.GPT2Config = absent.GPT2Model = object  # type: ignore[attr-defined]
    sys.modules.setdefault("transformers", absent)
    from ptls.data_load.datasets import MemoryMapDataset
    from ptls.frames.coles import ColesDataset, CoLESModule
    from ptls.frames.coles.split_strategy import SampleSlices
    from ptls.nn import RnnSeqEncoder, TrxEncoder

    made = [{name: torch.from_numpy(column) for name, column in one.items()} for one in clients()]
    splitter = SampleSlices(split_count=SLICES, cnt_min=SHORTEST, cnt_max=LONGEST)
    dataset = ColesDataset(MemoryMapDataset(made, n_jobs=1), splitter=splitter)
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, collate_fn=dataset.collate_fn)
    embeddings = {n: {"in": c, "out": w} for n, c, w in zip(("mcc", "kind"), CODES, WIDTHS, strict=True)}
    events = TrxEncoder(embeddings=embeddings, numeric_values={"amount": "log"}, embeddings_noise=0.003)
    module = CoLESModule(
        seq_encoder=RnnSeqEncoder(trx_encoder=events, hidden_size=hidden, type="gru"),
        optimizer_partial=partial(torch.optim.Adam, lr=1e-3),
        lr_scheduler_partial=partial(torch.optim.lr_scheduler.StepLR, step_size=30, gamma=0.9025),
    ).train()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    stream = batches()

    def step() -> None:
        padded, owner = next(stream)
        module._col_names = list(padded.payload)
        module._seq_len = padded.seq_lens
        embedded, owner = module.shared_step(padded, owner)
        loss = module._loss(embedded, owner)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def plain(hidden: int) -> Step:
    """What one would write in an afternoon: lists, padding, ``nn.GRU``, all pairwise distances."""
    made = [{name: torch.from_numpy(column) for name, column in one.items()} for one in clients()]
    embed = nn.ModuleList(nn.Embedding(codes, width, padding_idx=0) for codes, width in zip(CODES, WIDTHS, strict=True))
    norm, gru = nn.BatchNorm1d(1), nn.GRU(sum(WIDTHS) + 1, hidden, batch_first=True)
    parameters = [*embed.parameters(), *norm.parameters(), *gru.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    draw = np.random.default_rng(1)

    def batches() -> Iterator[np.ndarray]:
        while True:
            yield from np.split(draw.permutation(CLIENTS), CLIENTS // BATCH)

    stream = batches()

    def step() -> None:
        parts, owner = [], []
        for client in next(stream):
            n = len(made[client]["mcc"])
            for _ in range(SLICES):
                length = int(draw.integers(SHORTEST, min(LONGEST, n) + 1))
                start = int(draw.integers(0, n - length + 1))
                parts.append({name: column[start : start + length] for name, column in made[client].items()})
                owner.append(int(client))
        length = torch.tensor([len(part["mcc"]) for part in parts])
        padded = {
            name: nn.utils.rnn.pad_sequence([part[name] for part in parts], batch_first=True)
            for name in ("mcc", "kind", "amount")
        }
        amount = norm(padded["amount"].log1p().reshape(-1, 1)).reshape(*padded["amount"].shape, 1)
        x = torch.cat([embed[0](padded["mcc"]), embed[1](padded["kind"]), amount], 2)
        out = F.normalize(gru(x)[0][torch.arange(len(x)), length - 1], dim=1)
        loss = pairwise_loss(out, torch.tensor(owner))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def pairwise_loss(rows: Tensor, owner: Tensor) -> Tensor:
    """CoLES's loss from the whole matrix of distances."""
    distance = (torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist") + 1e-6).clamp(min=1e-6)
    same = owner[:, None] == owner[None, :]
    hard = distance.masked_fill(same, torch.inf).topk(NEGATIVES, largest=False).values
    return distance[same.triu(1)].square().sum() + (MARGIN - hard).clamp(min=0).square().sum()


def contestant(name: str, options: argparse.Namespace) -> None:
    """Runs a round for every line on stdin, and prints wall and processor seconds of its steps."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    makers: dict[str, Callable[[], Step]] = {
        "sslplug": lambda: sslplug(options.hidden),
        "pytorch-lifestream": lambda: lifestream(options.hidden, options.ptls),
        "plain torch": lambda: plain(options.hidden),
    }
    step = makers[name]()
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(options.steps):
            step()
        seconds = [(time.perf_counter() - wall) / options.steps, (time.process_time() - processor) / options.steps]
        print(json.dumps(seconds), flush=True)


def main() -> None:
    """Lets the contestants take turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptls", type=Path, default=Path("build/ptls"))
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contestant")
    options = parser.parse_args()
    if options.contestant:
        contestant(options.contestant, options)
        return
    names = ["sslplug", "pytorch-lifestream", "plain torch"]
    if not (options.ptls / "ptls").is_dir():
        names.remove("pytorch-lifestream")
        print(
            f"pytorch-lifestream is left out: {options.ptls} has no ptls; the head of this file says how to install it there."
        )
    given = [f"--{key}={getattr(options, key)}" for key in ("ptls", "hidden", "steps", "threads")]
    running = {}
    for name in names:
        command = [sys.executable, __file__, "--contestant", name, *given]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running[name] = child
        assert child.stdout is not None
        if child.stdout.readline().strip() != "ready":
            raise SystemExit(f"{name} could not start; run with --contestant '{name}' to see why.")
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name, child in running.items():
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            found[name].append(json.loads(child.stdout.readline()))
    for child in running.values():
        child.communicate()
    print(
        f"GRU {options.hidden}, {BATCH} clients x {SLICES} slices, {options.threads} threads, {options.rounds} rounds of {options.steps} steps"
    )
    print("| contestant | s/step best (median) | processor s/step best | s/epoch of 2,048 clients |")
    print("|---|---|---|---|")
    for name, rounds in found.items():
        wall, processor = [one[0] for one in rounds], [one[1] for one in rounds]
        epoch = min(wall) * CLIENTS / BATCH
        print(f"| {name} | {min(wall):.3f} ({statistics.median(wall):.3f}) | {min(processor):.3f} | {epoch:.1f} |")
    mine = min(one[1] for one in found["sslplug"])
    for name in names[1:]:
        print(f"sslplug is {min(one[1] for one in found[name]) / mine:.2f} x as fast as {name} in processor seconds")


if __name__ == "__main__":
    main()
