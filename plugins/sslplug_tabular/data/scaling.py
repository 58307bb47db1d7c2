"""Scalers of numeric columns: fitted on allowed rows, kept as plain numbers, the same bit for bit when read back.

The quantile transform follows Gorishniy et al. 2021 ("Revisiting Deep Learning Models for Tabular Data", section 4.2): one
quantile for every 30 rows, at least 10 and at most 1000, fitted on the values plus Gaussian noise of 1e-3 of their deviation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from scipy.special import ndtri

from sslplug.randomness import Rng

Scaling = Literal["quantile-normal", "standard", "min-max"]
NOISE = 1e-3
"""Deviation of the noise in fitting, in units of the column's."""
_EDGE = float(ndtri(1 - 1e-7))
"""The largest normal value of the quantile transform: 5.2 deviations."""
_HUGE = float(np.finfo(np.float32).max)


class Scaler(Protocol):
    """Scales (n,) float64 values without NaN to finite float32; ``state`` holds it as values that JSON can hold."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The scaled values."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """What :func:`load_scaler` needs."""
        ...


@dataclass(frozen=True)
class Linear:
    """(value - centre) / spread: the standard and the min-max scaler. A spread of 0 gives 0."""

    centre: float
    spread: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The scaled values; those beyond float32 are cut there."""
        if self.spread == 0:
            return np.zeros(len(values), np.float32)
        scaled: np.ndarray = np.clip((values - self.centre) / self.spread, -_HUGE, _HUGE).astype(np.float32)
        return scaled

    @property
    def state(self) -> dict[str, Any]:
        """See :class:`Scaler`."""
        return {"centre": self.centre, "spread": self.spread}


@dataclass(frozen=True, eq=False)
class QuantileNormal:
    """A value's share in the column's distribution, linear between the fitted quantiles, as that quantile of the normal.

    quantiles  (q,) float64, ascending: the values at the shares 0, 1/(q-1), ..., 1

    A value at tied quantiles gets the middle of their shares, at the ends too (scikit-learn's transformer moves tied ends to
    +-5.2); values beyond the fitted range get +-5.2.
    """

    quantiles: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The scaled values."""
        q = self.quantiles
        if q[0] == q[-1]:
            return np.zeros(len(values), np.float32)
        shares = np.linspace(0, 1, len(q))
        share = np.interp(values, q, shares)
        if np.any(np.diff(q) == 0):  # from the other side, ties fall on their first share instead of their last
            share = 0.5 * (share + 1 - np.interp(-values, -q[::-1], shares))
        scaled: np.ndarray = np.clip(ndtri(share), -_EDGE, _EDGE).astype(np.float32)
        return scaled

    @property
    def state(self) -> dict[str, Any]:
        """See :class:`Scaler`."""
        return {"quantiles": self.quantiles.tolist()}


def quantile_count(rows: int) -> int:
    """How many quantiles are fitted on so many rows.

    >>> [quantile_count(n) for n in (5, 100, 13_209, 1_000_000)]
    [5, 10, 440, 1000]
    """
    return min(max(min(rows // 30, 1000), 10), rows)


def fit_scaler(how: Scaling, values: np.ndarray, rng: Rng) -> Scaler:
    """A scaler of one column, from (n,) float64 values of allowed rows, NaN where missing.

    min-max scales to 0..1 over these values, standard to mean 0 and deviation 1. Without a value, or with one value alone,
    everything becomes 0.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return Linear(0.0, 0.0)
    if how == "min-max":
        return Linear(float(present.min()), float(present.max() - present.min()))
    deviation = float(present.std())
    if deviation <= 1e-12 * float(np.abs(present).max()):  # rounding of a single value, not a spread
        return Linear(float(present.mean()), 0.0)
    if how == "standard":
        return Linear(float(present.mean()), deviation)
    noisy = present + NOISE * deviation * rng.numpy().standard_normal(len(present))
    quantiles = np.quantile(noisy, np.linspace(0, 1, quantile_count(len(present))))
    return QuantileNormal(np.maximum.accumulate(quantiles))  # rounding within ties may leave them a bit out of order


def load_scaler(state: Mapping[str, Any]) -> Scaler:
    """The scaler of a ``state``."""
    if "quantiles" in state:
        return QuantileNormal(np.array(state["quantiles"], np.float64))
    return Linear(float(state["centre"]), float(state["spread"]))
