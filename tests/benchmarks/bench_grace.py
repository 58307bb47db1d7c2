"""GRACE on Cora, seconds per epoch and peak memory: sslplug, PyGCL and the plainest dense torch loop, interleaved in one run.

    python tests/benchmarks/bench_grace.py [--pygcl FOLDER] [--epochs 10] [--rounds 4] [--threads 2]

FOLDER is where ``pip install --no-deps --target FOLDER PyGCL==0.1.2`` put PyGCL; ``make bench`` makes ``build/pygcl``, which is the
default. Without it that row is left out and the table says so. Features are Cora's where the data root (SSLPLUG_DATA) has them, else a generated graph of the same size. Every
contestant trains F-256-128 with a 128-128 ELU projection, tau .4, Adam. Each lives in a process of its own, and they take turns,
so that a busy machine is busy for all of them; the best round of each counts, the median is printed beside it.
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
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

NODES, EDGES, COLUMNS, STORED = 2708, 5278, 1433, 49216
HIDDEN, WIDTH, PROJECTION, TAU = 256, 128, 128, 0.4
EDGE_DROP, FEATURE_MASK = (0.2, 0.4), (0.3, 0.4)


def cora() -> tuple[Tensor, Tensor, str]:
    """(N, F) row-normalised features, (2, E) edges in both directions, and where they are from."""
    root = os.environ.get("SSLPLUG_DATA")
    folder = None if root is None else next(iter(sorted(Path(root).rglob("ind.cora.allx"))), None)
    if folder is not None:
        return *planetoid(folder.parent), "Cora"
    generator = np.random.default_rng(0)
    x = np.zeros((NODES, COLUMNS), np.float32)
    x[generator.integers(NODES, size=STORED), generator.integers(COLUMNS, size=STORED)] = 1.0
    pairs = generator.integers(NODES, size=(2, EDGES))
    edges = torch.from_numpy(np.concatenate([pairs, pairs[::-1]], 1))
    x /= np.maximum(x.sum(1, keepdims=True), 1.0)
    return torch.from_numpy(x), edges, "a generated graph of Cora's size"


def planetoid(folder: Path) -> tuple[Tensor, Tensor]:
    """Cora from the plain files the graph plugin reads."""
    from sslplug_graph.data.catalogue import SOURCES
    from sslplug_graph.data.planetoid import read_planetoid

    graph = read_planetoid(folder, "cora", SOURCES["cora"].files, "cora")
    x = np.asarray(graph.features.todense(), np.float32)
    x /= np.maximum(x.sum(1, keepdims=True), 1e-12)
    return torch.from_numpy(x), torch.from_numpy(np.asarray(graph.edges, np.int64))


def projection() -> nn.Sequential:
    """GRACE's head."""
    return nn.Sequential(nn.Linear(WIDTH, PROJECTION), nn.ELU(), nn.Linear(PROJECTION, WIDTH))


def sslplug_epoch(x: Tensor, edges: Tensor) -> Callable[[int], float]:
    """The project's views, encoder and objective."""
    from sslplug.objectives import OBJECTIVES
    from sslplug.randomness import Rng
    from sslplug_graph.batch import CsrMatrix, Features, GraphBatch
    from sslplug_graph.encoders import ENCODERS
    from sslplug_graph.spec import GraphSpec
    from sslplug_graph.views import VIEWS

    row, col = x.nonzero(as_tuple=True)
    crow = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(row, minlength=len(x)).cumsum(0)])
    zeros = torch.zeros(len(x), dtype=torch.int64)
    features = Features(CsrMatrix(crow, col, x[row, col], (x.shape[0], x.shape[1])))
    batch = GraphBatch(features, edges, len(x), zeros, 1, torch.arange(len(x)), zeros[:1])
    spec = GraphSpec(x.shape[1], len(x), edges.shape[1], 1, "node", True)
    views = VIEWS["grace"].build(VIEWS["grace"].options(edge_drop=list(EDGE_DROP), feature_mask=list(FEATURE_MASK)), spec)
    encoder = ENCODERS["gcn"].build(ENCODERS["gcn"].options(widths=[HIDDEN, WIDTH]), spec)
    objective = OBJECTIVES["infonce"].build(OBJECTIVES["infonce"].options(temperature=TAU), WIDTH)
    head = projection()
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-4, weight_decay=1e-5)

    def epoch(number: int) -> float:
        optimiser.zero_grad()
        rows = [head(encoder(view)["node"]) for view in views(batch, Rng.root(0).fork(number))]
        loss = sum(objective(rows).values())
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return epoch


class PlainGcn(nn.Module):
    """Two dense layers, activation after both."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(columns, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, adjacency: Tensor, x: Tensor) -> Tensor:
        hidden = (adjacency @ (x @ self.first.weight.T) + self.first.bias).relu()
        return (adjacency @ (hidden @ self.second.weight.T) + self.second.bias).relu()


def plain_epoch(x: Tensor, edges: Tensor) -> Callable[[int], float]:
    """Dense features, a dense normalised adjacency, the full similarity matrices: what one writes in ten minutes."""
    encoder, head = PlainGcn(x.shape[1]), projection()
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-4, weight_decay=1e-5)

    def view(edge_drop: float, feature_mask: float) -> tuple[Tensor, Tensor]:
        kept = edges[:, torch.rand(edges.shape[1]) >= edge_drop]
        adjacency = torch.eye(len(x))
        adjacency.index_put_((kept[1], kept[0]), torch.ones(kept.shape[1]), accumulate=True)
        scale = adjacency.sum(1).rsqrt()
        return scale[:, None] * adjacency * scale, x * (torch.rand(x.shape[1]) >= feature_mask).float()

    def half(u: Tensor, v: Tensor) -> Tensor:
        inter, intra = (u @ v.T / TAU).exp(), (u @ u.T / TAU).exp()
        return -(inter.diag() / (inter.sum(1) + intra.sum(1) - intra.diag())).log().mean()

    def epoch(number: int) -> float:
        optimiser.zero_grad()
        u, v = (F.normalize(head(encoder(*view(drop, mask))), dim=1) for drop, mask in zip(EDGE_DROP, FEATURE_MASK))
        loss = (half(u, v) + half(v, u)) / 2
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return epoch


def pygcl_epoch(x: Tensor, edges: Tensor) -> Callable[[int], float]:
    """PyGCL 0.1.2's augmentors, contrast model and loss with torch_geometric's GCNConv, as in its GRACE example."""
    for missing in ("dgl", "torch_scatter", "torch_sparse"):  # imported by PyGCL, not used by what runs here
        if missing not in sys.modules:
            sys.modules[missing] = types.ModuleType(missing)
    sys.modules["torch_scatter"].scatter = None  # type: ignore[attr-defined]
    sys.modules["torch_scatter"].scatter_add = None  # type: ignore[attr-defined]
    sys.modules["torch_sparse"].coalesce = None  # type: ignore[attr-defined]
    sys.modules["torch_sparse"].SparseTensor = None  # type: ignore[attr-defined]
    sys.modules["dgl"].DGLGraph = None  # type: ignore[attr-defined]
    import GCL.augmentors as augmentors
    import GCL.losses as losses
    from GCL.models import DualBranchContrast
    from torch_geometric.nn import GCNConv

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(x.shape[1], HIDDEN), GCNConv(HIDDEN, WIDTH)

        def forward(self, features: Tensor, index: Tensor, weight: Tensor | None) -> Tensor:
            return self.second(self.first(features, index, weight).relu(), index, weight).relu()  # type: ignore[no-any-return]

    augment = [
        augmentors.Compose([augmentors.EdgeRemoving(pe=drop), augmentors.FeatureMasking(pf=mask)])
        for drop, mask in zip(EDGE_DROP, FEATURE_MASK)
    ]
    encoder, head = Encoder(), projection()
    contrast = DualBranchContrast(loss=losses.InfoNCE(tau=TAU), mode="L2L", intraview_negs=True)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-4, weight_decay=1e-5)

    def epoch(number: int) -> float:
        optimiser.zero_grad()
        first, second = (head(encoder(*one(x, edges))) for one in augment)
        loss = contrast(first, second)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return epoch


CONTESTANTS = {"sslplug": sslplug_epoch, "PyGCL 0.1.2": pygcl_epoch, "plain dense loop": plain_epoch}


def contestant(name: str, threads: int) -> None:
    """Child: for each line on stdin train that many epochs and print seconds per epoch, peak MiB and the last loss."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x, edges, _ = cora()
    epoch, done, answers = CONTESTANTS[name](x, edges), 0, sys.stdout
    sys.stdout = sys.stderr
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            loss = epoch(done)
            done += 1
        seconds = (time.perf_counter() - start) / int(line)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak": peak - base, "loss": loss}), file=answers, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path("build/pygcl")
    parser.add_argument("--pygcl", type=Path, default=beside if beside.is_dir() else None)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contestant:
        contestant(chosen.contestant, chosen.threads)
        return
    root = Path(__file__).resolve().parents[2]
    paths = [str(root), str(root / "plugins"), *([str(chosen.pygcl)] if chosen.pygcl else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(chosen.threads)}
    names = [name for name in CONTESTANTS if chosen.pygcl or not name.startswith("PyGCL")]
    command = [sys.executable, __file__, "--threads", str(chosen.threads), "--contestant"]
    children = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for name in names
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(chosen.rounds + 1):  # the first turn, of two epochs, warms up
        for name, child in children.items():
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{chosen.epochs if turn else 2}\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            if turn:
                results[name].append(answer)
    for child in children.values():
        child.communicate()
    ours = min(result["seconds"] for result in results["sslplug"])
    print(
        f"GRACE on {cora()[2]}, {chosen.threads} threads, torch {torch.__version__}, {chosen.rounds} x {chosen.epochs} epochs\n"
    )
    print("| | ms per epoch, best | median | peak memory of training, MiB | time against sslplug | last loss |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, rounds in results.items():
        best = min(result["seconds"] for result in rounds)
        middle = statistics.median(result["seconds"] for result in rounds)
        last = rounds[-1]
        print(
            f"| {name} | {best * 1e3:.1f} | {middle * 1e3:.1f} | {last['peak']:.0f} | {best / ours:.2f} x | {last['loss']:.3f} |"
        )
    if not chosen.pygcl:
        print("\nPyGCL was not given (--pygcl).")


if __name__ == "__main__":
    main()
