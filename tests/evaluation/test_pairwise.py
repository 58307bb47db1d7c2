"""Two models over tasks: Wilcoxon's test where it can say anything, words where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sslplug.evaluation.pairwise import compare_pairs

GAPS = np.full(10, 0.2)


def table(tasks: int, seed: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).uniform(0.5, 0.9, size=(tasks, 3)), 4)


def test_it_is_wilcoxons_test_with_holm() -> None:
    scores = table(10)
    found = compare_pairs(scores, [True] * 10, GAPS)
    assert [(one.first, one.second) for one in found] == [(0, 1), (0, 2), (1, 2)]
    for one in found:
        d = scores[:, one.first] - scores[:, one.second]
        assert one.p == pytest.approx(float(stats.wilcoxon(d, method="exact").pvalue))
        assert (one.wins, one.ties, one.losses) == ((d > 0).sum(), 0, (d < 0).sum())
        assert one.p_holm is not None
        assert one.p is not None
        assert one.p <= one.p_holm <= min(1.0, 3 * one.p)
    assert any(one.p_holm != one.p for one in found)


def test_effect_is_the_share_of_ranks_that_favour_the_first() -> None:
    scores = np.stack([np.full(7, 0.5) + 0.01 * np.arange(1, 8), np.full(7, 0.5)], axis=1)
    (won,) = compare_pairs(scores, [True] * 7, GAPS[:7])
    (lost,) = compare_pairs(scores, [False] * 7, GAPS[:7])
    assert (won.effect, lost.effect) == (1.0, -1.0)
    scores[6, 0] = 0.43
    (mixed,) = compare_pairs(scores, [True] * 7, GAPS[:7])
    assert mixed.effect == pytest.approx((21 - 7) / 28)


def test_differences_count_in_shares_of_the_gap() -> None:
    """A task whose metric has large numbers is one task, not the only one that matters."""
    scores = table(8)[:, :2]
    scaled = scores * np.array([1.0, 1, 1, 1, 1, 1, 1, 1000])[:, None]
    gaps = GAPS[:8] * np.array([1.0, 1, 1, 1, 1, 1, 1, 1000])
    assert compare_pairs(scores, [True] * 8, GAPS[:8])[0].p == compare_pairs(scaled, [True] * 8, gaps)[0].p


def test_five_tasks_cannot_reach_significance() -> None:
    (found,) = compare_pairs(np.array([[0.9, 0.1]] * 5) + 0.01 * np.arange(5)[:, None], [True] * 5, GAPS[:5])
    assert found.p is None
    assert found.p_holm is None
    assert "cannot reach .05: 5 tasks" in found.note
    assert (found.wins, found.effect) == (5, 1.0)


def test_pratt_keeps_ties_in_the_ranking() -> None:
    d = np.array([0.0, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, -0.06])
    (found,) = compare_pairs(np.stack([0.5 + d, np.full(8, 0.5)], axis=1), [True] * 8, GAPS[:8])
    want = stats.wilcoxon(np.round(d, 4) / 0.2, zero_method="pratt", method=stats.PermutationMethod())
    assert found.p == pytest.approx(float(want.pvalue))
    assert (found.wins, found.ties, found.losses) == (5, 2, 1)


def test_many_tasks_and_many_ties() -> None:
    scores = np.round(np.random.default_rng(2).uniform(0.5, 0.52, size=(40, 2)), 3)
    (found,) = compare_pairs(scores, [True] * 40, np.full(40, 0.1))
    assert found.ties > 0
    assert found.p is not None
    assert 0 < found.p <= 1


def test_identical_columns_gaps_and_nothing_in_common() -> None:
    scores = table(7)
    scores[:, 1] = scores[:, 0]
    scores[:, 2] = np.nan
    alike, none, _ = compare_pairs(scores, [True] * 7, GAPS[:7])
    assert (alike.p, alike.p_holm, alike.effect, alike.ties) == (1.0, 1.0, 0.0, 7)
    assert (none.n, none.p, none.effect, none.note) == (0, None, None, "no task in common")
    (nil,) = compare_pairs(table(7)[:, :2], [True] * 7, np.zeros(7))
    assert nil.p is None
    assert nil.effect is None
    assert nil.wins + nil.losses == 7


def test_where_the_correction_leaves_nothing_to_reach_it_is_said() -> None:
    found = compare_pairs(np.random.default_rng(0).normal(size=(7, 6)), [True] * 7, GAPS[:7])
    assert all("7 tasks cannot reach .05 after the correction for 15 pairs" in one.note for one in found)
