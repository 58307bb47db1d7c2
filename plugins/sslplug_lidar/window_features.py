"""Hand-made features of radar windows: where the points are, how fast they move, and how both change over the window's frames.

Per frame: points, centroid, spread and extremes of each axis, velocity and intensity; of these series over the window: moments,
quantiles, differences, the spectrum's strongest lines and the autocorrelation. Over all points: occupancy of a coarse grid.
"""

from __future__ import annotations

import numpy as np

LINES = 8
"""Lowest lines of the spectrum that are kept."""
LAGS = (2, 4, 8, 16)
"""Frames of the autocorrelation."""
PARTS = 4
"""Parts of a window whose means are kept in order."""
GRID = ((-1.5, 1.5, 6), (0.0, 4.0, 4), (-1.5, 1.5, 6))
"""Low, high and cells of the grid of x, y, z in metres."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def window_features(
    xyz: np.ndarray, velocity: np.ndarray, intensity: np.ndarray, frame_ptr: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """(w, f) float32 of windows of frames ``frames[:, 0]:frames[:, 1]``, all of one length.

    frame_ptr  (t + 1,) the points of each frame
    """
    series = frame_series(xyz, velocity, intensity, frame_ptr)
    length = int(frames[0, 1] - frames[0, 0])
    rows = frames[:, :1] + np.arange(length)
    pieces = [_of_series(series[rows[a : a + 512]]) for a in range(0, len(rows), 512)]
    counts = _grid_counts(xyz, frame_ptr)
    total = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, 0)])
    inside = total[frames[:, 1]] - total[frames[:, 0]]
    share = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    return np.concatenate([np.concatenate(pieces), share], 1).astype(np.float32)


def frame_series(xyz: np.ndarray, velocity: np.ndarray, intensity: np.ndarray, frame_ptr: np.ndarray) -> np.ndarray:
    """(t, s) what each frame tells: points, and mean, deviation, least and greatest of x, y, z, velocity, |velocity|, intensity."""
    count = np.diff(frame_ptr)
    frame, n = np.repeat(np.arange(len(count)), count), len(count)
    columns = [count.astype(np.float64)]
    there = np.maximum(count, 1)
    some = np.flatnonzero(count > 0)
    for values in (*xyz.T, velocity, np.abs(velocity), intensity):
        values = values.astype(np.float64)
        mean = np.bincount(frame, values, n) / there
        low, high = np.zeros(n), np.zeros(n)
        low[some] = np.minimum.reduceat(values, frame_ptr[some])
        high[some] = np.maximum.reduceat(values, frame_ptr[some])
        columns += [mean, np.sqrt(np.bincount(frame, (values - mean[frame]) ** 2, n) / there), low, high]
    return np.stack(columns, 1)


def _of_series(series: np.ndarray) -> np.ndarray:
    """(w, f) of series (w, frames, s)."""
    w, length, _ = series.shape
    mean, deviation = series.mean(1), series.std(1)
    steps = np.diff(series, axis=1)
    off = series - mean[:, None]
    power = np.abs(np.fft.rfft(off, axis=1))[:, 1:]
    strength = power / np.maximum(power.sum(1, keepdims=True), 1e-9)
    scale = np.maximum((off**2).sum(1), 1e-9)
    lags = [(off[:, lag:] * off[:, :-lag]).sum(1) / scale for lag in LAGS]
    parts = [part.mean(1) for part in np.array_split(series, PARTS, axis=1)]
    blocks = [
        mean,
        deviation,
        *np.quantile(series, QUANTILES, axis=1),
        np.abs(steps).mean(1),
        steps.std(1),
        power.argmax(1),
        strength.max(1),
        strength[:, :LINES].reshape(w, -1),
        (np.diff(np.sign(off), axis=1) != 0).sum(1) / length,
        *lags,
        *parts,
    ]
    return np.concatenate([np.asarray(block, np.float64) for block in blocks], 1)


def _grid_counts(xyz: np.ndarray, frame_ptr: np.ndarray) -> np.ndarray:
    """(t, cells) points of each frame in each cell of the grid; those outside count in the nearest cell."""
    code, cells = np.zeros(len(xyz), np.int64), 1
    for axis, (low, high, count) in enumerate(GRID):
        place = np.clip((count * (xyz[:, axis] - low) / (high - low)).astype(np.int64), 0, count - 1)
        code, cells = code * count + place, cells * count
    frame = np.repeat(np.arange(len(frame_ptr) - 1), np.diff(frame_ptr))
    return np.bincount(frame * cells + code, minlength=(len(frame_ptr) - 1) * cells).reshape(-1, cells).astype(np.float64)
