"""LightGCN and SimGCL on Gowalla, seconds per epoch and peak memory: sslplug, RecBole and the plainest torch loop, in turns.

    python tests/benchmarks/bench_recsys.py [--recbole FOLDER] [--steps 12] [--rounds 3] [--threads 2] [--scale]

FOLDER is where ``pip install --no-deps --target FOLDER recbole colorlog==4.7.2 colorama thop tabulate texttable`` put RecBole and what
it imports; ``build/recbole`` is the default. Without it that row is left out and the table says so; RecBole has no SimGCL.

Every contestant trains width 64 with batches of 2,048 pairs and one uniform negative each, BPR and Adam; LightGCN with 3 layers,
SimGCL with 2 (tau .2, eps .1). A step is all of it: drawing the batch and its negatives, forward, backward, optimiser. ``--steps`` are
timed after two that are not; an epoch is extrapolated from the mean step, 396 steps for Gowalla. Each contestant lives in a process of
its own, and they take turns, so that a busy machine is busy for all of them; the best round of each counts, the median is printed
beside it. Processor seconds are counted too: they tell two threads from one.

``--scale`` measures sslplug alone on generated interactions, 10^5 to 10^7. Gowalla is read from the data root (SSLPLUG_DATA), else
interactions of its size are generated.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WIDTH, BATCH = 64, 2048
GOWALLA = (29_858, 40_981, 810_128)
Step = Callable[[], None]


def generated(users: int, items: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs: popularity falls as rank^-0.7, users' activity is log-normal."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(sigma=0.8, size=users)
    popularity = np.arange(1, items + 1) ** -0.7
    keys = np.empty(0, np.int64)
    while len(keys) < pairs:
        user = rng.choice(users, pairs, p=activity / activity.sum())
        item = rng.choice(items, pairs, p=popularity / popularity.sum())
        keys = np.unique(np.concatenate([keys, user * items + item]))
    keys = rng.permutation(keys)[:pairs]
    return keys // items, keys % items


def interactions(size: int) -> tuple[int, int, np.ndarray, np.ndarray, str]:
    """Users, items, pairs and where they are from; ``size`` 0 is Gowalla."""
    root = os.environ.get("SSLPLUG_DATA")
    file = None if root is None else Path(root) / "recsys" / "gowalla" / "train.txt"
    if size == 0 and file is not None and file.is_file():
        rows = [np.array(line.split(), np.int64) for line in file.read_text().splitlines() if line.strip()]
        user = np.concatenate([np.full(len(row) - 1, row[0]) for row in rows])
        return *GOWALLA[:2], user, np.concatenate([row[1:] for row in rows]), "Gowalla"
    users, items, pairs = GOWALLA if size == 0 else (max(size // 27, 20), max(size // 20, 50), size)
    return users, items, *generated(users, items, pairs), "generated"


def sslplug_step(method: str, users: int, items: int, user: np.ndarray, item: np.ndarray) -> Step:
    """The project's views, encoder, method and objective, with what its training loop does in a step."""
    from sslplug.build import compose, schema_of
    from sslplug.contracts import Order
    from sslplug.randomness import Rng
    from sslplug.recipe import resolve
    from sslplug.training.optim import FiniteGradients, OptimOptions, make_optimizer
    from sslplug_recsys.data.rec_data import Batches, shares
    from sslplug_recsys.plugin import PLUGIN
    from sslplug_recsys.spec import RecSpec

    spec = RecSpec(
        users, items, torch.from_numpy(user), torch.from_numpy(item), torch.from_numpy(np.bincount(item, minlength=items))
    )
    chosen: dict[str, Any] = {
        "plugin": "recsys", "data": "tastes", "views": "triples", "train": {"batch_size": BATCH},
        "encoder": {"name": "lightgcn", "dim": WIDTH, "layers": 3}, "method": {"name": "collaborative"},
    }  # fmt: skip
    if method == "simgcl":
        chosen["encoder"] |= {"layers": 2, "ego": False}
        chosen["method"]["contrasts"] = [{"name": "noise", "size": 0.1, "weight": 0.5}]
        chosen["objective"] = {"name": "infonce", "temperature": 0.2, "negatives": "inter", "symmetric": False}

    class Data:
        level, tasks, description, fitted = "item", {}, {"name": "benchmark"}, {}  # type: ignore[var-annotated]

        def __init__(self) -> None:
            self.spec = spec

        def batches(self, order: Order) -> Batches:
            return Batches(user, item, shares(order, len(user)))

    schema = schema_of(PLUGIN)
    composed = compose(resolve(chosen, schema, "bench"), schema, Data(), torch.device("cpu"))  # type: ignore[arg-type]
    model = composed.method
    optimizer = make_optimizer(model, OptimOptions())
    parameters = list(model.parameters())
    finite = FiniteGradients(parameters, torch.device("cpu"))

    def numbers() -> Iterator[int]:
        yield from range(10**9)

    batches, counter = composed.batches_of(0), numbers()

    def step() -> None:
        number = next(counter)
        for parameter in parameters:
            parameter.grad = None
        terms = model(batches[number % len(batches)], Rng.root(0).fork(number))
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        assert finite()
        optimizer.step()

    return step


def plain_step(method: str, users: int, items: int, user: np.ndarray, item: np.ndarray) -> Step:
    """What one writes first: a COO operator, ``torch.sparse.mm``, negatives uniform over all items."""
    n = users + items
    row, column = np.concatenate([user, item + users]), np.concatenate([item + users, user])
    degree = np.maximum(np.bincount(row, minlength=n), 1)
    values = torch.from_numpy((degree[row] * degree[column]) ** -0.5).float()
    operator = torch.sparse_coo_tensor(torch.from_numpy(np.stack([row, column])), values, (n, n)).coalesce()
    table = torch.nn.Parameter(0.1 * torch.randn(n, WIDTH))
    optimizer = torch.optim.Adam([table], lr=1e-3)
    users_of, items_of = torch.from_numpy(user), torch.from_numpy(item)

    def passed(noise: bool) -> Tensor:
        states, state = [table], table
        for _ in range(3 if method == "lightgcn" else 2):
            state = torch.sparse.mm(operator, state)
            if noise:
                state = state + 0.1 * state.sign() * F.normalize(torch.rand_like(state), dim=1)
            states.append(state)
        return torch.stack(states if method == "lightgcn" else states[1:]).mean(0)

    def contrast(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
        a, b = F.normalize(one[rows], dim=1), F.normalize(other[rows], dim=1)
        return F.cross_entropy(a @ b.t() / 0.2, torch.arange(len(rows)))

    def step() -> None:
        index = torch.randint(len(users_of), (BATCH,))
        u, i, j = users_of[index], items_of[index] + users, torch.randint(items, (BATCH,)) + users
        optimizer.zero_grad()
        final = passed(False)
        loss = F.softplus((final[u] * (final[j] - final[i])).sum(1)).mean()
        loss = loss + 1e-4 / (2 * BATCH) * sum(table[rows].square().sum() for rows in (u, i, j))
        if method == "simgcl":
            one, other = passed(True), passed(True)
            loss = loss + 0.5 * (contrast(u.unique(), one, other) + contrast(i.unique(), one, other))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def recbole_step(folder: Path, users: int, items: int, user: np.ndarray, item: np.ndarray) -> Step:
    """RecBole's LightGCN with its own loader and negative sampler, as its trainer runs them."""
    import logging

    import scipy.sparse as sp

    # Names that NumPy 2 has dropped and RecBole 1.2 still asks for.
    for gone, there in (("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_)):
        if not hasattr(np, gone):
            setattr(np, gone, there)
    sys.path.insert(0, str(folder))
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender.lightgcn import LightGCN
    from recbole.utils import init_seed

    logging.disable(logging.CRITICAL)
    place = Path(tempfile.mkdtemp())
    (place / "pairs").mkdir()
    for part, count in (("train", len(user)), ("valid", 50), ("test", 50)):
        lines = np.stack([user[:count], item[:count]], 1)
        np.savetxt(
            place / "pairs" / f"pairs.{part}.inter",
            lines,
            "%d",
            delimiter="\t",
            header="user_id:token\titem_id:token",
            comments="",
        )
    sys.argv = sys.argv[:1]
    settings = {
        "data_path": str(place), "benchmark_filename": ["train", "valid", "test"], "embedding_size": WIDTH, "n_layers": 3,
        "reg_weight": 1e-4, "require_pow": True, "train_batch_size": BATCH, "use_gpu": False, "show_progress": False,
        "load_col": {"inter": ["user_id", "item_id"]}, "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1},
    }  # fmt: skip
    config = Config(model="LightGCN", dataset="pairs", config_dict=settings)
    init_seed(0, True)
    training = data_preparation(config, create_dataset(config))[0]

    class Runs(LightGCN):  # type: ignore[misc]
        """The same operator, made without a private function that newer SciPy has dropped; it is not timed."""

        def get_norm_adj_mat(self) -> Tensor:
            r = self.interaction_matrix
            a = sp.bmat([[None, r], [r.T, None]]).tocoo()
            scale = (np.bincount(a.row, minlength=a.shape[0]) + 1e-7) ** -0.5
            values = torch.from_numpy(scale[a.row] * scale[a.col]).float()
            return torch.sparse_coo_tensor(torch.from_numpy(np.stack([a.row, a.col]).astype(np.int64)), values, a.shape)

    model = Runs(config, training.dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = iter(training)

    def step() -> None:
        interaction = next(loader)
        optimizer.zero_grad()
        loss = model.calculate_loss(interaction)
        assert not torch.isnan(loss)
        loss.backward()
        optimizer.step()

    return step


def contestant(options: argparse.Namespace) -> None:
    """One process: a line of JSON a round, when a line arrives on standard input."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    name, method = options.contestant.split("/")
    users, items, user, item, _ = interactions(options.size)
    if name == "recbole":
        step = recbole_step(options.recbole, users, items, user, item)
    else:
        step = (sslplug_step if name == "sslplug" else plain_step)(method, users, items, user, item)
    step(), step()
    epoch = -(-len(user) // BATCH)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(options.steps):
            step()
        took = [
            (now - before) / options.steps * epoch
            for now, before in ((time.perf_counter(), wall), (time.process_time(), cpu))
        ]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"epoch": took[0], "cpu": took[1], "peak": peak}), flush=True)


def measure(names: list[str], options: argparse.Namespace, size: int) -> None:
    """All contestants in turns, and their table."""
    processes = {}
    for name in names:
        command = [sys.executable, __file__, "--contestant", name, "--size", str(size), "--recbole", str(options.recbole)]
        command += ["--steps", str(options.steps), "--threads", str(options.threads)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        heard = next(
            (line for line in process.stdout if line.strip() == "ready"), None
        )  # a peer may print while it is built
        if heard is None:
            print(f"{name:18} could not be built; it is left out")
            continue
        processes[name] = process
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    for _ in range(options.rounds):
        for name, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            rounds[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    best = {name: min(one["epoch"] for one in found) for name, found in rounds.items()}
    for name, found in rounds.items():
        cpu, peak = min(one["cpu"] for one in found), max(one["peak"] for one in found)
        median = statistics.median(one["epoch"] for one in found)
        ours = best.get(f"sslplug/{name.split('/')[1]}")
        times = f"{best[name] / ours:6.2f} x" if ours is not None else ""
        print(f"{name:18} {best[name]:9.1f} s  median {median:9.1f} s  processor {cpu:9.1f} s  peak {peak:7.0f} MB {times}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recbole", type=Path, default=Path("build/recbole"))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--size", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        contestant(options)
        return
    note = f"{options.threads} threads; epochs extrapolated from {options.steps} steps; best of {options.rounds} rounds"
    if options.scale:
        for size in (10**5, 10**6, 10**7):
            print(f"{size:,} generated interactions, {size // 27:,} users, {size // 20:,} items; {note}")
            measure(["sslplug/lightgcn", "sslplug/simgcl"], options, size)
        return
    users, items, user, _, source = interactions(0)
    print(f"{source}: {users:,} users, {items:,} items, {len(user):,} pairs; {note}")
    there = (options.recbole / "recbole").is_dir()
    if not there:
        print(f"RecBole is not in {options.recbole}: its row is left out")
    measure(["sslplug/lightgcn", *(["recbole/lightgcn"] if there else []), "plain/lightgcn"], options, 0)
    measure(["sslplug/simgcl", "plain/simgcl"], options, 0)


if __name__ == "__main__":
    main()
