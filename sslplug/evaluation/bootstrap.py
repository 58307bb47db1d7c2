"""The bootstrap interval of a mean over few observations, widened so that it covers as often as it says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from sslplug.evaluation.paired import ALPHA
from sslplug.evaluation.statistics import Interval, interval

FEWEST = 5
"""Below this many observations no resampling can cover: the range of three covers their mean in 3 of 4 cases."""

_RESAMPLES = 9999


def bootstrap_interval(values: Sequence[float] | np.ndarray) -> tuple[Interval, str]:
    """The mean of independent observations with its 95 % interval, and a note where that is not a bootstrap's.

    BCa (Efron 1987; ``scipy.stats.bootstrap``) at a level widened for n: a bootstrap of a mean is too narrow by
    sqrt((n - 1)/n) and reads normal quantiles where Student's belong (Hesterberg 2015, "What teachers should know about the
    bootstrap", the expanded interval). Below :data:`FEWEST` observations it is Student's t. The same values give the same
    interval. ``tests/benchmarks/sim_intervals.py`` measures how often it covers.

    >>> bootstrap_interval([0.5])[1]
    'one observation: no interval'
    """
    array = np.asarray(values, dtype=np.float64)
    plain, n = interval(array), len(array)
    if n < 2:
        return plain, "one observation: no interval"
    if np.ptp(array) <= 1e-12 * max(1.0, float(np.abs(array).max())):
        return Interval(plain.mean, plain.mean, plain.mean, 0.0, n), f"all {n} observations are equal"
    if n < FEWEST:
        return plain, f"{n} observations are too few for a bootstrap: Student's t"
    reach = math.sqrt(n / (n - 1)) * float(stats.t.ppf(1 - ALPHA / 2, n - 1))
    level = 1 - 2 * float(stats.norm.sf(reach))
    found = stats.bootstrap(
        (array,),
        np.mean,
        method="BCa",
        n_resamples=_RESAMPLES,
        confidence_level=level,
        random_state=np.random.default_rng(0),
    )
    low, high = (float(end) for end in found.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        return plain, "the bootstrap is degenerate: Student's t"
    return Interval(plain.mean, low, high, plain.std, n), ""
