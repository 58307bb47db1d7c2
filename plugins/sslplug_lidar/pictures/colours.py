"""Colours of points: by a number, by an embedding."""

from __future__ import annotations

import numpy as np

_STOPS = np.array([[96, 70, 210], [38, 110, 190], [40, 175, 140], [170, 205, 60], [250, 190, 40], [210, 40, 40]], np.float64)
"""A ramp from violet through green to red; lightness rises to yellow, so that it reads in grey up to there."""


def ramp(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """(m, 3) uint8 colours of numbers (m,), violet at ``low``, red at ``high`` and beyond; grey where not finite.

    The default bounds are the quantiles 2 % and 98 % of the finite values.
    """
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.zeros(1)
    low = float(np.quantile(known, 0.02)) if low is None else low
    high = float(np.quantile(known, 0.98)) if high is None else high
    share = np.clip((np.where(finite, values, low) - low) / max(high - low, 1e-12), 0, 1) * (len(_STOPS) - 1)
    colours = np.stack([np.interp(share, np.arange(len(_STOPS)), _STOPS[:, c]) for c in range(3)], 1)
    colours[~finite] = 128
    return colours.round().astype(np.uint8)


def embedding_colours(rows: np.ndarray) -> np.ndarray:
    """(m, 3) uint8: the first three principal components of embeddings (m, d) as red, green and blue.

    Each component is stretched from its 2 % to its 98 % quantile. Its sign, which is arbitrary, is set so that the
    coordinate of largest weight counts positively. Missing components (d < 3, or fewer rows) are half-bright.
    """
    centred = rows.astype(np.float64) - rows.mean(0) if len(rows) else rows.astype(np.float64)
    shares = np.full((len(rows), 3), 0.5)
    if len(rows) > 1:
        _, axes = np.linalg.eigh(centred.T @ centred)
        for channel, axis in enumerate(axes.T[::-1][:3]):
            part = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
            low, high = np.quantile(part, [0.02, 0.98])
            if high - low > 1e-9 * max(1.0, float(np.abs(part).max())):
                shares[:, channel] = np.clip((part - low) / (high - low), 0, 1)
    return (shares * 255).round().astype(np.uint8)
