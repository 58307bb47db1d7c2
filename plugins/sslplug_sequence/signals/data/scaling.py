"""Standardisation by channel over the windows learnt from, and log spectrograms. Never per window: gravity is signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sslplug.errors import DataError, UsageError


def valid_samples(present: np.ndarray, lengths: np.ndarray | None, time: int) -> np.ndarray:
    """(n, D, T) bool: samples that were recorded."""
    inside = np.ones((len(present), time), bool) if lengths is None else np.arange(time) < lengths[:, None]
    valid: np.ndarray = present[:, :, None] & inside[:, None, :]
    return valid


def channel_statistics(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) float64 over the valid samples of (n, D, C, T) values."""
    weight = valid[:, :, None, :]
    count = max(int(valid.sum()), 1)
    mean = (values * weight).sum((0, 1, 3), dtype=np.float64) / count
    square = ((values - mean[None, None, :, None].astype(np.float32)) ** 2 * weight).sum((0, 1, 3), dtype=np.float64) / count
    return mean, np.sqrt(square)


def standardise(values: np.ndarray, valid: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(values - mean) / std by channel; what is not valid stays 0."""
    shift, factor = (array.astype(np.float32)[None, None, :, None] for array in (mean, 1 / std))
    return np.ascontiguousarray((values - shift) * factor * valid[:, :, None, :], np.float32)


def stated_statistics(fitted: Mapping[str, Any], channels: tuple[str, ...], rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation out of what a run kept; DataError where they are of other channels or of another rate."""
    trained = list(fitted.get("channels", ()))
    if trained != list(channels):
        raise DataError(
            f"The run was trained on the channels {', '.join(trained) or 'of other data'}; this data has "
            f"{', '.join(channels)}. Give the same channels in the same order."
        )
    if abs(fitted["rate"] / rate - 1) > 0.02:
        raise DataError(
            f"The run was trained at {fitted['rate']:g} samples a second; this data has {rate:g}. Set data.rate to the run's, or "
            "resample."
        )
    return np.asarray(fitted["mean"], np.float64), np.asarray(fitted["std"], np.float64)


def log_spectrogram(
    values: np.ndarray, lengths: np.ndarray | None, window: int, hop: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """(n, D, C, T) -> (n, D, C * F, T'), log(1e-6 + power) of Hann pieces, F = window // 2 + 1; and the lengths in pieces."""
    time = values.shape[3]
    if window > time:
        raise UsageError(f"data.spectrogram.window is {window}, longer than the {time} samples of a window.")
    pieces = np.lib.stride_tricks.sliding_window_view(values, window, axis=3)[:, :, :, ::hop]
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    power = np.log(1e-6 + np.abs(np.fft.rfft(pieces * taper, axis=-1)) ** 2 / window).astype(np.float32)
    n, devices, channels, count, bins = power.shape
    flat = power.transpose(0, 1, 2, 4, 3).reshape(n, devices, channels * bins, count)
    if lengths is None:
        return np.ascontiguousarray(flat), None
    if int(lengths.min()) < window:
        raise DataError(f"data.spectrogram.window is {window}, but the shortest series has {int(lengths.min())} samples.")
    return np.ascontiguousarray(flat), 1 + (lengths - window) // hop
