"""Full ranking against a plain computation query by query, metrics against lists made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sslplug.contracts import MeasuredTask, RankingPart, RankingTask, RawFeatures
from sslplug.errors import DataError
from sslplug.evaluation import EvaluateOptions, Score, judge, summarise
from sslplug.evaluation.judging import Judging
from sslplug.evaluation.metrics import higher_is_better
from sslplug.evaluation.paired import GROUPS, row_groups
from sslplug.evaluation.ranking.judge import _controls
from sslplug.evaluation.ranking.lambdarank import retrieve
from sslplug.evaluation.ranking.metrics import headline, measure_lists
from sslplug.evaluation.ranking.neighbours import ItemNeighbours, Popularity
from sslplug.evaluation.ranking.options import RankingOptions
from sslplug.evaluation.ranking.questions import questions
from sslplug.evaluation.ranking.top import Lists, best, inner_products, largest
from sslplug.evaluation.trees import LightGbm, LightGbmOptions


def csr(rows: list[list[int]], width: int) -> sparse.csr_matrix:
    """Rows of column numbers as a matrix of ones."""
    indptr = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, indptr), shape=(len(rows), width))


def lists(*rows: list[int]) -> Lists:
    return Lists(np.array(rows, dtype=np.int64), np.zeros((len(rows), len(rows[0])), np.float32))


def values(found: Lists, relevant: sparse.csr_matrix, *cutoffs: int, **slices: np.ndarray) -> dict[str, list[float]]:
    return {name: array.tolist() for name, array in measure_lists(found, relevant, cutoffs, slices).items()}


# --- metrics ---


def test_a_perfect_list_is_1_everywhere() -> None:
    found = values(lists([3, 1, 0], [2, 4, 1]), csr([[1, 3], [2]], 5), 2)
    assert found == {
        "ndcg@2": [1, 1], "recall@2": [1, 1], "mrr@2": [1, 1], "map@2": [1, 1], "hit@2": [1, 1], "coverage@2": [0.8]
    }  # fmt: skip


def test_the_first_hit_at_rank_two() -> None:
    found = values(lists([4, 2, 0, 1]), csr([[2]], 5), 4, 1)
    assert found["ndcg@4"] == [pytest.approx(1 / math.log2(3))]
    assert (found["mrr@4"], found["map@4"], found["recall@4"], found["hit@4"]) == ([0.5], [0.5], [1.0], [1.0])
    assert (found["ndcg@1"], found["mrr@1"], found["recall@1"], found["hit@1"]) == ([0.0], [0.0], [0.0], [0.0])


def test_more_relevant_than_places() -> None:
    """Recall is divided by all that is relevant; the ideal of NDCG and MAP ends with the list."""
    found = values(lists([0, 9, 2]), csr([[0, 1, 2, 3, 4]], 10), 3)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["recall@3"] == [2 / 5]
    assert found["ndcg@3"] == [pytest.approx((1 + 1 / 2) / ideal)]
    assert found["map@3"] == [pytest.approx((1 + 2 / 3) / 3)]


def test_queries_without_relevant_candidates_are_skipped_and_slices_count_their_own() -> None:
    head = np.array([True, True, False, False])
    found = values(lists([0, 2], [1, 3], [0, 1]), csr([[0, 2, 3], [], [3]], 4), 2, head=head, tail=~head)
    assert found["recall@2"] == [pytest.approx(2 / 3), pytest.approx(math.nan, nan_ok=True), 0]
    assert found["recall@2/head"] == [1, pytest.approx(math.nan, nan_ok=True), pytest.approx(math.nan, nan_ok=True)]
    assert found["recall@2/tail"] == [0.5, pytest.approx(math.nan, nan_ok=True), 0]
    assert found["coverage@2"] == [3 / 4], "candidates 0, 1, 2: the skipped query's list does not count"
    assert "mrr@2/head" not in found


def test_short_lists_and_primary_metrics() -> None:
    found = measure_lists(lists([1, -1, -1]), csr([[1, 2]], 3), (3, 2), {"tail": np.array([False, False, True])})
    assert found["recall@3"].tolist() == [0.5]
    assert found["coverage@3"].tolist() == [1 / 3]
    assert next(iter(found)) == "ndcg@3"
    assert headline(list(found)) == ["ndcg@3", "recall@3", "ndcg@3/tail", "recall@3/tail"]
    assert all(map(higher_is_better, found))


def plain(scores: np.ndarray, relevant: sparse.csr_matrix, seen: sparse.csr_matrix, k: int) -> dict[str, list[float]]:
    """Query by query, candidate by candidate; equal scores are decided against the relevant."""
    out: dict[str, list[float]] = {"ndcg": [], "recall": [], "mrr": [], "map": [], "hit": []}
    for row, score in enumerate(scores):
        wanted, had = set(relevant[row].indices), set(seen[row].indices)
        if not wanted:
            continue
        order = sorted((c for c in range(len(score)) if c not in had), key=lambda c: (-score[c], c in wanted))[:k]
        hits = [c in wanted for c in order]
        gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
        out["ndcg"].append(gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted)))))
        out["recall"].append(sum(hits) / len(wanted))
        out["mrr"].append(next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0))
        precise = sum(sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit)
        out["map"].append(precise / min(k, len(wanted)))
        out["hit"].append(float(any(hits)))
    return out


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([3, 40, 300, 900]), st.integers(1, 4), st.sampled_from([1, 3, 20]))
def test_full_ranking_is_that_of_a_plain_loop(seed: int, candidates: int, levels: int, k: int) -> None:
    """With whole numbers for scores most are equal; with one level all are."""
    rng = np.random.default_rng(seed)
    q = 12
    scores = rng.integers(0, levels, (q, candidates)).astype(np.float32)
    drawn = rng.random((q, candidates))
    relevant, seen = sparse.csr_matrix(drawn < 0.1), sparse.csr_matrix(drawn > 0.7)
    found = best(lambda places: torch.from_numpy(scores[places]), q, candidates, k, seen, relevant)
    expected = plain(scores, relevant, seen, k)
    for name, array in measure_lists(found, relevant, (k,), {}).items():
        if not name.startswith("coverage"):
            np.testing.assert_allclose(array[~np.isnan(array)], expected[name.split("@")[0]], atol=1e-12)
    for row in range(q):
        answered = found.candidates[row][found.candidates[row] >= 0]
        assert len(answered) == min(k, candidates - seen[row].nnz) == len(set(answered))
        assert not set(answered) & set(seen[row].indices)


def test_scores_and_order_are_those_of_a_full_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide enough for groups and a rest, blocks of 32 queries, vectors in double."""
    monkeypatch.setattr("sslplug.evaluation.ranking.top._BLOCK", 1)
    rng = np.random.default_rng(3)
    query, candidate = rng.normal(size=(70, 8)), rng.normal(size=(1000, 8))
    nothing = sparse.csr_matrix((70, 1000))
    found = best(inner_products(query, candidate), 70, 1000, 7, nothing)
    whole = query.astype(np.float32) @ candidate.astype(np.float32).T
    np.testing.assert_array_equal(found.candidates, np.argsort(-whole, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(found.scores, -np.sort(-whole, axis=1)[:, :7], rtol=1e-5)


def test_equal_scores_stand_by_number_and_a_constant_model_gets_nothing() -> None:
    value, index = largest(torch.tensor([[1.0, 3.0, 3.0, 2.0, 3.0]]), 4)
    assert (value.tolist(), index.tolist()) == ([[3, 3, 3, 2]], [[1, 2, 4, 3]])
    relevant, seen = csr([[0, 5]], 1000), csr([[1]], 1000)
    found = best(inner_products(np.ones((1, 4)), np.ones((1000, 4))), 1, 1000, 20, seen, relevant)
    assert values(found, relevant, 20)["hit@20"] == [0.0]


# --- popularity and neighbours ---


def test_popularity_and_item_neighbours_by_hand() -> None:
    had = csr([[0, 1], [0, 1, 2], [0], [2, 3]], 4)
    assert Popularity.of(had).counts.tolist() == [3, 2, 2, 1]
    near = ItemNeighbours.of(had, neighbours=2, shrink=1.0).similar.toarray()
    root = math.sqrt
    assert near[0, 1] == near[1, 0] == pytest.approx(2 / (root(6) + 1))
    assert near[2, 3] == pytest.approx(1 / (root(2) + 1))
    assert near[1, 2] == pytest.approx(1 / (root(4) + 1)), "candidate 2: neighbours 3 and 1; 0 is the third"
    assert near[0, 2] == 0
    assert not near.diagonal().any()
    scores = ItemNeighbours.of(had, 2, 1.0).scores(csr([[1, 2]], 4)).toarray()[0]
    np.testing.assert_allclose(scores, near[1] + near[2])


@pytest.mark.parametrize("work", [1, 200, 10**9])
def test_item_neighbours_in_blocks_are_those_of_the_dense_matrix(work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslplug.evaluation.ranking.neighbours._WORK", work)
    rng = np.random.default_rng(2)
    had = (rng.random((60, 25)) < 0.2).astype(np.float64)
    had[:, 7] = 0  # nobody took it
    together, counts = had.T @ had, had.sum(0)
    similarity = together / (np.sqrt(np.outer(counts, counts)) + 5.0)
    np.fill_diagonal(similarity, 0)
    dense = np.zeros_like(similarity)
    for j in range(25):
        kept = np.argsort(-similarity[:, j], kind="stable")[:4]
        dense[kept, j] = similarity[kept, j]
    found = ItemNeighbours.of(sparse.csr_matrix(had), 4, 5.0).similar.toarray()
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(dense, axis=0), atol=1e-6)
    assert np.allclose(found[found > 0], similarity[found > 0])


def test_retrieved_candidates_come_once_and_unanswered_places_never() -> None:
    found = retrieve({"a": lists([3, 1], [0, -1]), "b": lists([1, 2], [0, 4])}, csr([[2], [1]], 5))
    assert found.places.tolist() == [0, 0, 0, 1, 1]
    assert found.candidates.tolist() == [1, 2, 3, 0, 4]
    assert found.relevant.tolist() == [False, True, False, False, False]
    assert found.group.tolist() == [3, 2]
    nan = pytest.approx(math.nan, nan_ok=True)
    assert found.ranks["a"].tolist() == [1, nan, 0, 0, nan]
    assert found.ranks["b"].tolist() == [0, 1, nan, 0, 1]


# --- judging ---

USERS, ITEMS, TASTES = 240, 90, 6


def world(**changes: Any) -> tuple[RankingTask, dict[str, dict[str, np.ndarray]]]:
    """Users take items of their taste; trained embeddings know tastes, untrained ones nothing."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, TASTES, USERS), np.arange(ITEMS) % TASTES
    taken = [rng.permutation(np.flatnonzero(item == taste))[:9] for taste in user]
    noise = [rng.integers(0, ITEMS, 1) for _ in user]
    train = [sorted(set(one[:5]) | set(other) - set(one)) for one, other in zip(taken, noise, strict=True)]
    val, test = [sorted(one[5:7]) for one in taken], [sorted(one[7:]) for one in taken]
    had = csr(train, ITEMS)
    rows = np.arange(USERS)
    parts = {
        "val": RankingPart(rows, csr(val, ITEMS), had),
        "test": RankingPart(rows, csr(test, ITEMS), csr([sorted([*a, *b]) for a, b in zip(train, val, strict=True)], ITEMS)),
    }
    tail = np.arange(ITEMS) >= 45
    task = RankingTask(**{
        "name": "next", "query": "user", "level": "item", "parts": parts, "protocol": "random 5/2/2", "cutoffs": (10, 20),
        "slices": {"head": ~tail, "tail": tail}, **changes,
    })  # fmt: skip
    good = {
        "user": np.eye(TASTES)[user] + 0.3 * rng.normal(size=(USERS, TASTES)),
        "item": np.eye(TASTES)[item] + 0.3 * rng.normal(size=(ITEMS, TASTES)),
    }
    bad = {"user": rng.normal(size=(USERS, TASTES)), "item": rng.normal(size=(ITEMS, TASTES))}
    return task, {"pretrained": good, "untrained": bad}


OPTIONS = EvaluateOptions(ranking=RankingOptions(rounds=30, retrieve=20, min_child_samples=5))


def judged(
    task: Any, features: dict[str, dict[str, np.ndarray]], options: EvaluateOptions = OPTIONS
) -> tuple[list[Score], str]:
    said: list[str] = []
    found = judge(
        [task],
        features,
        lambda task: pytest.fail("no labelled task"),
        [],
        LightGbm(LightGbmOptions()),
        options,
        0,
        said.append,
    )
    return found, " ".join(said)


def value(scores: list[Score], probe: str, features: str, metric: str) -> float:
    (found,) = [s.value for s in scores if (s.probe, s.features, s.metric) == (probe, features, metric)]
    return found


def test_a_ranking_is_judged_beside_its_controls() -> None:
    task, features = world()
    scores, said = judged(task, features)
    models = dict.fromkeys((score.probe, score.features) for score in scores)
    assert list(models) == [
        ("ranking", "pretrained"), ("ranking", "untrained"), ("popularity", "raw"), ("item_knn", "raw"),
        ("lightgbm", "raw"), ("lightgbm", "pretrained"), ("lightgbm", "both"),
    ]  # fmt: skip
    assert scores[0].metric == "ndcg@10"
    assert (scores[0].train, scores[0].test, scores[0].split) == (task.parts["val"].seen.nnz, 2 * USERS, 0)
    top = {model: value(scores, *model, "ndcg@10") for model in models}
    assert top["ranking", "pretrained"] > 2 * top["ranking", "untrained"]
    assert top["item_knn", "raw"] > top["popularity", "raw"]
    assert top["lightgbm", "both"] > top["popularity", "raw"]
    assert "240 queries, all 90 candidates" in said
    (row,) = [row for row in summarise(scores) if row.metric == "ndcg@10"]
    assert list(row.controls) == [
        "ranking on untrained", "popularity on raw", "item_knn on raw", "lightgbm on raw", "lightgbm on pretrained",
        "lightgbm on both",
    ]  # fmt: skip
    assert all(comparison.note.startswith("one run") for comparison in row.comparisons)


def test_the_pretrained_score_is_that_of_a_plain_loop_and_so_is_its_jackknife() -> None:
    task, features = world(similarity="cosine")
    scores, _ = judged(task, features, EvaluateOptions(controls=False))
    assert {(score.probe, score.features) for score in scores} == {("ranking", "pretrained")}
    unit = {level: rows / np.linalg.norm(rows, axis=1, keepdims=True) for level, rows in features["pretrained"].items()}
    test = task.parts["test"]
    ndcg = np.array(plain(unit["user"] @ unit["item"].T, test.relevant, test.seen, 10)["ndcg"])
    assert scores[0].value == pytest.approx(ndcg.mean(), abs=1e-6)
    group = row_groups(test.queries)
    expected = [ndcg[group != number].mean() for number in range(GROUPS)]
    assert scores[0].without == pytest.approx(expected, abs=1e-6)
    assert all(score.without == () for score in scores[1:])


def test_seeds_of_a_ranking_are_tested_over_queries() -> None:
    task, features = world()
    rows = []
    for seed in (0, 1):
        found = judge(
            [task], features, lambda task: RawFeatures(np.zeros((1, 1))), [], LightGbm(LightGbmOptions()), OPTIONS, seed, str
        )
        rows += [score for score in found if score.metric == "ndcg@10"]
    (summary,) = summarise(rows)
    tested = {comparison.control: comparison for comparison in summary.comparisons}
    assert tested["popularity on raw"].test == "t over seeds and test rows"
    assert (tested["popularity on raw"].p_holm or 1) < 0.01
    assert tested["popularity on raw"].better


def test_pairs_bring_raw_columns_and_the_trees_use_them() -> None:
    """A column that tells the answer among 90 candidates, beside one of codes: what is wanted stands first."""
    task, features = world()
    wanted = sum(part.relevant.toarray() for part in task.parts.values())
    asked: list[int] = []

    def pairs(query: np.ndarray, candidate: np.ndarray) -> RawFeatures:
        asked.append(len(query))
        return RawFeatures(np.stack([wanted[query, candidate], candidate % 3], axis=1).astype(np.float64), (1,))

    options = EvaluateOptions(ranking=RankingOptions(rounds=30, retrieve=ITEMS, min_child_samples=5))
    found, _ = judged(world(pairs=pairs)[0], features, options)
    assert asked
    assert value(found, "lightgbm", "raw", "ndcg@10") > 0.99
    assert value(found, "lightgbm", "pretrained", "ndcg@10") < 0.9
    with pytest.raises(DataError, match="RankingTask.pairs gave 1 rows for"):
        judged(world(pairs=lambda query, candidate: RawFeatures(np.zeros((1, 1))))[0], features, options)


def test_lightgbm_never_sees_what_is_relevant_in_test() -> None:
    """The scores of its lists stay when the test's answers are others."""
    task, features = world()
    test = task.parts["test"]
    mine = csr([np.setdiff1d(np.arange(ITEMS), test.seen[row].indices)[:2].tolist() for row in range(USERS)], ITEMS)
    lists = []
    for relevant in (test.relevant, mine):
        parts = {"val": task.parts["val"], "test": RankingPart(test.queries, relevant, test.seen)}
        options = EvaluateOptions(ranking=RankingOptions(rounds=20, retrieve=ITEMS, min_child_samples=5))
        given = Judging(
            features, lambda task: pytest.fail("no labelled task"), [], LightGbm(LightGbmOptions()), options, 0, str
        )
        changed = world(parts=parts)[0]
        asked = questions(changed, "test")
        pair = features["pretrained"]["user"], features["pretrained"]["item"]
        lists.append(_controls(changed, given, pair, asked))
    for source in ("raw", "pretrained", "both"):
        a, b = (made["lightgbm", source].lists.scores for made in lists)
        np.testing.assert_array_equal(a, b)


def test_without_validation_queries_lightgbm_is_left_out_and_that_is_said() -> None:
    task, features = world()
    nothing = sparse.csr_matrix((0, ITEMS), dtype=np.float32)
    empty = RankingPart(np.zeros(0, np.int64), nothing, nothing)
    scores, said = judged(world(parts={"val": empty, "test": task.parts["test"]})[0], features)
    assert {score.probe for score in scores} == {"ranking", "popularity", "item_knn"}
    assert "0 validation queries; lightgbm learns from these and is left out" in said


def test_without_interactions_no_control_learns_and_that_is_said() -> None:
    task, features = world()
    bare = {name: RankingPart(p.queries, p.relevant, sparse.csr_matrix((USERS, ITEMS))) for name, p in task.parts.items()}
    scores, said = judged(world(parts=bare)[0], features)
    assert {score.probe for score in scores} == {"ranking"}
    assert "no training interactions" in said


def test_item_knn_is_left_out_where_nothing_says_what_queries_had() -> None:
    task, features = world()
    none = sparse.csr_matrix((USERS, ITEMS), dtype=np.float32)
    blind = {name: RankingPart(p.queries, p.relevant, none) for name, p in task.parts.items()}
    scores, said = judged(world(parts=blind, interactions=task.parts["val"].seen)[0], features)
    assert {score.probe for score in scores} == {"ranking", "popularity", "lightgbm"}
    assert "item_knn is left out" in said


def test_controls_do_not_know_what_validation_asks_of_the_same_row() -> None:
    task, _ = world()
    asked = questions(task, "test")
    np.testing.assert_array_equal(asked.profile.toarray() > 0, task.parts["val"].seen.toarray() > 0)
    np.testing.assert_array_equal(asked.seen.toarray() > 0, task.parts["test"].seen.toarray() > 0)
    own = RankingPart(np.arange(USERS), task.parts["test"].relevant, task.parts["test"].seen, task.parts["val"].relevant)
    given = questions(world(parts={**task.parts, "test": own})[0], "test")
    np.testing.assert_array_equal(given.profile.toarray() > 0, task.parts["val"].relevant.toarray() > 0)
    shifted = RankingPart(task.parts["val"].queries + USERS, task.parts["val"].relevant, task.parts["val"].seen)
    apart = questions(world(parts={**task.parts, "val": shifted})[0], "test")
    np.testing.assert_array_equal(apart.profile.toarray() > 0, task.parts["test"].seen.toarray() > 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": np.ones((3, TASTES))}, "asks for row 239 of level 'user', which has 3 rows"),
        ({"item": np.ones((ITEMS + 1, TASTES))}, "91 rows of level 'item' for 90 candidates"),
        ({"user": np.ones((USERS, 2))}, "has 2 columns, level 'item' 6"),
        ({"user": None}, "judges level 'user', but the pretrained encoder made item"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    task, features = world()
    levels = {k: v for k, v in {**features["pretrained"], **change}.items() if v is not None}
    with pytest.raises(DataError, match=words):
        judged(task, {"pretrained": levels})


# --- measured tasks ---


def measured(**changes: Any) -> MeasuredTask:
    def error(levels: Any) -> dict[str, np.ndarray]:
        return {"error": np.abs(levels["point"][:, 0]), "share": np.array([0.25])}

    baseline = {"zeros": lambda: {"error": np.full(40, 2.0), "share": np.array([0.5])}}
    return MeasuredTask(**{
        "name": "flow", "level": "point", "protocol": "40 scenes", "metrics": {"error": False, "share": True},
        "measure": error, "baselines": baseline, "groups": np.arange(40) // 2, **changes,
    })  # fmt: skip


POINTS = {"pretrained": {"point": np.full((40, 2), 0.5)}, "untrained": {"point": np.full((40, 2), 3.0)}}


def test_a_measured_task_is_the_mean_over_cases_beside_its_baselines() -> None:
    scores, said = judged(measured(), POINTS)
    assert [(s.probe, s.features, s.metric, s.value, s.higher_is_better) for s in scores] == [
        ("measured", "pretrained", "error", 0.5, False), ("measured", "pretrained", "share", 0.25, True),
        ("measured", "untrained", "error", 3.0, False), ("measured", "untrained", "share", 0.25, True),
        ("zeros", "raw", "error", 2.0, False), ("zeros", "raw", "share", 0.5, True),
    ]  # fmt: skip
    assert [len(score.without) for score in scores] == [GROUPS, 0] * 3
    assert {score.test for score in scores} == {40}
    (row,) = [row for row in summarise(scores) if row.metric == "error"]
    assert list(row.controls) == ["measured on untrained", "zeros on raw"]
    assert all(comparison.better for comparison in row.comparisons)
    assert "flow: error, measured on pretrained 0.5000" in said


def test_groups_of_cases_stay_together() -> None:
    errors = np.repeat(np.arange(20.0), 2)
    features = {"pretrained": {"point": errors[:, None]}}
    scores, _ = judged(measured(), features, EvaluateOptions(controls=False))
    group = row_groups(np.arange(40) // 2)
    assert scores[0].without == pytest.approx([errors[group != number].mean() for number in range(GROUPS)])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"error": np.ones(40)}, "measured error; expected error, share"),
        ({"error": np.ones(40), "share": np.array(0.5)}, "share is \\(\\); expected one number a case"),
        ({"error": np.full(40, np.nan), "share": np.ones(1)}, "error is not finite in 40 of 40 cases"),
        ({"error": np.ones(39), "share": np.ones(1)}, "39 cases for 40 groups"),
    ],
)
def test_measures_that_cannot_be_used_are_refused(found: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        judged(measured(measure=lambda levels: found), POINTS)


def test_baselines_are_measured_on_the_same_cases() -> None:
    other = {"zeros": lambda: {"error": np.ones(39), "share": np.ones(1)}}
    with pytest.raises(DataError, match="39 cases; the pretrained encoder was measured on 40"):
        judged(measured(baselines=other), POINTS)
