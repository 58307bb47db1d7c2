"""What an engineer would feed a boosted tree that knows no network. Label-free, and meant to be hard to beat.

Of clouds: extents, heights, densities, outlines by slices of height, eigenvalue shape of the whole and of neighbourhoods of several
sizes, histograms and quantiles of each channel. Of points: see :mod:`sslplug_lidar.point_features`.
"""

from __future__ import annotations

import numpy as np

from sslplug.contracts import RawFeatures, Task
from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.prepare import thinned
from sslplug_lidar.eigenvalues import SHAPE, local_shape, neighbourhoods, shape
from sslplug_lidar.point_features import point_features

NEIGHBOURS = (8, 16, 40)
"""Sizes of the neighbourhoods whose shape is summed up over a cloud."""
LOOKED_AT = 128
"""At most so many points of a cloud, drawn once, whose neighbourhoods are looked at."""
SLICES = 8
"""Slices of a cloud between its lowest and highest point."""
BAND, BANDS = 0.3, 10
"""Metres of a band of height above the lowest point, and how many are counted."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BINS = 10
"""Bins of a channel's histogram, between the quantiles 1 % and 99 % of all points."""


def raw_features(clouds: CloudSet, task: Task) -> RawFeatures:
    """Rows of the task's level; of points, only those that the task judges, NaN elsewhere."""
    if task.level == "cloud":
        return RawFeatures(cloud_features(clouds))
    rows = np.arange(len(clouds.xyz)) if task.members is None else np.unique(task.members)
    found = point_features(clouds, rows)
    every = np.full((len(clouds.xyz), found.shape[1]), np.nan, np.float32)
    every[rows] = found
    return RawFeatures(every)


def cloud_features(clouds: CloudSet) -> np.ndarray:
    """(n, f) float32 of clouds that hold at least one point each."""
    offsets, owner, n = clouds.offsets, clouds.owner, len(clouds.lengths)
    count = clouds.lengths.astype(np.float64)
    xyz, outline = _turned(clouds.xyz.astype(np.float64), owner, count)
    low, high = np.minimum.reduceat(xyz, offsets[:-1]), np.maximum.reduceat(xyz, offsets[:-1])
    extent = high - low
    height = xyz[:, 2] - low[owner, 2]
    reach = np.hypot(xyz[:, 0], xyz[:, 1])
    area, volume = np.maximum(extent[:, 0] * extent[:, 1], 1e-3), np.maximum(extent.prod(1), 1e-4)
    columns = [
        count,
        np.log(count),
        extent,
        np.sort(extent[:, :2], 1)[:, ::-1] / np.maximum(extent[:, 2:], 1e-2),
        np.linalg.norm(extent, axis=1),
        outline,
        low[:, 2],
        high[:, 2],
        count / area,
        count / volume,
        *_moments(height, owner, count),
        quantiles(height, owner, offsets),
        quantiles(height / np.maximum(extent[owner, 2], 1e-3), owner, offsets),
        *_moments(reach, owner, count),
        quantiles(reach, owner, offsets),
        _bands(height, owner, count),
        _slices(xyz, height, extent, owner, count),
    ]
    some = thinned(clouds, 0.0, LOOKED_AT, Rng.root(0))
    looked, place, many = some.owner, some.offsets, some.lengths.astype(np.float64)
    for k in NEIGHBOURS:
        local = local_shape(some.xyz, place, clouds.xyz, offsets, k)
        for column in range(len(SHAPE)):
            values = local[:, column].astype(np.float64)
            columns += [*_moments(values, looked, many)]
            if k == NEIGHBOURS[1]:
                columns.append(quantiles(values, looked, place))
    rows, real = neighbourhoods(some.xyz, place, clouds.xyz, offsets, 4)
    gap = np.linalg.norm(clouds.xyz[rows[:, 1:]] - some.xyz[:, None], axis=2)
    gap = np.where(real[:, 1:], gap, 0.0).max(1).astype(np.float64)
    columns += [*_moments(gap, looked, many), quantiles(gap, looked, place)]
    for channel in range(clouds.features.shape[1]):
        values = clouds.features[:, channel].astype(np.float64)
        columns += [*_moments(values, owner, count), quantiles(values, owner, offsets), _histogram(values, owner, count)]
        upper = height > 0.5 * extent[owner, 2]
        there = np.bincount(owner, upper, n)
        columns.append(np.bincount(owner, values * upper, n) / np.maximum(there, 1))
    found = np.column_stack(columns)
    assert len(found) == n
    finite: np.ndarray = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    return finite


def quantiles(values: np.ndarray, owner: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(n, len(QUANTILES)) of each cloud's values: the sample at that rank."""
    order = np.lexsort((values, owner))
    last = np.diff(offsets) - 1
    places = [offsets[:-1] + np.round(share * last).astype(np.int64) for share in QUANTILES]
    return np.stack([values[order[place]] for place in places], 1)


def _moments(values: np.ndarray, owner: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.bincount(owner, values, len(count)) / count
    return mean, np.sqrt(np.bincount(owner, (values - mean[owner]) ** 2, len(count)) / count)


def _turned(xyz: np.ndarray, owner: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clouds about their centroid on the ground with their longest horizontal axis along x; and shape of the whole (n, SHAPE).

    Heading is left out by this; height stays.
    """
    n = len(count)
    mean = np.stack([np.bincount(owner, xyz[:, axis], n) for axis in range(3)], 1) / count[:, None]
    off = xyz - mean[owner]
    second = np.stack(
        [[np.bincount(owner, off[:, a] * off[:, b], n) / count for b in range(3)] for a in range(3)]
    ).transpose(2, 0, 1)
    angle = 0.5 * np.arctan2(2 * second[:, 0, 1], second[:, 0, 0] - second[:, 1, 1])
    cos, sin = np.cos(angle)[owner], np.sin(angle)[owner]
    x, y = off[:, 0], off[:, 1]
    return np.stack([cos * x + sin * y, cos * y - sin * x, xyz[:, 2]], 1), shape(second)


def _bands(height: np.ndarray, owner: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(n, BANDS) share of points by height in metres above the lowest; the last band has no top."""
    band = np.minimum((height / BAND).astype(np.int64), BANDS - 1)
    found: np.ndarray = np.bincount(owner * BANDS + band, minlength=len(count) * BANDS).reshape(-1, BANDS) / count[:, None]
    return found


def _slices(xyz: np.ndarray, height: np.ndarray, extent: np.ndarray, owner: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(n, 4 SLICES): of each slice the share of points, its length, its width and how far its middle is from the cloud's."""
    part = np.minimum((SLICES * height / np.maximum(extent[owner, 2], 1e-6)).astype(np.int64), SLICES - 1)
    cell, cells = owner * SLICES + part, len(count) * SLICES
    there = np.bincount(cell, minlength=cells)
    low, high = np.full((cells, 2), np.inf), np.full((cells, 2), -np.inf)
    np.minimum.at(low, cell, xyz[:, :2])
    np.maximum.at(high, cell, xyz[:, :2])
    some = there[:, None] > 0
    size = np.where(some, high - low, 0.0)
    middle = np.stack([np.bincount(cell, xyz[:, axis], cells) for axis in (0, 1)], 1) / np.maximum(there, 1)[:, None]
    rows = [there / np.repeat(count, SLICES), size[:, 0], size[:, 1], np.hypot(middle[:, 0], middle[:, 1])]
    return np.stack(rows, 1).reshape(len(count), -1)


def _histogram(values: np.ndarray, owner: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(n, BINS) share of points by value."""
    low, high = np.quantile(values, [0.01, 0.99])
    place = np.clip(BINS * (values - low) / max(high - low, 1e-12), 0, BINS - 1).astype(np.int64)
    found: np.ndarray = np.bincount(owner * BINS + place, minlength=len(count) * BINS).reshape(-1, BINS) / count[:, None]
    return found
