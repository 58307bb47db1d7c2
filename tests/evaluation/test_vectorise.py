"""Raw features as numbers: from training rows alone, missing values and unseen categories told apart."""

import numpy as np
import pytest
from scipy import sparse, stats

from sslplug.contracts import RawFeatures, Split, Task
from sslplug.errors import DataError
from sslplug.evaluation import PROBES, EvaluateOptions, judge
from sslplug.evaluation.columns import beside, raw_instances
from sslplug.evaluation.probe import take
from sslplug.evaluation.trees import LightGbm, LightGbmOptions
from sslplug.evaluation.vectorise import Numerics, fit_vectoriser


def table(n: int = 500) -> RawFeatures:
    rng = np.random.default_rng(0)
    values = np.stack(
        [np.exp(rng.normal(size=n)), rng.integers(0, 4, n), rng.integers(0, 3, n), 7 + 2 * rng.normal(size=n)], axis=1
    ).astype(np.float64)
    values[rng.random(n) < 0.1, 3] = np.nan
    values[rng.random(n) < 0.1, 1] = np.nan
    return RawFeatures(values, categorical=(1,))


@pytest.mark.parametrize("numerics", ["quantile", "standard"])
def test_test_rows_leave_no_trace(numerics: Numerics) -> None:
    """The planted leak: test rows that would move every statistic change nothing about the training rows."""
    raw = table()
    train = np.arange(300)
    other = raw.values.copy()
    other[300:] = [1e6, 3, 2, 1e6]
    clean, leaky = (fit_vectoriser(take(x, train), numerics, 0) for x in (raw, RawFeatures(other, (1,))))
    assert np.array_equal(clean(take(raw, train)), leaky(take(raw, train)))
    everything = fit_vectoriser(RawFeatures(other, (1,)), numerics, 0)
    assert not np.allclose(everything(take(raw, train)), clean(take(raw, train))), "a fit on all rows would show"


def test_judged_raw_rows_do_not_see_test_features() -> None:
    """Through judge(): wild raw values in the rest of the test rows leave the prediction of a test row as it was."""
    raw = table(300)
    labels = (raw.values[:, 0] > 1).astype(np.int64)
    task = Task("t", "classification", "row", labels, [Split(np.arange(150), np.arange(150, 200), np.arange(200, 300))], "g")
    wild = raw.values.copy()
    wild[290:] = [1e9, 3, 2, -1e9]
    seen: list[np.ndarray] = []

    class Spy:
        kinds = frozenset({"classification"})

        def fit(self, x_train, y_train, x_val, y_val, kind, seed):  # type: ignore[no-untyped-def]
            fitted = PROBES["logistic"].build(PROBES["logistic"].options()).fit(x_train, y_train, x_val, y_val, kind, seed)
            seen.append(np.concatenate([x_train, x_val]))
            return fitted

    for values in (raw.values, wild):
        scores = judge(
            [task], {"pretrained": {"row": np.zeros((300, 2), np.float32)}}, lambda t, v=values: RawFeatures(v, (1,)),
            [("spy", Spy())], LightGbm(LightGbmOptions(rounds=3)),  # type: ignore[list-item]
            EvaluateOptions(controls=False, probes_on_raw=True), 0, lambda line: None,
        )  # fmt: skip
        assert {(s.probe, s.features) for s in scores} == {("spy", "pretrained"), ("spy", "raw")}
    assert np.array_equal(seen[1], seen[3])
    assert seen[1].shape[1] == 3 + 1 + 6


def test_numbers_categories_and_gaps() -> None:
    raw = table()
    rows = fit_vectoriser(raw, "quantile", 0)(raw)
    assert rows.dtype == np.float32
    assert rows.shape[1] == 3 + 1 + 6  # numerics, one with gaps, four codes + rare + missing
    assert stats.kstest(rows[:, 0], "norm").statistic < 0.05
    assert abs(rows[:, 1].mean()) < 1e-6  # three values alone: standardised
    gaps = np.isnan(raw.values[:, 3])
    assert np.array_equal(rows[:, 3], gaps)
    assert not rows[gaps, 2].any()
    hot = rows[:, 4:]
    assert np.array_equal(hot.sum(axis=1), np.ones(len(rows)))
    assert np.array_equal(hot[:, 5], np.isnan(raw.values[:, 1]))
    assert not hot[:, 4].any()
    unseen = RawFeatures(np.array([[1.0, 99.0, 0.0, 7.0], [1.0, -1.0, 0.0, 7.0]]), (1,))
    assert fit_vectoriser(raw, "standard", 0)(unseen)[:, 4:].tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]


def test_rare_categories_share_a_column_and_odd_columns_pass() -> None:
    codes = np.concatenate([np.repeat(np.arange(64), 3), np.arange(64, 200)]).astype(np.float64)
    raw = RawFeatures(np.stack([codes, np.full(len(codes), 5.0), np.full(len(codes), np.nan)], axis=1), (0,))
    rows = fit_vectoriser(raw, "quantile", 0)(raw)
    assert rows.shape[1] == 2 + 1 + 65
    assert rows[:, -1].sum() == 136
    assert not rows[:, :2].any()
    with pytest.raises(DataError, match="1 infinite values, first in row 2, column 0"):
        fit_vectoriser(RawFeatures(np.array([[0.0], [1.0], [np.inf]])), "standard", 0)
    thin = sparse.csr_matrix(np.eye(12))
    assert fit_vectoriser(RawFeatures(thin), "standard", 0)(RawFeatures(thin)).shape == (12, 12)
    wide = sparse.csr_matrix((100_000, 5000))
    with pytest.raises(DataError, match="sparse 100000 x 5000"):
        fit_vectoriser(RawFeatures(wide), "standard", 0)


def test_pairs_compare_categories_by_equality() -> None:
    raw = RawFeatures(np.array([[2.0, 1.0], [3.0, 1.0], [4.0, np.nan]]), (1,))
    members = np.array([[0, 1], [0, 2], [1, 1]])
    split = Split(np.array([0]), np.array([1]), np.array([2]))
    task = Task("t", "link", "row", np.array([0, 1, 1]), [split], "given", members=members)
    found = raw_instances(task, raw)
    assert found.categorical == ()
    assert np.array_equal(found.values, np.array([[6, 1, 1], [8, 2, np.nan], [9, 0, 1]]), equal_nan=True)
    both = beside(raw, np.ones((3, 2), np.float32))
    assert (both.values.shape, both.categorical) == ((3, 4), (1,))


def test_trees_use_categories_as_categories() -> None:
    """Labels depend on the parity of a code: one split for a set of categories, many for numbers."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, 3000).astype(np.float64)
    labels = (codes % 2).astype(np.int64)
    codes[:40] = np.nan
    options = LightGbmOptions(rounds=10, num_leaves=2)
    scores = []
    for categorical in ((0,), ()):
        x = RawFeatures(codes[:, None], categorical)
        train, val, test = np.split(np.arange(3000), [2000, 2400])
        fit = LightGbm(options).fit(take(x, train), labels[train], take(x, val), labels[val], "classification", 0)
        scores.append((fit(take(x, test)).labels == labels[test]).mean())
    assert scores[0] > 0.95 > 0.75 > scores[1]
