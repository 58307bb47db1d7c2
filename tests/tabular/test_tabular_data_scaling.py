"""Scalers against scikit-learn and against their definitions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from sslplug.randomness import Rng
from sslplug_tabular.data import scaling
from sslplug_tabular.data.scaling import QuantileNormal, fit_scaler, load_scaler, quantile_count

RNG = Rng.root(3)


def skewed(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(size=rows)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rows", [50, 1_000, 40_000])
def test_quantile_normal_is_scikit_learns(rows: int, ties: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the noise of fitting, quantiles and values are QuantileTransformer's, ties and outliers too."""
    monkeypatch.setattr(scaling, "NOISE", 0.0)
    values = np.floor(3 * skewed(rows)) if ties else skewed(rows)
    new = np.concatenate([values[: rows // 2], skewed(500, 1), [-5.0, 1e6]])
    ours = fit_scaler("quantile-normal", values, RNG)
    theirs = QuantileTransformer(n_quantiles=quantile_count(rows), output_distribution="normal", subsample=None)
    theirs.fit(values[:, None])
    assert isinstance(ours, QuantileNormal)
    np.testing.assert_allclose(ours.quantiles, theirs.quantiles_[:, 0], rtol=1e-13)
    inside = (new != values.min()) & (new != values.max()) if ties else np.full(len(new), True)
    np.testing.assert_allclose(ours(new)[inside], theirs.transform(new[inside, None])[:, 0], atol=2e-6)


def test_tied_ends_get_the_middle_of_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is mostly zero is not torn to -5.2 (as scikit-learn's transformer does) but to where its middle is."""
    monkeypatch.setattr(scaling, "NOISE", 0.0)
    values = np.concatenate([np.zeros(24_000), skewed(6_000)])
    zero = fit_scaler("quantile-normal", values, RNG)(np.zeros(1))[0]
    assert abs(norm.cdf(zero) - 0.4) < 1e-3


def test_the_count_of_quantiles_is_one_in_thirty_rows() -> None:
    assert [quantile_count(n) for n in (3, 10, 299, 300, 330, 30_000, 10**6)] == [3, 10, 10, 10, 11, 1000, 1000]


def test_noise_breaks_ties_by_a_thousandth_of_the_deviation() -> None:
    values = np.repeat([0.0, 10.0], [300, 700])
    fitted = fit_scaler("quantile-normal", values, RNG)
    assert isinstance(fitted, QuantileNormal)
    spread = np.abs(fitted.quantiles - np.round(fitted.quantiles, -1))
    assert 0 < spread.max() < 5e-3 * values.std()
    again = fit_scaler("quantile-normal", values, RNG)
    assert isinstance(again, QuantileNormal)
    np.testing.assert_array_equal(fitted.quantiles, again.quantiles)


def test_the_result_is_normal() -> None:
    values = skewed(30_000)
    found = fit_scaler("quantile-normal", values, RNG)(values)
    assert abs(found.mean()) < 0.01
    assert abs(found.std() - 1) < 0.02
    shares = [(found < q).mean() - norm.cdf(q) for q in (-2, -1, 0, 1, 2)]
    assert max(map(abs, shares)) < 0.002


def test_linear_scalers_are_scikit_learns() -> None:
    values, new = skewed(300), skewed(100, 1)
    standard = StandardScaler().fit(values[:, None]).transform(new[:, None])[:, 0]
    np.testing.assert_allclose(fit_scaler("standard", values, RNG)(new), standard, rtol=1e-6)
    minmax = MinMaxScaler().fit(values[:, None]).transform(new[:, None])[:, 0]
    np.testing.assert_allclose(fit_scaler("min-max", values, RNG)(new), minmax, rtol=1e-6)


@pytest.mark.parametrize("how", ["quantile-normal", "standard", "min-max"])
def test_nothing_and_one_value_become_zero(how: scaling.Scaling) -> None:
    for values in (np.full(5, np.nan), np.full(40, 0.1), np.array([7.0])):
        assert fit_scaler(how, values, RNG)(np.array([0.1, 7.0, 1e9])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("how", ["quantile-normal", "standard", "min-max"])
def test_missing_values_do_not_count(how: scaling.Scaling) -> None:
    values = skewed(500)
    holes = np.insert(values, [0, 7, 300], np.nan)
    np.testing.assert_array_equal(fit_scaler(how, holes, RNG)(values), fit_scaler(how, values, RNG)(values))


@given(
    st.lists(st.floats(-1e30, 1e30, allow_subnormal=False), min_size=2, max_size=60),
    st.lists(st.floats(-3e38, 3e38), min_size=1, max_size=20),
    st.sampled_from(["quantile-normal", "standard", "min-max"]),
)
def test_always_finite_monotone_and_the_same_from_json(values: list[float], new: list[float], how: scaling.Scaling) -> None:
    fitted = fit_scaler(how, np.array(values), RNG)
    given_values = np.sort(np.array(new))
    found = fitted(given_values)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    read = load_scaler(json.loads(json.dumps(fitted.state)))
    assert read(given_values).tobytes() == found.tobytes()


def test_small_scales_are_not_rounded_away() -> None:
    """Values of the size 1e-9 spread as those of the size 1 do."""
    values = skewed(1000)
    small = fit_scaler("quantile-normal", values * 2.0**-30, RNG)(values * 2.0**-30)
    np.testing.assert_allclose(small, fit_scaler("quantile-normal", values, RNG)(values), atol=1e-6)
