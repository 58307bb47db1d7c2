"""Ranks over tasks: against published tables, and where ties, gaps and identical columns would give NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sslplug.evaluation.across import cliques, complete, critical_difference, friedman, rank_models, task_ranks

# Demsar 2006, table 6: AUC of C4.5 without and with pruning m, cf, and both, on 14 data sets.
DEMSAR = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967], [0.628, 0.661, 0.654, 0.657],
    [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931], [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625],
    [0.775, 0.838, 0.866, 0.875], [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip


def test_demsars_example() -> None:
    found = rank_models(DEMSAR, [True] * 14)
    assert found.order == (3, 1, 2, 0)
    np.testing.assert_allclose(found.mean_ranks, [1.964, 2.000, 2.893, 3.143], atol=0.001)
    assert found.p is not None
    assert found.p < 0.05
    assert found.difference == pytest.approx(1.25, abs=0.01)
    assert found.groups == ((0, 3),), "1.18 of ranks between the ends: Nemenyi's test at 5 % does not see it"


def test_friedman_is_scipys_in_the_f_form() -> None:
    ranks = task_ranks(DEMSAR, [True] * 14)
    statistic = float(stats.friedmanchisquare(*DEMSAR.T).statistic)
    f = 13 * statistic / (14 * 3 - statistic)
    assert friedman(ranks)[0] == pytest.approx(float(stats.f.sf(f, 3, 39)))


@pytest.mark.parametrize(
    ("models", "q"),
    [(2, 1.960), (3, 2.344), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.948), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_critical_difference_uses_the_published_q(models: int, q: float) -> None:
    assert critical_difference(models, 6) == pytest.approx(q * math.sqrt(models * (models + 1) / 36), abs=1e-3)


def test_smaller_is_better_on_some_tasks_and_what_prints_alike_is_tied() -> None:
    table = np.array([[0.8, 0.9, 0.90002], [2.0, 1.0, 3.0]])
    np.testing.assert_array_equal(task_ranks(table, [True, False]), [[3, 1.5, 1.5], [2, 1, 3]])


def test_identical_columns_are_one_group_with_p_1() -> None:
    table = np.repeat(np.linspace(0.1, 0.9, 7)[:, None], 4, axis=1)
    with pytest.warns(RuntimeWarning):
        assert math.isnan(stats.friedmanchisquare(*table.T).pvalue), "what has to be mapped"
    found = rank_models(table, [True] * 7)
    assert (found.p, found.groups, found.mean_ranks) == (1.0, ((0, 3),), (2.5,) * 4)
    assert "alike" in found.note


def test_tasks_that_all_agree_have_the_chance_of_that_as_p() -> None:
    table = np.tile(np.array([0.9, 0.8, 0.7, 0.6]), (3, 1))
    found = rank_models(table, [True] * 3)
    assert found.p == pytest.approx(1 / math.factorial(4) ** 2)
    assert found.difference == pytest.approx(2.708, abs=0.01)
    assert found.groups == ((0, 2), (1, 3)), "three tasks tell the first from the last alone"
    many = rank_models(np.tile(table[0], (40, 1)), [True] * 40)
    assert many.groups == ()


def test_a_false_alarm_is_as_rare_as_it_says() -> None:
    rng = np.random.default_rng(1)
    ranks = [task_ranks(rng.normal(size=(6, 4)), [True] * 6) for _ in range(1500)]
    alarms = np.mean([(friedman(one)[0] or 1.0) < 0.05 for one in ranks])
    assert 0.03 < alarms < 0.07


@pytest.mark.parametrize(
    ("shape", "word"), [((1, 4), "one task allows no test"), ((9, 1), "one model"), ((9, 2), "compared by Wilcoxon's")]
)
def test_what_cannot_be_tested_is_one_group_with_a_reason(shape: tuple[int, int], word: str) -> None:
    found = rank_models(np.random.default_rng(0).normal(size=shape), [True] * shape[0])
    assert found.p is None
    assert word in found.note
    assert found.groups == (((0, shape[1] - 1),) if shape[1] > 1 else ())
    assert all(math.isfinite(x) for x in found.mean_ranks)
    assert found.difference is None or math.isfinite(found.difference)


def test_cliques_are_longest_ranges() -> None:
    assert cliques(np.array([1.0, 2.0, 3.0, 4.0]), 1.0) == ((0, 1), (1, 2), (2, 3))
    assert cliques(np.array([1.0, 1.1, 1.2, 4.0]), 1.0) == ((0, 2),)
    assert cliques(np.array([1.0, 3.0]), 1.0) == ()


def test_the_table_to_rank_has_no_gap() -> None:
    known = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0]], dtype=bool)
    tasks, models = complete(known, always=0)
    assert (tasks, models) == ([0, 2, 4], [0, 1, 2])
    assert complete(np.eye(3, dtype=bool)) == ([], [])
    apart = np.array([[1, 0, 0, 1], [0, 1, 1, 1]], dtype=bool)
    assert complete(apart, always=3) == ([1], [1, 2, 3]), "two models on one task are more than one on another"
    assert complete(np.ones((2, 3), dtype=bool)) == ([0, 1], [0, 1, 2])
