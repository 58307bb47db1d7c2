"""Hand-made features against scipy's and numpy's figures, signal by signal; what they may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sslplug_sequence.signals.raw_features import PIECES, QUANTILES, signal_features

RATE = 25.0


def noise(n: int = 6, channels: int = 3, time: int = 100, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels, time)).cumsum(2).astype(np.float32) * 0.2


def has(features: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether one column holds these values."""
    near = np.isclose(features, np.asarray(wanted, np.float32)[:, None], rtol=1e-3, atol=1e-4).all(0)
    return bool(near.any())


def test_statistics_are_there() -> None:
    x = noise()
    made = signal_features(x, RATE, ())
    channel = x[:, 1].astype(np.float64)
    std = channel.std(1)
    for wanted in (
        channel.mean(1),
        std,
        channel.min(1),
        channel.max(1),
        np.ptp(channel, axis=1),
        *np.quantile(channel, QUANTILES, axis=1),
        stats.iqr(channel, axis=1),
        stats.median_abs_deviation(channel, axis=1),
        stats.skew(channel, axis=1),
        stats.kurtosis(channel, axis=1),
        (channel**2).mean(1),
        np.log(1e-6 + std),
        np.sqrt((np.diff(channel, axis=1) ** 2).mean(1)),
        (np.diff(np.sign(channel - channel.mean(1, keepdims=True)), axis=1) != 0).mean(1),
    ):
        assert has(made, wanted)


def test_relations_of_a_triad_are_there() -> None:
    x = noise()
    made = signal_features(x, RATE, ((0, 1, 2),))
    norm = np.linalg.norm(x.astype(np.float64), axis=1)
    assert has(made, norm.mean(1))
    assert has(made, norm.std(1))
    assert has(made, np.abs(norm - 1).mean(1))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert has(made, np.array([np.corrcoef(row[a], row[b])[0, 1] for row in x]))
    mean = x.mean(2)
    assert has(made, mean[:, 2] / np.linalg.norm(mean, axis=1))


def test_dominant_frequencies_and_their_entropy() -> None:
    time = np.arange(100) / RATE
    hertz = np.array([1.0, 2.0, 5.0, 8.0])
    pure = np.sin(2 * np.pi * hertz[:, None] * time)
    mixed = pure + 0.5 * np.sin(2 * np.pi * 11 * time)
    made = signal_features(pure[:, None].astype(np.float32), RATE, ())
    assert has(made, hertz)
    both = signal_features(mixed[:, None].astype(np.float32), RATE, ())
    assert has(both, hertz)
    white = signal_features(np.random.default_rng(0).normal(size=(4, 1, 100)).astype(np.float32), RATE, ())
    spread = [
        c for c in range(made.shape[1]) if (white[:, c] > 0.75).all() and (made[:, c] < 0.5).all() and made[:, c].min() > 0
    ]
    assert any((white[:, c] <= 1).all() for c in spread), "no column is a normalised spectral entropy"


def test_the_course_is_the_mean_of_pieces() -> None:
    x = noise(channels=1, time=96)
    made = signal_features(x, RATE, ())
    for piece in range(PIECES):
        assert has(made, x[:, 0, piece * 12 : (piece + 1) * 12].mean(1))


def test_rows_do_not_depend_on_each_other() -> None:
    x = noise(5000, 3, 32)
    made = signal_features(x, RATE, ((0, 1, 2),))
    np.testing.assert_allclose(signal_features(x[4321:4322], RATE, ((0, 1, 2),))[0], made[4321], rtol=1e-4, atol=1e-4)


def test_ragged_rows_are_judged_by_their_own_samples() -> None:
    x = noise(4, 2, 60)
    lengths = np.array([60, 20, 3, 20])
    garbage = x.copy()
    for row, length in enumerate(lengths):
        garbage[row, :, length:] = 1e6
    made = signal_features(garbage, RATE, (), lengths)
    assert made.shape[0] == 4
    assert np.abs(made).max() < 1e5
    assert np.isfinite(made).all()
    assert has(made, lengths)
    assert has(made, np.array([x[row, 0, :length].mean() for row, length in enumerate(lengths)]))
    assert signal_features(x, RATE, (), np.full(4, 60)).shape[1] == made.shape[1]


@pytest.mark.parametrize("time", [1, 2, 3, 8])
def test_short_and_constant_signals_are_finite(time: int) -> None:
    for x in (noise(3, 3, time), np.zeros((3, 3, time), np.float32), np.ones((3, 3, time), np.float32)):
        made = signal_features(x, RATE, ((0, 1, 2),))
        assert np.isfinite(made).all()


def test_size_and_place_matter_and_nothing_is_fitted() -> None:
    x = noise(8)
    one, two = (signal_features(part, RATE, ()) for part in (x[:4], x[4:]))
    np.testing.assert_allclose(np.concatenate([one, two]), signal_features(x, RATE, ()), rtol=1e-5, atol=1e-5)
    assert not np.allclose(signal_features(2 * x, RATE, ()), signal_features(x, RATE, ()))
