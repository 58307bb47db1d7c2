from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sslplug.evaluation.paired import GROUPS, jackknife
from sslplug.evaluation.score import Score
from sslplug.evaluation.statistics import compare_to_controls, holm, interval, summarise


def score(
    probe: str,
    features: str,
    value: float,
    split: int = 0,
    seed: int = 0,
    metric: str = "accuracy",
    task: str = "t",
    wobble: float | None = None,
) -> Score:
    """A score; ``wobble`` is how far it moves when a group of test rows is left out, up and down in turn."""
    higher = metric != "rmse"
    without = () if wobble is None else tuple(value + wobble * (-1) ** group for group in range(GROUPS))
    return Score(task, "random", probe, features, metric, 1.0, split, value, 0.1, higher, seed, 90, 10, without)


def test_interval_is_students() -> None:
    values = np.array([0.8, 0.82, 0.85, 0.79])
    found = interval(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    single = interval([0.7])
    assert (single.mean, single.low, single.high, single.std, single.n) == (0.7, None, None, None, 1)


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(size=5)) for _ in range(2000)]
    covered = np.mean([one.low <= 0 <= one.high for one in found if one.low is not None and one.high is not None])
    assert 0.935 < covered < 0.965


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_summary_over_splits() -> None:
    rng = np.random.default_rng(0)
    base = 0.7 + 0.02 * rng.normal(size=10)
    scores = []
    for split, value in enumerate(base):
        for seed in range(2):
            scores += [
                score("logistic", "pretrained", value + 0.1 + 0.001 * split, split, seed),
                score("logistic", "untrained", value, split, seed),
                score("lightgbm", "raw", value + 0.1 + 0.001 * split, split, seed),
                score("lightgbm", "pretrained", value + 0.05, split, seed),
                score("lightgbm", "both", value + 0.2, split, seed),
            ]
    (row,) = summarise(scores)
    assert (row.probe, row.n) == ("logistic", 10)
    found = {comparison.control: comparison for comparison in row.comparisons}
    assert list(found) == ["logistic on untrained", "lightgbm on raw", "lightgbm on pretrained", "lightgbm on both"]
    untrained = found["logistic on untrained"]
    assert (untrained.test, untrained.n, untrained.better) == ("corrected resampled t", 10, True)
    assert untrained.difference == pytest.approx(0.1045)
    assert untrained.p is not None
    assert untrained.p_holm is not None
    assert untrained.p < untrained.p_holm < 0.001
    assert (found["lightgbm on raw"].p, found["lightgbm on raw"].p_holm) == (1.0, 1.0)
    assert not found["lightgbm on both"].better
    assert row.controls["lightgbm on both"].mean == pytest.approx(base.mean() + 0.2)
    assert compare_to_controls(scores) == list(row.comparisons)


def test_seeds_on_one_split_count_their_test_rows_and_one_seed_says_so() -> None:
    def pair(seed: int, wobble: float | None = 0.001) -> list[Score]:
        return [
            score("knn", "pretrained", 0.8 + 0.01 * seed, 0, seed, wobble=wobble),
            score("knn", "untrained", 0.7, 0, seed, wobble=None if wobble is None else 0.0),
        ]

    (comparison,) = compare_to_controls([s for seed in range(7) for s in pair(seed)])
    assert (comparison.test, comparison.n) == ("t over seeds and test rows", 7)
    values = np.array([0.1 + 0.01 * seed for seed in range(7)])
    rows = jackknife(np.array([0.001 * (-1) ** g for g in range(GROUPS)]))
    half = np.sqrt(values.var(ddof=1) / 7 * stats.t.ppf(0.975, 6) ** 2 + rows * stats.t.ppf(0.975, GROUPS - 1) ** 2)
    assert comparison.high == pytest.approx(values.mean() + half)
    assert comparison.p is not None
    level = comparison.p / 2
    edge = values.var(ddof=1) / 7 * stats.t.isf(level, 6) ** 2 + rows * stats.t.isf(level, GROUPS - 1) ** 2
    assert np.sqrt(edge) == pytest.approx(values.mean()), "p is the level whose interval just reaches zero"
    (unsure,) = compare_to_controls([s for seed in range(7) for s in pair(seed, wobble=0.05)])
    assert unsure.p is not None
    assert unsure.p > 0.05 > (comparison.p or 1.0), "seeds that agree on shaky test rows prove nothing"
    (old,) = compare_to_controls([s for seed in range(7) for s in pair(seed, wobble=None)])
    assert (old.p, old.p_holm) == (None, None)
    assert "`sslplug evaluate` writes them" in old.note
    (alone,) = summarise(pair(0))
    assert (alone.mean, alone.low, alone.high, alone.n) == (0.8, None, None, 1)
    assert "one run allows no test" in alone.comparisons[0].note


def test_a_group_that_no_split_tests_on_is_no_evidence() -> None:
    """NaN marks it; the others make the jackknife, with one degree of freedom less each."""
    scores = [
        score("knn", features, value + 0.01 * seed * (features == "pretrained"), 0, seed, wobble=wobble)
        for seed in range(4)
        for features, value, wobble in (("pretrained", 0.8, 0.01), ("untrained", 0.7, 0.0))
    ]
    few = [replace(one, without=(*one.without[:6], *[float("nan")] * (GROUPS - 6))) for one in scores]
    (all_groups,), (six,) = compare_to_controls(scores), compare_to_controls(few)
    assert all_groups.p is not None
    assert six.p is not None
    assert six.difference == all_groups.difference
    assert np.isfinite(six.p)
    assert jackknife(np.array([0.01, -0.01] * 3)) == pytest.approx(5 / 6 * 6e-4)


def test_smaller_is_better_and_missing_partners() -> None:
    scores = [score("ridge", "pretrained", 1.0 + 0.1 * split, split, metric="rmse") for split in range(4)]
    scores += [score("ridge", "untrained", 2.0 + 0.3 * split, split, metric="rmse") for split in range(3)]
    (comparison,) = compare_to_controls(scores)
    assert comparison.better
    assert comparison.difference < 0
    assert comparison.n == 3
    assert "1 scores without a partner" in comparison.note


def test_the_family_is_the_primary_metric_over_all_tasks() -> None:
    scores = []
    for name in ("a", "b"):
        for seed in range(6):
            for metric in ("accuracy", "macro_f1"):
                scores.append(score("knn", "pretrained", 0.8 + 0.01 * seed, seed, 0, metric, name))
                scores.append(score("knn", "untrained", 0.7, seed, 0, metric, name))
    rows = summarise(scores)
    assert [(row.task, row.metric) for row in rows] == [(t, m) for t in "ab" for m in ("accuracy", "macro_f1")]
    p = rows[0].comparisons[0].p
    assert p is not None
    assert [row.comparisons[0].p_holm for row in rows] == [pytest.approx(2 * p), None, pytest.approx(2 * p), None]


@pytest.mark.parametrize(
    ("train", "test", "wobble", "name"),
    [
        (15, 120, 0.01, "t over splits and test rows"),
        (15, 120, None, "corrected resampled t"),
        (90, 10, 0.01, "corrected resampled t"),
    ],
)
def test_the_test_follows_what_splits_share(train: int, test: int, wobble: float | None, name: str) -> None:
    scores = [
        replace(
            score("logistic", features, value + 0.01 * split, split, 0, wobble=wobble if features == "pretrained" else None),
            train=train, test=test,
        )
        for split in range(8)
        for features, value in (("pretrained", 0.8), ("untrained", 0.7 + 0.005 * split))
    ]  # fmt: skip
    if wobble is not None:
        scores = [one if one.without else replace(one, without=(one.value,) * GROUPS) for one in scores]
    (comparison,) = compare_to_controls(scores)
    assert comparison.test == name
    differences = np.array([0.1 - 0.005 * split for split in range(8)])
    spread = differences.var(ddof=1)
    if name.startswith("corrected"):
        parts = [(spread * (1 / 8 + test / train), 7)]
        error = np.sqrt(parts[0][0])
        assert comparison.p == pytest.approx(2 * stats.t.sf(differences.mean() / error, 7))
    else:
        rows = jackknife(np.array([0.01 * (-1) ** g for g in range(GROUPS)]))
        parts = [(spread * (1 / 8 + train / test), 7), (rows, GROUPS - 1)]
    half = np.sqrt(sum(variance * stats.t.ppf(0.975, freedom) ** 2 for variance, freedom in parts))
    assert comparison.high == pytest.approx(differences.mean() + half)
