"""The paired test's parts by hand; its level on simulated data is test_statistics_level.py's."""

import numpy as np
import pytest
from scipy import stats

from sslplug.evaluation.paired import GROUPS, jackknife, paired_test, row_groups


def test_folds_are_nadeau_and_bengio() -> None:
    differences = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
    found = paired_test(differences[:, None], np.linspace(0, 1, GROUPS), 90, 10)
    error = differences.std(ddof=1) * np.sqrt(1 / 5 + 1 / 9)
    assert found.p == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4))
    assert found.high == pytest.approx(differences.mean() + stats.t.ppf(0.975, 4) * error)
    assert (found.n, found.name, found.note) == (5, "corrected resampled t", "")
    plain = stats.ttest_1samp(differences, 0.0).pvalue
    assert found.p is not None
    assert found.p > plain


def test_seeds_and_splits_are_crossed() -> None:
    """Seeds that differ as wholes are uncertainty that averaging within splits would hide."""
    rng = np.random.default_rng(0)
    by_seed = np.array([0.00, 0.08, 0.16, 0.24])
    differences = by_seed + 0.001 * rng.normal(size=(10, 4))
    found = paired_test(differences, np.full(GROUPS, differences.mean()), 10, 80)
    alone = paired_test(differences.mean(axis=1, keepdims=True), np.full(GROUPS, differences.mean()), 10, 80)
    assert found.p is not None
    assert alone.p is not None
    assert found.p > 0.05 > alone.p
    assert found.n == alone.n == 10


def test_a_split_a_seed_is_one_spread() -> None:
    """Each run drew its own split: the spread between splits holds that between seeds, and is not counted twice."""
    values = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
    apart = np.full((5, 5), np.nan)
    np.fill_diagonal(apart, values)
    assert paired_test(apart, None, 80, 20) == paired_test(values[:, None], None, 80, 20)


def test_no_spread_and_too_little() -> None:
    assert paired_test(np.zeros((4, 1)), None, 10, 10).p == 1.0
    assert paired_test(np.full((4, 1), 0.1), None, 10, 10).p == 0.125
    one = paired_test(np.array([[0.1]]), np.linspace(0, 1, GROUPS), 10, 10)
    assert (one.p, one.low, one.mean) == (None, None, 0.1)
    missing = paired_test(np.array([[0.1, np.nan], [0.2, 0.3], [0.1, 0.2]]), None, 90, 10)
    assert missing.mean == pytest.approx(0.5 / 3)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        x = rng.normal(size=400)
        group = row_groups(np.arange(400), int(rng.integers(1 << 30)))
        found.append(jackknife(np.array([x[group != g].mean() for g in range(GROUPS)])))
    assert np.mean(found) == pytest.approx(1 / 400, rel=0.06)


def test_groups_are_even_and_keep_persons_together() -> None:
    assert np.ptp(np.bincount(row_groups(np.arange(1003)), minlength=GROUPS)) <= 1
    persons = np.repeat(np.arange(60), 7)
    group = row_groups(persons)
    assert all(len(np.unique(group[persons == person])) == 1 for person in range(60))
    assert np.array_equal(group, row_groups(persons))
