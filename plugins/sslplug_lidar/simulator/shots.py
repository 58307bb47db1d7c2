"""Single things cut out of simulated sweeps: each with its class, seen from one side, sparse far away, partly hidden.

A cut is what a segmentation by boxes would give: a loose box around the thing's returns, above a loose ground, with whatever else
stands there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslplug.randomness import Rng
from sslplug_lidar.simulator.city import Standing, placed
from sslplug_lidar.simulator.objects import OBJECTS
from sslplug_lidar.simulator.parts import BOX, part
from sslplug_lidar.simulator.spinning import Spinning, sweep

LOOSE, CLEARED = 0.6, 0.25
"""Metres by which a box is too large at most, and below which the ground is taken away at most."""


@dataclass(frozen=True, eq=False)
class Shots:
    """Things in the order they were seen.

    points  of each thing (p, 5): x, y about the middle of what is seen, z above the ground, metres; intensity; metres from
            the sensor
    label   (n,) class, the number of its maker in OBJECTS;  sweep (n,) which sweep it was cut from
    """

    points: list[np.ndarray]
    label: np.ndarray
    sweep: np.ndarray


def shots(count: int, least: int, spinning: Spinning, rng: Rng, crowd: int = 28) -> Shots:
    """``count`` things with at least ``least`` returns each, from as many sweeps as it takes, ``crowd`` things in each.

    A sweep's things stand at random places and headings between 4 m and the sensor's reach, among screens that hide some.
    Classes are drawn alike.
    """
    names = list(OBJECTS)
    points: list[np.ndarray] = []
    labels: list[int] = []
    sweeps: list[int] = []
    number = 0
    while len(points) < count:
        draw = rng.fork("shot", number).numpy()
        kinds: list[Standing] = [(name, OBJECTS[name](draw)) for name in draw.choice(names, crowd)]
        away = draw.uniform(4.0, spinning.farthest, crowd)
        for _ in range(6):
            size = (draw.uniform(0.5, 2.0), 0.1, draw.uniform(0.4, 1.0))
            kinds.append(("wall", part(BOX, (0, 0, size[2]), size, 0.3)))
        away = np.concatenate([away, draw.uniform(3.5, 15.0, 6)])
        around = 2 * np.pi * (draw.permutation(len(kinds)) + draw.uniform(0, 0.8, len(kinds))) / len(kinds)
        position = np.stack([away * np.cos(around), away * np.sin(around), np.zeros(len(kinds))], 1)
        still = np.zeros(len(kinds))
        scene = placed(kinds, position, draw.uniform(0, 2 * np.pi, len(kinds)), still, still)
        seen = sweep(scene.parts.placed(scene.position, scene.yaw), np.zeros(2), 0.0, spinning, draw)
        for thing in range(crowd):
            rows = np.flatnonzero(seen.owner == thing)
            if len(rows) < least or len(points) == count:
                continue
            rows = _cut(seen.xyz, rows, draw.uniform(0.0, LOOSE), draw.uniform(0.0, CLEARED) - spinning.height)
            if len(rows) < least:
                continue
            xyz = seen.xyz[rows] + [0.0, 0.0, spinning.height]
            middle = np.append((xyz[:, :2].min(0) + xyz[:, :2].max(0)) / 2, 0.0)
            far = np.hypot(xyz[:, 0], xyz[:, 1])
            points.append(np.column_stack([xyz - middle, seen.intensity[rows], far]).astype(np.float32))
            labels.append(names.index(kinds[thing][0]))
            sweeps.append(number)
        number += 1
    return Shots(points, np.array(labels, np.int64), np.array(sweeps, np.int64))


def _cut(xyz: np.ndarray, own: np.ndarray, loose: float, ground: float) -> np.ndarray:
    """Rows within the outline of the thing's own returns, ``loose`` metres wider, above ``ground``."""
    low, high = xyz[own, :2].min(0) - loose, xyz[own, :2].max(0) + loose
    inside = ((xyz[:, :2] >= low) & (xyz[:, :2] <= high)).all(1) & (xyz[:, 2] > ground)
    return np.flatnonzero(inside)
