"""A scan seen from above and as by a camera."""

from __future__ import annotations

import math

import numpy as np

from sslplug_lidar.pictures.canvas import draw


def from_above(
    xyz: np.ndarray, colours: np.ndarray, reach: float | None = None, size: int = 512, dot: int = 1
) -> np.ndarray:
    """(size, size, 3) uint8 bird's-eye picture of points (m, 3): x (forward) is up, y (left) is left; tall points win.

    reach  metres from the origin to the edges; default: so that 98 % of the points are inside
    """
    half = extent(xyz) if reach is None else reach
    places = (1 - xyz[:, :2] / half) * size / 2
    return draw(places, -xyz[:, 2], colours, size, size, dot)


def in_perspective(
    xyz: np.ndarray,
    colours: np.ndarray,
    eye: tuple[float, float, float] | None = None,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    view: float = 60.0,
    height: int = 384,
    width: int = 640,
    dot: int = 2,
) -> np.ndarray:
    """(height, width, 3) uint8 picture of points (m, 3) by a pinhole camera at ``eye`` that looks at ``at``, z upright.

    eye   metres; default: behind and above the points, at a distance that fits them
    view  degrees from the left edge to the right
    """
    where = np.asarray(default_eye(xyz) if eye is None else eye, np.float64)
    ahead = np.asarray(at, np.float64) - where
    ahead /= max(float(np.linalg.norm(ahead)), 1e-12)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-6:  # straight down: keep x up
        right = np.array([0.0, -1.0, 0.0])
    right /= np.linalg.norm(right)
    below = np.cross(ahead, right)
    local = (xyz - where) @ np.stack([right, below, ahead], 1)
    front = local[:, 2] > 0.05
    local = local[front]
    focal = width / 2 / math.tan(math.radians(view) / 2)
    row = height / 2 + focal * local[:, 1] / local[:, 2]
    column = width / 2 + focal * local[:, 0] / local[:, 2]
    far = np.array([-1e6, 1e6])  # keeps points beside the eye within whole numbers
    places = np.clip(np.stack([row, column], 1), *far)
    return draw(places, local[:, 2], colours[front], height, width, dot)


def extent(xyz: np.ndarray) -> float:
    """Metres along x or y within which 98 % of the points lie; 1 for none or a single place."""
    found = float(np.quantile(np.abs(xyz[:, :2]).max(1), 0.98)) if len(xyz) else 0.0
    return found if found > 1e-6 else 1.0


def default_eye(xyz: np.ndarray) -> tuple[float, float, float]:
    """Behind the origin and above it, as far as the points reach."""
    half = extent(xyz)
    return (-1.3 * half, 0.0, 0.8 * half)
