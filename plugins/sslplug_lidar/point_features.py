"""Hand-made features of points: shape of spheres of several sizes, height over the ground, the column above, range, channels.

Spheres of growing radius in clouds thinned to match (Thomas et al. 2018, "Semantic classification of 3D point clouds with
multiscale spherical neighborhoods").
"""

from __future__ import annotations

import numpy as np

from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.prepare import thinned
from sslplug_lidar.eigenvalues import PIECE, covariances, neighbourhoods, shape

RADII = (0.4, 0.8, 1.6, 3.2)
"""Metres of the spheres."""
NEIGHBOURS = 40
"""At most so many points of a sphere, the nearest."""
COLUMN = 0.6
"""Metres of the side of the upright columns in which heights are compared."""
GROUND = 4.0
"""Metres of the cells whose lowest points stand for the ground."""


def point_features(clouds: CloudSet, rows: np.ndarray) -> np.ndarray:
    """(len(rows), f) float32 of the named points, in increasing order; z up, the sensor at the origin."""
    query = clouds.xyz[rows]
    owner = clouds.owner[rows]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(clouds.lengths)))]).astype(np.int64)
    x, y, z = query.T.astype(np.float64)
    columns = [z, np.hypot(x, y), z - _lowest(clouds, GROUND)[rows], *_column(clouds, rows), clouds.features[rows]]
    for radius in RADII:
        coarse = thinned(clouds, radius / 6, 0, Rng.root(0))
        columns.append(_spheres(query, offsets, coarse, radius))
    return np.column_stack(columns).astype(np.float32)


def _spheres(query: np.ndarray, offsets: np.ndarray, clouds: CloudSet, radius: float) -> np.ndarray:
    """:func:`_sphere` of all queries, some at a time."""
    found = []
    for start in range(0, len(query), PIECE):
        stop = min(start + PIECE, len(query))
        part = np.clip(offsets, start, stop) - start
        near, real = neighbourhoods(query[start:stop], part, clouds.xyz, clouds.offsets, NEIGHBOURS, radius)
        found.append(_sphere(query[start:stop], clouds, near, real))
    return np.concatenate(found)


def _sphere(query: np.ndarray, clouds: CloudSet, near: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(q, f): eigenvalue shape, points, where the mean and the extremes lie, mean and deviation of the channels."""
    mean, covariance = covariances(clouds.xyz, near, real)
    height = np.where(real, clouds.xyz[near, 2], np.nan)
    off = mean - query
    parts = [
        shape(covariance),
        real.sum(1),
        np.hypot(off[:, 0], off[:, 1]),
        off[:, 2],
        np.sqrt(np.maximum(covariance[:, 2, 2], 0)),
        np.nanmax(height, 1) - query[:, 2],
        query[:, 2] - np.nanmin(height, 1),
    ]
    values = clouds.features[near].astype(np.float64)
    weight = real[..., None] / real.sum(1)[:, None, None]
    average = (values * weight).sum(1)
    spread = np.sqrt(np.maximum((values**2 * weight).sum(1) - average**2, 0))
    return np.column_stack([*parts, average, spread])


def _cells(clouds: CloudSet, side: float) -> tuple[np.ndarray, int]:
    """(m,) number of the upright column of each point's cloud that it stands in, and how many there are."""
    cell = np.floor(clouds.xyz[:, :2] / side).astype(np.int64)
    cell -= cell.min(0)
    width = cell.max(0) + 1
    key = (clouds.owner * width[0] + cell[:, 0]) * width[1] + cell[:, 1]
    names, number = np.unique(key, return_inverse=True)
    return number, len(names)


def _lowest(clouds: CloudSet, side: float) -> np.ndarray:
    """(m,) height of the lowest point of each point's cell."""
    number, cells = _cells(clouds, side)
    low = np.full(cells, np.inf)
    np.minimum.at(low, number, clouds.xyz[:, 2])
    found: np.ndarray = low[number]
    return found


def _column(clouds: CloudSet, rows: np.ndarray) -> list[np.ndarray]:
    """Points in the column, and how far the named points are below its top and above its bottom."""
    number, cells = _cells(clouds, COLUMN)
    low, high = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(low, number, clouds.xyz[:, 2])
    np.maximum.at(high, number, clouds.xyz[:, 2])
    here, z = number[rows], clouds.xyz[rows, 2]
    return [np.bincount(number, minlength=cells)[here], high[here] - z, z - low[here]]
