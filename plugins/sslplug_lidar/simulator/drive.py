"""Drives through the city: consecutive sweeps with labels, poses, ego-motion and scene flow, all known exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sslplug.randomness import Rng
from sslplug_lidar.simulator.city import BLOCK, CLASSES, Scene, block, movers, together
from sslplug_lidar.simulator.spinning import GROUND, Returns, Spinning, sweep

ROOM = 3.0
"""Metres that nothing moving comes closer to the sensor's own vehicle, at any sweep of a drive."""


@dataclass(frozen=True, eq=False)
class Drive:
    """Sweeps of one drive, in order.

    returns  of each sweep, owner numbers of the drive's scene
    label    of each sweep's returns, numbers in ``city.CLASSES``
    flow     of each sweep's returns until the next sweep, (p, 3) metres in the next sweep's axes; NaN in the last sweep
    poses    (t, 4, 4) float64: the sensor's coordinates into the city's
    """

    returns: list[Returns]
    label: list[np.ndarray]
    flow: list[np.ndarray]
    poses: np.ndarray
    scene: Scene


def drive(path: np.ndarray, interval: float, city: Rng, traffic: Rng, spinning: Spinning, density: float = 4.0) -> Drive:
    """Sweeps at the poses ``path`` (t, 3) x, y, yaw, ``interval`` seconds apart.

    city     names what stands: drives with one ``city`` visit the same places
    traffic  names what moves, and the sensor's noise
    density  moving things a hundred metres of lane
    """
    scene = surroundings(path, city, traffic, spinning.farthest, density, interval)
    times = interval * np.arange(len(path))
    draws = [traffic.fork("sweep", number).numpy() for number in range(len(path))]
    seen = []
    for pose, time, draw in zip(path, times, draws):
        position, yaw = scene.at(float(time))
        near = np.hypot(*(position[:, :2] - pose[:2]).T) <= spinning.farthest + BLOCK
        parts = scene.parts.take(np.flatnonzero(near[scene.parts.owner])).placed(position, yaw)
        seen.append(sweep(parts, pose[:2], float(pose[2]), spinning, draw))
    poses = np.stack([as_matrix(pose, spinning.height) for pose in path])
    label = [np.where(r.owner == GROUND, 0, scene.label[r.owner]) for r in seen]
    flow = [
        moved(r, scene, (float(times[k]), float(times[k + 1])), poses[k], poses[k + 1]) - r.xyz
        if k + 1 < len(path)
        else np.full(r.xyz.shape, np.nan)
        for k, r in enumerate(seen)
    ]
    return Drive(seen, label, flow, poses, scene)


def surroundings(path: np.ndarray, city: Rng, traffic: Rng, farthest: float, density: float, interval: float) -> Scene:
    """Everything within sight of a path, and what moves there without ever coming close to the sensor."""
    low, high = path[:, :2].min(0) - farthest, path[:, :2].max(0) + farthest
    first, last = np.floor(low / BLOCK).astype(int), np.floor(high / BLOCK).astype(int)
    near = [
        block(i, j, city)
        for i in range(first[0], last[0] + 1)
        for j in range(first[1], last[1] + 1)
        if _in_sight(i, j, path, farthest)
    ]
    moving = movers(low, high, density, traffic.fork("movers").numpy())
    gap = np.full(len(moving.label), np.inf)
    for number, pose in enumerate(path):
        gap = np.minimum(gap, np.hypot(*(moving.at(interval * number)[0][:, :2] - pose[:2]).T))
    return together([*near, _only(moving, gap > ROOM)])


def as_matrix(pose: np.ndarray, height: float) -> np.ndarray:
    """(4, 4) float64 from x, y, yaw of a level sensor at ``height``."""
    x, y, yaw = pose
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0, x], [sin, cos, 0, y], [0, 0, 1, height], [0, 0, 0, 1]])


def moved(returns: Returns, scene: Scene, times: tuple[float, float], pose: np.ndarray, following: np.ndarray) -> np.ndarray:
    """(p, 3) where each return's piece of matter is at the later time, in the following sweep's axes.

    Matter moves rigidly with its owner; the ground and what stands stays in the city.
    """
    world = returns.xyz @ pose[:3, :3].T + pose[:3, 3]
    owned = returns.owner != GROUND
    owner = returns.owner[owned]
    (here, yaw), (there, later) = scene.at(times[0]), scene.at(times[1])
    turn = (later - yaw)[owner]
    x, y, z = (world[owned] - here[owner]).T
    cos, sin = np.cos(turn), np.sin(turn)
    world[owned] = np.stack([cos * x - sin * y, sin * x + cos * y, z], 1) + there[owner]
    found: np.ndarray = (world - following[:3, 3]) @ following[:3, :3]
    return found


def _in_sight(i: int, j: int, path: np.ndarray, farthest: float) -> bool:
    """Whether any point of block (i, j) is within sight of any pose."""
    corner = np.array([i, j]) * BLOCK
    away = np.maximum(np.maximum(corner - path[:, :2], path[:, :2] - corner - BLOCK), 0)
    return bool((np.hypot(*away.T) <= farthest).any())


def _only(scene: Scene, kept: np.ndarray) -> Scene:
    """The things that are kept, renumbered."""
    number = np.cumsum(kept) - 1
    parts = scene.parts.take(np.flatnonzero(kept[scene.parts.owner]))
    return Scene(
        replace(parts, owner=number[parts.owner]),
        scene.label[kept],
        scene.position[kept],
        scene.yaw[kept],
        scene.speed[kept],
        scene.turn[kept],
    )


assert CLASSES[0] == "road"  # returns from the ground plane are labelled 0
