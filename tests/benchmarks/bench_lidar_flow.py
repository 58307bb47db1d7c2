"""Scene flow and registration, processor seconds and errors: sslplug beside the plain dense and scipy forms.

    python tests/benchmarks/bench_lidar_flow.py [--sizes 512 2048] [--steps 150] [--threads 1]

A generated room and the same room after a known motion, other points of it. Rows:

refine      SCOOP's refinement from no motion: nearest points by a k-d tree every 10 steps (ours), at every step, and by the dense
            matrix of distances at every step; the error of the refined flow stands beside
soft flow   one pair's correspondence by unbalanced transport, and its memory (one n x n matrix of float32)
icp         point to plane and point to point (ours), and a plain loop over scipy's cKDTree and numpy's SVD
fpfh        hand-made descriptors of every point
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.flow.correspondence import Transport, soft_flow
from sslplug_lidar.flow.refine import Refinement, around, refine, roughness
from sslplug_lidar.geometry import apply, compose
from sslplug_lidar.registration.descriptors import histograms
from sslplug_lidar.registration.icp import Icp, icp, rotation
from sslplug_lidar.registration.matching import motion_error


def room(points: int, seed: int) -> Tensor:
    """(points, 3) a floor, two walls and a block, in metres, with 1 cm of noise."""
    draw = Rng.root(seed).numpy()
    u, v, z = draw.random(points) * 20, draw.random(points) * 4, np.zeros(points)
    kind = draw.integers(0, 4, points)[:, None]
    faces = [np.stack([u, draw.random(points) * 20, z], 1), np.stack([u, z, v], 1), np.stack([z, u, v], 1)]
    xyz = np.select([kind == 0, kind == 1, kind == 2], faces, np.stack([8 + u / 10, 9 + z, v / 2], 1))
    return torch.from_numpy(xyz + 0.01 * draw.normal(size=xyz.shape))


def dense_refine(source: Tensor, target: Tensor, how: Refinement) -> Tensor:
    """Refinement from no motion with all distances at every step."""
    near = around(source, how.neighbours)
    flow = torch.zeros_like(source).requires_grad_()
    adam = torch.optim.Adam([flow], lr=how.lr)
    steady = torch.optim.lr_scheduler.CosineAnnealingLR(adam, how.steps)
    for _ in range(how.steps):
        loss = torch.cdist(source + flow, target).amin(1).square().mean() + how.smooth * roughness(flow, near)
        adam.zero_grad()
        loss.backward()
        adam.step()
        steady.step()
    return flow.detach()


def scipy_icp(source: np.ndarray, target: np.ndarray, kept: float = 0.8, rounds: int = 40) -> np.ndarray:
    """(4, 4) trimmed point-to-point ICP as it is usually written."""
    tree, motion = cKDTree(target), np.eye(4)
    for _ in range(rounds):
        ahead = source @ motion[:3, :3].T + motion[:3, 3]
        away, place = tree.query(ahead)
        best = np.argsort(away)[: round(kept * len(source))]
        a, b = ahead[best], target[place[best]]
        u, _, vt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
        turn = vt.T @ np.diag([1, 1, np.linalg.det(vt.T @ u.T)]) @ u.T
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = turn, b.mean(0) - turn @ a.mean(0)
        motion = step @ motion
        if np.abs(step - np.eye(4)).max() < 1e-5:
            break
    return motion


def timed(name: str, run: Callable[[], Tensor], told: Callable[[Tensor], str]) -> None:
    """One row: processor seconds and what came out."""
    before = time.process_time()
    found = run()
    print(f"  {name:38s} {time.process_time() - before:8.2f} s   {told(found)}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    turn = torch.tensor([0.0, 0.0, math.radians(1.0)], dtype=torch.float64)
    true = compose(rotation(turn), torch.tensor([0.25, 0.15, 0.0], dtype=torch.float64))
    how = Refinement(steps=options.steps)
    refine(
        room(64, 1), room(64, 2), torch.zeros(64, 3).double(), torch.ones(64).double(), Refinement(steps=2)
    )  # loads optimisers
    print(f"processor seconds, {options.threads} thread(s)")
    for size in options.sizes:
        source, target = room(size, 1), apply(true, room(size, 2))
        flow, rest = apply(true, source) - source, torch.zeros_like(source)
        sure = torch.ones(size, dtype=torch.float64)
        epe = lambda found, flow=flow: f"EPE {float((found - flow).norm(dim=1).mean()):.3f} m"  # noqa: E731
        pose = lambda found: "{:.3f} degrees, {:.3f} m".format(*motion_error(found, true))  # noqa: E731
        print(f"{size} points; at rest: {epe(rest)}")
        timed("refine, k-d tree every 10 steps", lambda: refine(source, target, rest, sure, how), epe)
        timed("refine, k-d tree every step", lambda: refine(source, target, rest, sure, replace(how, look_up=1)), epe)
        timed("refine, dense every step", lambda: dense_refine(source, target, how), epe)
        rows = torch.randn(2, size, 64, generator=Rng.root(3).torch())
        one = source.float(), target.float(), rows[0], rows[1]
        timed(
            "soft flow",
            lambda: soft_flow(*one, Transport())[0],
            lambda found: f"{4 * len(found) ** 2 / 2**20:.0f} MiB a matrix",
        )
        timed("icp to planes", lambda: icp(source, target), pose)
        timed("icp to points", lambda: icp(source, target, how=Icp("point")), pose)
        timed("icp to points, scipy and numpy", lambda: torch.from_numpy(scipy_icp(source.numpy(), target.numpy())), pose)
        timed("fpfh", lambda: histograms(source), lambda found: f"{tuple(found.shape)}")


if __name__ == "__main__":
    main()
