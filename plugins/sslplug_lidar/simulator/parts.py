"""The convex pieces that simulated things are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

BOX, ELLIPSOID, CYLINDER = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Parts:
    """k convex pieces, each turned about the vertical alone. Metres, z up.

    kind          (k,) BOX, ELLIPSOID or CYLINDER (upright, elliptical)
    centre        (k, 3);  yaw (k,) radians;  half (k, 3) half sizes along its own axes
    reflectivity  (k,) share of light that comes back from a surface that faces the sensor
    porosity      (k,) chance that a beam passes through: leaves, glass, spokes
    rough         (k,) metres of deviation of the range beyond the sensor's own
    owner         (k,) number of the thing that each piece belongs to
    """

    kind: np.ndarray
    centre: np.ndarray
    yaw: np.ndarray
    half: np.ndarray
    reflectivity: np.ndarray
    porosity: np.ndarray
    rough: np.ndarray
    owner: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: np.ndarray) -> Parts:
        """The named pieces."""
        return Parts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def placed(self, position: np.ndarray, yaw: np.ndarray) -> Parts:
        """Pieces of things given about their own origin, moved to where their owners are.

        position  (o, 3) and yaw (o,) of each owner; owners number its rows
        """
        turn, shift = yaw[self.owner], position[self.owner]
        cos, sin = np.cos(turn), np.sin(turn)
        x, y, z = self.centre.T
        centre = np.stack([cos * x - sin * y, sin * x + cos * y, z], 1) + shift
        return replace(self, centre=centre, yaw=self.yaw + turn)


def part(
    kind: int,
    centre: tuple[float, float, float],
    half: tuple[float, float, float],
    reflectivity: float,
    yaw: float = 0.0,
    porosity: float = 0.0,
    rough: float = 0.0,
) -> Parts:
    """One piece of the thing number 0."""
    return Parts(
        np.array([kind]),
        np.array([centre], np.float64),
        np.array([yaw], np.float64),
        np.array([half], np.float64),
        np.array([reflectivity], np.float64),
        np.array([porosity], np.float64),
        np.array([rough], np.float64),
        np.zeros(1, np.int64),
    )


def joined(parts: Sequence[Parts]) -> Parts:
    """Pieces of one thing, or of several that keep their owners' numbers."""
    return Parts(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Parts)))


def things(parts: Sequence[Parts]) -> Parts:
    """Thing i of the list becomes owner i, whatever its pieces were numbered."""
    return joined([replace(p, owner=np.full(len(p), number)) for number, p in enumerate(parts)])
