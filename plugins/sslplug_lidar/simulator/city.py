"""An endless city of square blocks: what stands in a block is a function of the seed and the block's numbers alone.

Roads run along x = i BLOCK and y = j BLOCK; block (i, j) lies between road i and road i + 1. From a road's middle outwards: two
lanes, parked vehicles, pavement with posts, trees and people, gardens, walls. A place that is visited twice looks the same but
for what moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslplug.randomness import Rng
from sslplug_lidar.simulator.objects import OBJECTS
from sslplug_lidar.simulator.parts import BOX, Parts, joined, part, things

BLOCK = 60.0
"""Metres from one road's middle to the next."""
LANE, PARKED, KERB, POSTS, WALK, GARDEN, WALLS = 2.0, 5.1, 6.2, 6.7, 7.8, 9.5, 11.5
"""Metres from a road's middle to a lane's middle, parked vehicles, the kerb, posts, walkers, gardens, the nearest walls."""
STEP = 0.12
"""Metres of the kerb's height."""
CLASSES = ("road", "pavement", "wall", *OBJECTS)
"""Names of what a return can come from."""
Standing = tuple[str, Parts]


@dataclass(frozen=True, eq=False)
class Scene:
    """Things that stand or move; pieces are given about each thing's own origin.

    label     (o,) number of each thing's class in CLASSES
    position  (o, 3) metres at time 0;  yaw (o,) at time 0
    speed     (o,) metres a second along the yaw;  turn (o,) radians a second
    """

    parts: Parts
    label: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    speed: np.ndarray
    turn: np.ndarray

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """(o, 3) positions and (o,) yaws at a time in seconds: straight lines and circles, exactly."""
        yaw = self.yaw + self.turn * time
        bent = np.abs(self.turn) > 1e-9
        turn = np.where(bent, self.turn, 1.0)
        x = np.where(bent, (np.sin(yaw) - np.sin(self.yaw)) / turn, time * np.cos(self.yaw))
        y = np.where(bent, (np.cos(self.yaw) - np.cos(yaw)) / turn, time * np.sin(self.yaw))
        return self.position + np.stack([self.speed * x, self.speed * y, np.zeros(len(x))], 1), yaw


def placed(kinds: list[Standing], position: np.ndarray, yaw: np.ndarray, speed: np.ndarray, turn: np.ndarray) -> Scene:
    """A scene of named things."""
    label = np.array([CLASSES.index(name) for name, _ in kinds], np.int64)
    return Scene(things([parts for _, parts in kinds]), label, position, yaw, speed, turn)


def together(scenes: list[Scene]) -> Scene:
    """All things of several scenes; owners are renumbered."""
    start = np.cumsum([0, *[len(scene.label) for scene in scenes]])
    parts = [
        Parts(p.kind, p.centre, p.yaw, p.half, p.reflectivity, p.porosity, p.rough, p.owner + first)
        for p, first in zip((scene.parts for scene in scenes), start)
    ]
    return Scene(
        joined(parts),
        np.concatenate([scene.label for scene in scenes]),
        np.concatenate([scene.position for scene in scenes]),
        np.concatenate([scene.yaw for scene in scenes]),
        np.concatenate([scene.speed for scene in scenes]),
        np.concatenate([scene.turn for scene in scenes]),
    )


def block(i: int, j: int, rng: Rng) -> Scene:
    """What stands in block (i, j): its slab of pavement, and on each side walls, gardens, posts and parked vehicles."""
    draw = rng.fork("block", i, j).numpy()
    kinds: list[Standing] = []
    where: list[tuple[float, float, float, float]] = []  # along the side, away from the road's middle, height, yaw

    def stand(name: str, along: float, away: float, height: float, yaw: float) -> None:
        kinds.append((name, OBJECTS[name](draw)))
        where.append((along, away, height, yaw))

    inner = BLOCK / 2 - KERB
    kinds.append(("pavement", part(BOX, (0, 0, STEP / 2), (inner, inner, STEP / 2), draw.uniform(0.18, 0.3))))
    where.append((BLOCK / 2, BLOCK / 2, 0.0, 0.0))
    sides = [0]
    for _ in range(4):
        along = WALLS
        while along < BLOCK - WALLS - 3:
            length = min(draw.uniform(5.0, 16.0), BLOCK - WALLS - along)
            if draw.random() < 0.8:
                high, deep = draw.uniform(2.5, 11.0), draw.uniform(0.0, 5.0)
                stone = part(BOX, (0, 0, high / 2), (length / 2, 0.4, high / 2), draw.uniform(0.15, 0.5), porosity=0.05)
                kinds.append(("wall", stone))
                where.append((along + length / 2, WALLS + deep, STEP, 0.0))
            along += length + draw.uniform(0.0, 2.0)
        for slot in np.arange(14.0, BLOCK - 12.0, 6.6):
            kind = draw.random()
            if kind < 0.55:
                backwards = np.pi * (draw.random() < 0.5)
                stand(
                    "car" if kind < 0.4 else "van", slot + draw.normal(0, 0.3), PARKED, 0.0, draw.normal(0, 0.03) + backwards
                )
        for spot in np.arange(10.0, BLOCK - 8.0, 7.0):
            name = draw.choice(["pole", "sign", "tree", "none"], p=[0.3, 0.2, 0.25, 0.25])
            if name != "none":
                stand(str(name), spot + draw.normal(0, 1.0), POSTS + draw.uniform(0, 0.4), STEP, np.pi * draw.integers(2))
        for spot in draw.uniform(10, BLOCK - 10, int(draw.integers(2, 7))):
            stand("bush", float(spot), GARDEN + draw.uniform(-0.4, 1.2), STEP, draw.uniform(0, np.pi))
        for spot in draw.uniform(10, BLOCK - 10, int(draw.integers(0, 4))):
            stand("person", float(spot), WALK + draw.uniform(-0.6, 0.9), STEP, draw.uniform(0, 2 * np.pi))
        sides.append(len(kinds))
    position, yaw = np.zeros((len(kinds), 3)), np.zeros(len(kinds))
    for side, (first, last) in enumerate(zip(sides, sides[1:])):
        along, away, height, turned = np.array(where[first:last]).T
        angle = side * np.pi / 2
        x, y = along - BLOCK / 2, away - BLOCK / 2
        position[first:last, 0] = (i + 0.5) * BLOCK + np.cos(angle) * x - np.sin(angle) * y
        position[first:last, 1] = (j + 0.5) * BLOCK + np.sin(angle) * x + np.cos(angle) * y
        position[first:last, 2], yaw[first:last] = height, turned + angle
    still = np.zeros(len(kinds))
    return placed(kinds, position, yaw, still, still)


def movers(low: np.ndarray, high: np.ndarray, density: float, draw: np.random.Generator) -> Scene:
    """Vehicles and cyclists in the lanes and walkers on the pavements of the roads within a rectangle, at time 0.

    low, high  (2,) corners in metres;  density  things a hundred metres of lane or pavement
    """
    kinds: list[Standing] = []
    rows: list[tuple[float, float, float, float, float, float]] = []  # x, y, z, yaw, speed, turn
    for axis in (0, 1):  # roads along x, then along y
        for road in range(int(np.ceil(low[1 - axis] / BLOCK)), int(np.floor(high[1 - axis] / BLOCK)) + 1):
            for away, names, share in (
                (LANE, ("car", "car", "van"), 0.7),
                (LANE + 1.4, ("cyclist",), 0.7),
                (WALK, ("person",), 1.6),
            ):
                for side in (-1, 1):
                    span = high[axis] - low[axis]
                    for along in low[axis] + span * draw.random(draw.poisson(density * share * span / 100)):
                        name = names[int(draw.integers(len(names)))]
                        # Traffic keeps to the right: seen along +x, the right lane lies at negative y.
                        forward = side < 0 if name != "person" else bool(draw.integers(2))
                        yaw = (0.0 if forward else np.pi) + axis * np.pi / 2
                        across = road * BLOCK + side * (away + draw.normal(0, 0.15)) * (1 if axis == 0 else -1)
                        x, y = (along, across) if axis == 0 else (across, along)
                        speed = {"car": 8.0, "van": 7.0, "cyclist": 4.5, "person": 1.3}[name] * draw.uniform(0.5, 1.3)
                        turn = draw.normal(0, 0.3) if draw.random() < 0.2 else 0.0
                        kinds.append((name, OBJECTS[name](draw)))
                        rows.append((x, y, STEP if name == "person" else 0.0, yaw, speed, turn))
    if not kinds:
        kinds, rows = [("person", OBJECTS["person"](draw))], [(low[0], low[1], 0.0, 0.0, 0.0, 0.0)]
    values = np.array(rows)
    return placed(kinds, values[:, :3], values[:, 3], values[:, 4], values[:, 5])
