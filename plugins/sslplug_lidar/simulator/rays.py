"""Where rays meet convex pieces: exact, vectorised over (ray, piece) pairs given in the piece's own axes."""

from __future__ import annotations

import numpy as np

from sslplug_lidar.simulator.parts import BOX, CYLINDER, ELLIPSOID

Hit = tuple[np.ndarray, np.ndarray]
"""(p,) distance along the ray, infinite where it misses; (p,) cosine of the angle between ray and surface."""


def meet(kind: np.ndarray, origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Hit:
    """First meeting of p rays with p pieces, centred at 0 with their axes along x, y, z.

    kind (p,), origin (p, 3), direction (p, 3) of length 1, half (p, 3). A ray that starts inside a piece misses it.
    """
    distance, cosine = np.full(len(kind), np.inf), np.zeros(len(kind))
    for which, solve in ((BOX, _box), (ELLIPSOID, _ellipsoid), (CYLINDER, _cylinder)):
        rows = np.flatnonzero(kind == which)
        if len(rows):
            distance[rows], cosine[rows] = solve(origin[rows], direction[rows], half[rows])
    return distance, cosine


def _box(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Hit:
    """Slabs (Kay and Kajiya 1986)."""
    safe = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    one, other = (-half - origin) / safe, (half - origin) / safe
    enter, leave = np.minimum(one, other), np.maximum(one, other)
    axis = enter.argmax(1)
    first = enter.max(1)
    distance = np.where((first <= leave.min(1)) & (first > 0), first, np.inf)
    return distance, np.abs(direction[np.arange(len(axis)), axis])


def _roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both roots of a t^2 + 2 b t + c, smaller first; infinite where there is none."""
    inside = b * b - a * c
    some = (inside >= 0) & (a > 1e-15)
    root = np.sqrt(np.where(some, inside, 0.0))
    base = np.where(some, a, 1.0)
    return np.where(some, (-b - root) / base, np.inf), np.where(some, (-b + root) / base, np.inf)


def _ellipsoid(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Hit:
    o, d = origin / half, direction / half
    first, _ = _roots((d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1)
    distance = np.where(first > 0, first, np.inf)
    met = np.where(np.isfinite(distance), distance, 0.0)
    normal = (o + d * met[:, None]) / half
    cosine = np.abs((normal * direction).sum(1)) / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    return distance, cosine


def _cylinder(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Hit:
    """The infinite elliptical tube cut by the slab |z| <= half z: the later of both entries, if before both exits."""
    o, d = origin[:, :2] / half[:, :2], direction[:, :2] / half[:, :2]
    c = (o * o).sum(1) - 1
    enter, leave = _roots((d * d).sum(1), (o * d).sum(1), c)
    upright = (d * d).sum(1) <= 1e-15  # parallel to the axis: always or never inside the tube
    enter = np.where(upright & (c <= 0), -np.inf, enter)
    dz = np.where(np.abs(direction[:, 2]) < 1e-12, 1e-12, direction[:, 2])
    one, other = (-half[:, 2] - origin[:, 2]) / dz, (half[:, 2] - origin[:, 2]) / dz
    low, high = np.minimum(one, other), np.maximum(one, other)
    first = np.maximum(enter, low)
    distance = np.where((first <= np.minimum(leave, high)) & (first > 0), first, np.inf)
    met = np.where(np.isfinite(distance), distance, 0.0)
    side = (o + d * met[:, None]) / half[:, :2]
    cosine = np.abs((side * direction[:, :2]).sum(1)) / np.maximum(np.linalg.norm(side, axis=1), 1e-12)
    return distance, np.where(enter >= low, cosine, np.abs(direction[:, 2]))
