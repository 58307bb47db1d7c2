"""Hand-made features of windows for the boosted trees and linear baselines: statistics, spectra and relations of channels.

The set is that of wearable practice (Yuan et al. 2024: statistics of axes and magnitude, correlations, spectral entropy,
dominant frequencies; Anguita et al. 2013: band energies, angles to gravity), widened so that a linear model on it is strong:
what spans decades enters as a logarithm. Nothing is fitted and no label is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS = 16
PIECES = 8
SMALL = 1e-6


def signal_features(
    values: np.ndarray, rate: float, triads: Sequence[tuple[int, int, int]], lengths: np.ndarray | None = None
) -> np.ndarray:
    """(n, f) float32 features of (n, C, T) signals at ``rate`` Hz; ragged series by their first ``lengths`` (n,) samples.

    Each triad adds its magnitude as one more channel. Columns are the same for any length, so ragged series compare.
    """
    n, _, time = values.shape
    if lengths is None:
        return _chunks(values, rate, triads, time)
    made: np.ndarray | None = None
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        part = _chunks(values[rows, :, : int(length)], rate, triads, time)
        if made is None:
            made = np.zeros((n, part.shape[1] + 1), np.float32)
        made[rows, :-1], made[rows, -1] = part, length
    assert made is not None
    return made


def _chunks(values: np.ndarray, rate: float, triads: Sequence[tuple[int, int, int]], full: int) -> np.ndarray:
    """2,048 windows at a time: the spectra of all at once would need a multiple of the data's memory."""
    parts = [
        _features(values[start : start + 2048].astype(np.float64), rate, triads, full)
        for start in range(0, len(values), 2048)
    ]
    return np.concatenate(parts)


def _features(values: np.ndarray, rate: float, triads: Sequence[tuple[int, int, int]], full: int) -> np.ndarray:
    """(n, f) of (n, C, t) float64 signals; spectra are taken on the grid of ``full`` samples."""
    n = len(values)
    magnitude = [np.sqrt((values[:, list(triad)] ** 2).sum(1)) for triad in triads]
    signals = np.concatenate([values, *(each[:, None] for each in magnitude)], axis=1)
    mean = signals.mean(2)
    parts = [_statistics(signals, mean), _spectra(signals - mean[:, :, None], rate, full), _course(signals)]
    for number, triad in enumerate(triads):
        parts.append(_relations(values[:, list(triad)], mean[:, list(triad)], magnitude[number]))
    if 1 < values.shape[1] <= 12:
        parts.append(_correlations(values - mean[:, : values.shape[1], None]))
    made = np.concatenate([part.reshape(n, -1) for part in parts], axis=1)
    return np.asarray(made, np.float32)


def _statistics(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(n, s) location, spread, shape and activity of each channel."""
    centred = x - mean[:, :, None]
    square = (centred**2).mean(2)
    std = np.sqrt(square)
    safe = np.maximum(std, SMALL)[:, :, None]
    quantiles = np.quantile(x, QUANTILES, axis=2)
    low, high = x.min(2), x.max(2)
    median = quantiles[2]
    mad = np.median(np.abs(x - median[:, :, None]), axis=2)
    steps = np.diff(x, axis=2) if x.shape[2] > 1 else np.zeros_like(x)
    jerk = np.sqrt((steps**2).mean(2))
    crossings = (np.diff(np.signbit(centred), axis=2)).mean(2) if x.shape[2] > 1 else np.zeros_like(std)
    every = [
        mean,
        std,
        low,
        high,
        high - low,
        *quantiles,
        quantiles[3] - quantiles[1],
        mad,
        np.abs(centred).mean(2),
        (x**2).mean(2),
        ((centred / safe) ** 3).mean(2),
        ((centred / safe) ** 4).mean(2) - 3.0,
        crossings,
        jerk,
        *(np.log(SMALL + spread) for spread in (std, high - low, mad, jerk)),
    ]
    return np.concatenate(every, axis=1)


def _spectra(centred: np.ndarray, rate: float, full: int) -> np.ndarray:
    """(n, s) log power in bands, total, entropy, centroid and the two strongest frequencies of each channel."""
    taper = np.hanning(centred.shape[2] + 2)[1:-1]
    power = np.abs(np.fft.rfft(centred * taper, n=full, axis=2)) ** 2 / max(float((taper**2).sum()), SMALL)
    power = power[:, :, 1:]  # the mean is gone
    frequencies = np.arange(1, power.shape[2] + 1) * rate / full
    # Bands that widen with frequency: the first bins one by one, where gait lies.
    edges = np.unique(np.round(np.geomspace(1, power.shape[2] + 1, BANDS + 1)).astype(int)) - 1
    bands = np.add.reduceat(power, edges[:-1], axis=2) if len(edges) > 1 else power
    total = power.sum(2)
    share = power / np.maximum(total, SMALL)[:, :, None]
    entropy = -(share * np.log(share + 1e-12)).sum(2) / np.log(max(power.shape[2], 2))
    centroid = (share * frequencies).sum(2)
    strongest = np.argpartition(-power, min(1, power.shape[2] - 1), axis=2)[:, :, :2]
    strongest = np.take_along_axis(strongest, np.argsort(-np.take_along_axis(power, strongest, 2), axis=2, kind="stable"), 2)
    peaks = frequencies[strongest]
    heights = np.log(SMALL + np.take_along_axis(power, strongest, 2))
    every = [
        np.log(SMALL + bands),
        np.log(SMALL + total)[..., None],
        entropy[..., None],
        centroid[..., None],
        peaks,
        heights,
    ]
    return np.concatenate([part.reshape(len(centred), -1) for part in every], axis=1)


def _course(x: np.ndarray) -> np.ndarray:
    """(n, s) means of 8 pieces of equal length, in time: the coarse shape of the series."""
    count = min(PIECES, x.shape[2])
    edges = np.linspace(0, x.shape[2], count + 1).astype(int)
    means = np.add.reduceat(x, edges[:-1], axis=2) / np.diff(edges)
    if count < PIECES:
        means = np.repeat(means, -(-PIECES // count), axis=2)[:, :, :PIECES]
    return means.reshape(len(x), -1)


def _relations(x: np.ndarray, mean: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """(n, s) of one triad: correlations of its axes, direction of its mean (gravity), distance of |a| from 1."""
    direction = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), SMALL)
    away = np.abs(magnitude - 1.0).mean(1, keepdims=True)
    dynamic = x - mean[:, :, None]
    vertical = (dynamic * direction[:, :, None]).sum(1)
    level = np.sqrt(np.maximum((dynamic**2).sum(1) - vertical**2, 0.0))
    along = np.stack([vertical.std(1), level.mean(1), level.std(1)], axis=1)
    shares = np.log(SMALL + along)
    return np.concatenate(
        [_correlations(dynamic), direction, np.arccos(np.clip(direction, -1, 1)), away, along, shares], axis=1
    )


def _correlations(centred: np.ndarray) -> np.ndarray:
    """(n, C (C - 1) / 2) correlations of the channels; 0 where one is constant."""
    length = np.sqrt((centred**2).sum(2, keepdims=True))
    unit = centred / np.maximum(length, SMALL)
    first, second = np.triu_indices(centred.shape[1], 1)
    found: np.ndarray = (unit @ unit.transpose(0, 2, 1))[:, first, second]
    return found
