from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sslplug.evaluation.judge import Score
from sslplug.evaluation.statistics import compare_to_controls, holm, interval, resampled_t, summarise, wilcoxon


def score(
    probe: str, features: str, value: float, split: int = 0, seed: int = 0, metric: str = "accuracy", task: str = "t"
) -> Score:
    higher = metric != "rmse"
    return Score(task, "random", probe, features, metric, 1.0, split, value, 0.1, higher, seed, train=90, test=10)


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


def test_wilcoxon() -> None:
    differences = np.array([0.3, 0.1, 0.0, -0.1, 0.5, 0.2, 0.25])
    assert wilcoxon(differences)[0] == pytest.approx(stats.wilcoxon(differences, zero_method="pratt").pvalue)
    assert wilcoxon(np.zeros(8)) == (1.0, "all pairs are equal")
    p, note = wilcoxon(np.full(5, 0.1))
    assert p is None
    assert note.startswith("cannot reach 0.05 with 5 pairs")
    p, _ = wilcoxon(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert p == pytest.approx(2 / 64)


def test_corrected_t_by_hand_and_without_correction() -> None:
    differences = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
    p, half, note = resampled_t(differences, 0.0)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue)
    error = differences.std(ddof=1) * np.sqrt(1 / 5 + 1 / 9)
    corrected, half, note = resampled_t(differences, 1 / 9)
    assert corrected == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4))
    assert half == pytest.approx(stats.t.ppf(0.975, 4) * error)
    assert note == ""
    assert p is not None
    assert corrected is not None
    assert corrected > p
    assert resampled_t(np.zeros(4), 1.0)[0] == 1.0
    assert resampled_t(np.full(4, 0.1), 1.0)[0] == 0.125
    assert resampled_t(np.array([0.1]), 1.0)[:2] == (None, None)


def test_the_corrected_test_keeps_its_level_on_overlapping_splits() -> None:
    """Two equally good predictors on random halves of one small set: the plain paired test cries wolf, this one does not."""
    rng = np.random.default_rng(0)
    plain, corrected = 0, 0
    for _ in range(300):
        x, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
        differences = []
        for _ in range(10):
            order = rng.permutation(60)
            train, test = order[:30], order[30:]
            right = [(x[test, j] > 0) == (y[test] == (y[train][x[train, j] > 0].mean() > 0.5)) for j in range(2)]
            differences.append(right[0].mean() - right[1].mean())
        array = np.array(differences)
        if not array.std():
            continue
        plain += stats.ttest_1samp(array, 0.0).pvalue < 0.05
        p, _, _ = resampled_t(array, 1.0)
        corrected += p is not None and p < 0.05
    assert plain / 300 > 0.15
    assert corrected / 300 < 0.09


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


def test_seeds_on_one_split_use_wilcoxon_and_one_seed_says_so() -> None:
    def pair(seed: int) -> list[Score]:
        return [score("knn", "pretrained", 0.8 + 0.01 * seed, 0, seed), score("knn", "untrained", 0.7, 0, seed)]

    (comparison,) = compare_to_controls([s for seed in range(7) for s in pair(seed)])
    assert (comparison.test, comparison.n) == ("Wilcoxon signed-rank", 7)
    assert comparison.p == pytest.approx(2 / 128)
    (few,) = compare_to_controls([s for seed in range(3) for s in pair(seed)])
    assert (few.p, few.p_holm) == (None, None)
    assert "cannot reach 0.05 with 3 pairs" in few.note
    (alone,) = summarise(pair(0))
    assert (alone.mean, alone.low, alone.high, alone.n) == (0.8, None, None, 1)
    assert "1 pair;" in alone.comparisons[0].note


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
                scores.append(score("knn", "pretrained", 0.8 + 0.01 * seed, 0, seed, metric, name))
                scores.append(score("knn", "untrained", 0.7, 0, seed, metric, name))
    rows = summarise(scores)
    assert [(row.task, row.metric) for row in rows] == [(t, m) for t in "ab" for m in ("accuracy", "macro_f1")]
    assert [row.comparisons[0].p_holm for row in rows] == [pytest.approx(4 / 64), None, pytest.approx(4 / 64), None]


@pytest.mark.parametrize(("train", "test", "name"), [(15, 120, "Wilcoxon signed-rank"), (90, 10, "corrected resampled t")])
def test_the_test_follows_how_much_training_sets_share(train: int, test: int, name: str) -> None:
    scores = [
        replace(score("logistic", features, value + 0.01 * split, split, 0), train=train, test=test)
        for split in range(8)
        for features, value in (("pretrained", 0.8), ("untrained", 0.7 + 0.005 * split))
    ]
    (comparison,) = compare_to_controls(scores)
    assert comparison.test == name
    assert comparison.p is not None
    if name.startswith("Wilcoxon"):
        differences = np.array([0.1 - 0.005 * split for split in range(8)])
        assert comparison.p == pytest.approx(stats.wilcoxon(differences).pvalue)
