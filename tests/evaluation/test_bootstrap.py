"""Intervals of a mean over few seeds."""

from __future__ import annotations

import numpy as np
import pytest

from sslplug.evaluation.bootstrap import FEWEST, bootstrap_interval
from sslplug.evaluation.statistics import interval


def test_few_observations_fall_back_with_a_reason() -> None:
    one, why = bootstrap_interval([0.5])
    assert (one.low, one.high, one.n, why) == (None, None, 1, "one observation: no interval")
    values = [0.7, 0.72, 0.71]
    few, why = bootstrap_interval(values)
    assert few == interval(values)
    assert "too few for a bootstrap" in why


@pytest.mark.parametrize("n", [2, 8])
def test_equal_observations_have_an_interval_of_no_width(n: int) -> None:
    found, why = bootstrap_interval([0.1 + 0.2] * n)
    assert found.low == found.high == pytest.approx(0.3)
    assert why == f"all {n} observations are equal"


def test_it_is_asymmetric_where_the_observations_are_and_repeats() -> None:
    values = np.array([0.1, 0.1, 0.11, 0.12, 0.12, 0.13, 0.4])
    found, why = bootstrap_interval(values)
    assert why == ""
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.mean > 1.3 * (found.mean - found.low)
    assert bootstrap_interval(values)[0] == found


def test_one_observation_that_differs_gives_finite_ends() -> None:
    found, _ = bootstrap_interval([0.5] * 9 + [0.6])
    assert found.low is not None
    assert found.high is not None
    assert 0.5 <= found.low <= found.mean <= found.high <= 0.6


def test_it_covers_where_a_plain_bootstrap_does_not() -> None:
    rng = np.random.default_rng(0)
    found = [bootstrap_interval(rng.normal(size=FEWEST))[0] for _ in range(250)]
    covered = np.mean([one.low <= 0 <= one.high for one in found if one.low is not None and one.high is not None])
    assert covered > 0.87, "BCa at 95 % covers .82 here"
