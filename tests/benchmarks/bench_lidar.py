"""Point-cloud geometry, seconds and memory: sslplug, scipy's k-d tree, torch_geometric's parts, and the plain dense torch form.

    python tests/benchmarks/bench_lidar.py [--sizes 1000 10000 120000] [--rounds 3] [--limit 20] [--threads 2] [--device cpu]

Operations: 1024 farthest points, 16 nearest neighbours, a ball query of 16 points, voxels with their means, Chamfer distance with
its gradient, and a 3 x 3 x 3 sparse convolution of 32 channels with its gradient. Then a whole sweep of a 64-beam sensor is
voxelised, encoded by the sparse-voxel U-Net and projected, point by point; the goal is less than one second on two cores.

Points are those of one KITTI sweep, where the data root (SSLPLUG_DATA) has one, else of a generated one: the 1000, 10 000 ...
nearest to the sensor. torch_geometric's own farthest points, neighbours and grids need
torch-cluster, which is not on the package index; what it has without (``consecutive_cluster``, ``scatter``) makes its voxels.
What would take more than 4 GiB is not run: the table says how much it would take.

Each cell runs in a process of its own, forked before anything was computed: memory is the process's peak above what it held at
the start (on a GPU, the peak of what was allocated). The best of ``--rounds`` counts; processor seconds stand beside it, which is
what to read on a busy machine. A cell that takes longer than ``--limit`` seconds is ended.
"""

from __future__ import annotations

import argparse
import lzma
import math
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import View
from sslplug_lidar import geometry
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.spec import CloudSpec, Sensor

RINGS, AZIMUTHS, MAST, FARTHEST = 64, 2000, 1.73, 80.0
FEW, NEAR, RADIUS, EDGE, CHANNELS = 1024, 16, 0.5, 0.2, 32
MOST = 4 * 2**30
Run = Callable[[], object]
Cell = tuple[str, str, int]


def sweep() -> tuple[Tensor, str]:
    """(m, 4) x, y, z, intensity of one whole sweep, and where it is from."""
    root = os.environ.get("SSLPLUG_DATA")
    file = None if root is None else next(iter(sorted(Path(root).rglob("kitti_odometry_00/velodyne/*.bin.xz"))), None)
    if file is not None:
        return torch.from_numpy(np.frombuffer(lzma.open(file).read(), np.float32).reshape(-1, 4).copy()), "a KITTI sweep"
    draw = np.random.default_rng(0)
    elevation, azimuth = np.meshgrid(
        np.linspace(-0.433, 0.035, RINGS), 2 * np.pi * np.arange(AZIMUTHS) / AZIMUTHS, indexing="ij"
    )
    ground = np.where(elevation < 0, MAST / np.maximum(np.sin(-elevation), 1e-3), FARTHEST)
    walls = np.repeat(draw.uniform(5, FARTHEST, 50), AZIMUTHS // 50)[None] / np.cos(elevation)
    distance = np.minimum(ground, walls) + 0.02 * draw.standard_normal(ground.shape)
    level = distance * np.cos(elevation)
    rows = [level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation), draw.random(ground.shape)]
    seen = (distance < FARTHEST).ravel()
    return torch.from_numpy(np.stack([row.ravel()[seen] for row in rows], 1).astype(np.float32)), "a generated sweep"


def gibibytes(wanted: float) -> str:
    """What a cell that is not run would take; empty where it may run."""
    return f"would take {wanted / 2**30:.0f} GiB" if wanted > MOST else ""


def farthest(who: str, xyz: Tensor, offsets: Tensor) -> Run | str:
    """Farthest points."""
    count = min(FEW, len(xyz))
    if who == "sslplug":
        return partial(geometry.farthest_points, xyz, offsets, count)
    if who != "dense torch":
        return ""

    def loop() -> list[int]:
        distance, chosen = torch.full((len(xyz),), torch.inf, device=xyz.device), [0]
        for _ in range(count - 1):
            distance = torch.minimum(distance, (xyz - xyz[chosen[-1]]).square().sum(1))
            chosen.append(int(distance.argmax()))
        return chosen

    return loop


def neighbours(who: str, xyz: Tensor, offsets: Tensor, radius: float = math.inf) -> Run | str:
    """Nearest neighbours, or those in a ball."""
    if who == "sslplug":
        return partial(geometry.neighbour_rows, xyz, offsets, xyz, offsets, NEAR, radius)
    if who == "cKDTree":
        points, threads = xyz.cpu().numpy(), torch.get_num_threads()
        return lambda: cKDTree(points).query(points, NEAR, distance_upper_bound=radius, workers=threads)
    if who == "dense torch":
        too_much = gibibytes(4 * len(xyz) ** 2)
        return too_much or (lambda: torch.cdist(xyz, xyz).topk(NEAR, largest=False))
    return ""


def voxels(who: str, xyz: Tensor, offsets: Tensor) -> Run | str:
    """Occupied voxels and the mean of their points."""
    if who == "sslplug":
        return lambda: geometry.voxelise(xyz, offsets, EDGE).mean(xyz)
    if who == "dense torch":

        def plain() -> Tensor:
            cells = (xyz / EDGE).floor().long()
            found, of_point = torch.unique(cells, dim=0, return_inverse=True)
            total = torch.zeros(len(found), 3, device=xyz.device).index_add_(0, of_point, xyz)
            return total / torch.bincount(of_point)[:, None]

        return plain
    if who == "torch_geometric":
        from torch_geometric.nn.pool.consecutive import consecutive_cluster
        from torch_geometric.utils import scatter

        def grid() -> Tensor:
            cells = (xyz / EDGE).floor().long()
            low = cells.amin(0)
            size = cells.amax(0) - low + 1
            shifted = cells - low
            number = (shifted[:, 0] * size[1] + shifted[:, 1]) * size[2] + shifted[:, 2]
            return scatter(xyz, consecutive_cluster(number)[0], reduce="mean")

        return grid
    return ""


def chamfer(who: str, xyz: Tensor, offsets: Tensor) -> Run | str:
    """Chamfer distance to the points moved a little, and its gradient."""
    moved = (xyz + 0.1).requires_grad_()
    if who == "sslplug":
        return lambda: torch.autograd.grad(geometry.chamfer(xyz, offsets, moved, offsets).sum(), moved)
    if who == "cKDTree":

        def trees() -> object:
            threads = torch.get_num_threads()
            a, b = xyz.cpu().numpy(), moved.detach().cpu().numpy()
            to_b = torch.from_numpy(cKDTree(b).query(a, workers=threads)[1])
            to_a = torch.from_numpy(cKDTree(a).query(b, workers=threads)[1])
            there, back = (xyz - moved[to_b]).square().sum(1), (moved - xyz[to_a]).square().sum(1)
            return torch.autograd.grad(there.mean() + back.mean(), moved)

        return trees
    if who == "dense torch":

        def dense() -> object:
            away = torch.cdist(xyz, moved).square()
            return torch.autograd.grad(away.amin(1).mean() + away.amin(0).mean(), moved)

        return gibibytes(3 * 4 * len(xyz) ** 2) or dense
    return ""


def convolution(who: str, xyz: Tensor, offsets: Tensor) -> Run | str:
    """From points to a convolution's output and its gradients: with the rules, without any cache."""
    draw = torch.Generator().manual_seed(0)
    layer = geometry.SparseConv3d(CHANNELS, CHANNELS, bias=False).to(xyz.device)
    first = geometry.voxelise(xyz, offsets, EDGE)
    rows = torch.randn(len(first), CHANNELS, generator=draw).to(xyz.device).requires_grad_()
    if who == "sslplug":

        def sparse() -> object:
            out = layer(rows, geometry.voxelise(xyz, offsets, EDGE))
            return torch.autograd.grad(out.square().sum(), (rows, layer.weight))

        return sparse
    if who == "dense torch":
        low = first.coords.amin(0)
        side = (first.coords.amax(0) - low + 1).tolist()
        kernel = layer.weight.detach().unflatten(0, (3, 3, 3)).permute(4, 3, 0, 1, 2).contiguous().requires_grad_()

        def dense() -> object:
            x, y, z = (first.coords - low).T
            full = rows.new_zeros(CHANNELS, *side).index_put((torch.arange(CHANNELS)[:, None], x, y, z), rows.T)
            out = F.conv3d(full[None], kernel, padding=1)[0][:, x, y, z]
            return torch.autograd.grad(out.square().sum(), (rows, kernel))

        return gibibytes(4 * 4 * CHANNELS * math.prod(side)) or dense
    return ""


OPERATIONS: dict[str, Callable[[str, Tensor, Tensor], Run | str]] = {
    f"farthest {FEW}": farthest,
    f"nearest {NEAR}": neighbours,
    f"ball {RADIUS} m, {NEAR}": partial(neighbours, radius=RADIUS),
    f"voxels {EDGE} m": voxels,
    "Chamfer + grad": chamfer,
    f"sparse conv {CHANNELS} + grad": convolution,
}
CONTESTANTS = ("sslplug", "cKDTree", "torch_geometric", "dense torch")


def timed(run: Run, rounds: int, device: str) -> tuple[float, float]:
    """Wall and processor seconds of the best round, after one that is not counted where there is time for it."""
    best = (math.inf, math.inf)
    for number in range(rounds + 1):
        start, work = time.perf_counter(), time.process_time()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        spent = time.perf_counter() - start, time.process_time() - work
        if number:
            best = min(best, spent)
    return best


def cell(pipe: Connection, what: Cell, rounds: int, threads: int, device: str) -> None:
    """One operation of one contestant at one size, in this process."""
    torch.set_num_threads(threads)
    operation, who, size = what
    points = sweep()[0]
    nearest = points[:, :3].norm(dim=1).argsort()[:size].sort()[0]  # in the order the sensor saw them
    xyz = points[nearest, :3].contiguous().to(device)
    offsets = torch.tensor([0, len(xyz)], device=device)
    run = OPERATIONS[operation](who, xyz, offsets)
    if isinstance(run, str):
        pipe.send(run)
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, work = timed(run, rounds, device)
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device != "cpu":
        taken = torch.cuda.max_memory_allocated() / 2**20
    pipe.send(f"{wall * 1e3:.1f} / {work * 1e3:.1f} / {taken:.0f}")


def whole_sweep(pipe: Connection, name: str, options: dict[str, float], rounds: int, threads: int, device: str) -> None:
    """Voxelise, encode and project one sweep: seconds of the stages."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    points = sweep()[0].to(device)
    m = len(points)
    sensor = Sensor(RINGS, tuple(np.linspace(-0.433, 0.035, RINGS).tolist()), AZIMUTHS)
    extent = float(points[:, :3].norm(dim=1).quantile(0.95))
    spec = CloudSpec(("intensity",), m, extent, sensor)
    one, offsets = torch.zeros(1, dtype=torch.int64, device=device), torch.tensor([0, m], device=device)
    number = torch.arange(m, device=device)
    view = View(Clouds(offsets, points[:, :3].contiguous(), points[:, 3:].contiguous(), one, one, number))
    encoder = ENCODERS[name].build(ENCODERS[name].options(**options), spec).to(device).eval()
    head = nn.Sequential(nn.Linear(encoder.dims["point"], 128), nn.ReLU(), nn.Linear(128, 128)).to(device).eval()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.inference_mode():
        found = encoder(view)["point"]
        encode, project = timed(lambda: encoder(view), rounds, device), timed(lambda: head(found), rounds, device)
        both = timed(lambda: head(encoder(view)["point"]), rounds, device)
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device != "cpu":
        taken = torch.cuda.max_memory_allocated() / 2**20
    of = "voxels and encoder" if name == "voxel_unet" else "encoder"
    pipe.send(
        f"{m} points, {of} {encode[0] * 1e3:.0f} ms, projection {project[0] * 1e3:.0f} ms, "
        f"together {both[0] * 1e3:.0f} ms ({both[1] * 1e3:.0f} ms of processor), {taken:.0f} MiB"
    )


def alone(target: Callable[..., None], arguments: tuple[object, ...], limit: float) -> str:
    """What the target sends from a process of its own, or why it sent nothing."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        if not ours.poll(limit):
            process.terminate()
            return f"more than {limit:g} s"
        said: str = ours.recv()
        return said
    except EOFError:
        return "failed"
    finally:
        process.join()


def main() -> None:
    """Print a table for each operation, and the whole sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 120_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    chosen = parser.parse_args()
    print(
        f"points of {sweep()[1]}, {chosen.threads} threads, {chosen.device}; best wall ms / processor ms / MiB above start"
    )
    for operation in OPERATIONS:
        print(f"\n{operation}", flush=True)
        for who in CONTESTANTS:
            cells = [
                alone(cell, ((operation, who, size), chosen.rounds, chosen.threads, chosen.device), chosen.limit)
                for size in chosen.sizes
            ]
            if any(cells):
                shown = "   ".join(f"{size}: {text}" for size, text in zip(chosen.sizes, cells))
                print(f"  {who:16s} {shown}", flush=True)
    print("\nwhole sweep", flush=True)
    for name, options in (("voxel_unet", {"size": EDGE}), ("voxel_unet", {"size": 0.05}), ("range_image", {})):
        arguments = (name, options, chosen.rounds, chosen.threads, chosen.device)
        shown = ", ".join(f"{key} {value}" for key, value in options.items())
        print(f"  {name} {shown}: {alone(whole_sweep, arguments, 3 * chosen.limit)}", flush=True)


if __name__ == "__main__":
    main()
