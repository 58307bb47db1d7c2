from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import sparse, stats

from sslplug.contracts import Kind, RawFeatures, Split, Task
from sslplug.errors import DataError, UsageError
from sslplug.evaluation import PROBES, EvaluateOptions, Score, judge
from sslplug.evaluation.fractions import shrink
from sslplug.evaluation.probe import Prediction
from sslplug.evaluation.score import split_number
from sslplug.evaluation.trees import LightGbm, LightGbmOptions

TREES = LightGbm(LightGbmOptions(rounds=40))


def task(
    labels: np.ndarray, kind: Kind = "classification", train: int = 100, val: int = 50, splits: int = 1, **more: Any
) -> Task:
    rng = np.random.default_rng(5)
    orders = [rng.permutation(len(labels)) for _ in range(splits)]
    parts = [Split(np.sort(o[:train]), np.sort(o[train : train + val]), np.sort(o[train + val :])) for o in orders]
    return Task("kind-of-cell", kind, "cell", labels, parts, "random", **more)


def world(n: int = 400, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    good = rng.normal(size=(classes, 12))[labels] + rng.normal(size=(n, 12))
    return labels, good.astype(np.float32), rng.normal(size=(n, 12)).astype(np.float32)


def run(
    one: Task,
    good: np.ndarray,
    poor: np.ndarray,
    raw: Callable[[Task], Any],
    probes: tuple[str, ...] = (),
    **options: Any,
) -> list[Score]:
    named = [(name, PROBES[name].build(PROBES[name].options())) for name in probes]
    features = {"pretrained": {one.level: good}, "untrained": {one.level: poor}}
    return judge(
        [one], features, lambda task: RawFeatures(raw(task)), named, TREES, EvaluateOptions(**options), 0, lambda line: None
    )


def test_splits_that_the_seed_drew_are_numbered_apart() -> None:
    one = task(np.arange(60) % 2, train=20, val=20, splits=2)
    assert [split_number(one, place, 3) for place in (0, 1)] == [0, 1]
    assert [split_number(replace(one, drawn=True), place, 3) for place in (0, 1)] == [6, 7]


def test_controls_stand_beside_every_score() -> None:
    labels, good, noise = world()
    lines: list[str] = []
    scores = judge(
        [task(labels, splits=2)],
        {"pretrained": {"cell": good}, "untrained": {"cell": noise}},
        lambda t: RawFeatures(noise),
        [],
        TREES,
        EvaluateOptions(),
        0,
        lines.append,
    )
    accuracy = {(s.probe, s.features, s.split): s.value for s in scores if s.metric == "accuracy"}
    wanted = {("logistic", "pretrained"), ("logistic", "untrained")} | {
        ("lightgbm", source) for source in ("raw", "pretrained", "both")
    }
    assert set(accuracy) == {(*pair, split) for pair in wanted for split in (0, 1)}
    assert accuracy["logistic", "pretrained", 0] > 0.8 > 0.4 > accuracy["logistic", "untrained", 0]
    assert accuracy["lightgbm", "both", 0] > 0.6 > 0.4 > accuracy["lightgbm", "raw", 0]
    assert [s.metric for s in scores[:2]] == ["accuracy", "macro_f1"]
    assert len(lines) == 2
    assert "lightgbm on raw" in lines[0]
    assert {(s.train, s.test) for s in scores} == {(100, 250)}


def test_shuffled_labels_land_at_chance() -> None:
    """Every probe and control, on features that would separate the true labels."""
    labels, good, noise = world(n=1000)
    shuffled = np.random.default_rng(9).permutation(labels)
    one = task(shuffled, train=300, val=200)
    scores = run(one, good, noise, lambda t: good, ("logistic", "logistic_ovr", "knn", "svm", "linear_adam"))
    test = one.splits[0].test
    share = np.bincount(shuffled[test]).max() / len(test)
    low, high = stats.binom.interval(0.9999, len(test), 0.25)
    for score in scores:
        if score.metric == "accuracy":
            assert low / len(test) <= score.value <= max(high / len(test), share + 1e-9), score


def test_test_labels_do_not_reach_the_probe() -> None:
    labels, good, noise = world()
    one = task(labels)
    seen: list[np.ndarray] = []

    class Spy:
        kinds = frozenset({"classification"})

        def fit(self, x_train: Any, y_train: Any, x_val: Any, y_val: Any, kind: Kind, seed: int) -> Any:
            fitted = PROBES["logistic"].build(PROBES["logistic"].options()).fit(x_train, y_train, x_val, y_val, kind, seed)
            seen.append(fitted.weights)
            return fitted

    other = labels.copy()
    test = one.splits[0].test
    other[test] = np.random.default_rng(0).permutation(labels[test])
    for y in (labels, other):
        judge(
            [task(y)], {"pretrained": {"cell": good}}, lambda t: RawFeatures(noise), [("spy", Spy())], TREES,
            EvaluateOptions(controls=False), 0, lambda line: None,
        )  # fmt: skip
    assert np.array_equal(*seen)


def test_fractions_are_nested_stratified_and_the_same_for_every_method() -> None:
    labels = np.repeat(np.arange(3), [300, 80, 5])
    one = task(labels, train=200, val=100)
    parts = [shrink(one, 0, fraction, seed=4) for fraction in (0.01, 0.05, 0.1, 0.5, 1.0)]
    for small, large in pairwise(parts):
        assert set(small.train) <= set(large.train)
        assert set(small.val) <= set(large.val)
        assert len(small.train) < len(large.train)
    assert np.array_equal(parts[-1].train, one.splits[0].train)
    present = np.unique(labels[one.splits[0].train])
    assert np.array_equal(np.unique(labels[parts[0].train]), present)
    counts = np.bincount(labels[parts[3].train], minlength=3) / np.bincount(labels[one.splits[0].train], minlength=3)
    assert abs(counts[0] - 0.5) < 0.02
    assert all(np.array_equal(part.test, one.splits[0].test) for part in parts)
    assert np.array_equal(shrink(one, 0, 0.1, seed=4).train, parts[2].train)
    assert not np.array_equal(shrink(one, 0, 0.1, seed=5).train, parts[2].train)


def test_scores_fall_with_the_labels() -> None:
    labels, good, noise = world(n=1200)
    scores = run(task(labels, train=600, val=200), good, noise, lambda t: noise, fractions=(0.01, 1.0), controls=False)
    by_fraction = {s.fraction: s for s in scores if s.metric == "accuracy"}
    assert by_fraction[0.01].value < by_fraction[1.0].value
    assert by_fraction[0.01].train < 12 < by_fraction[1.0].train


def test_numbers_links_anomalies_and_clusters() -> None:
    labels, good, noise = world()
    numbers = good @ np.arange(12.0)
    found = {(s.probe, s.features, s.metric): s for s in run(task(numbers, "regression"), good, noise, lambda t: noise)}
    assert found["ridge", "pretrained", "r2"].value > 0.99 > 0.3 > found["lightgbm", "raw", "r2"].value
    assert not found["ridge", "pretrained", "rmse"].higher_is_better
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 400, (600, 2))
    same = (labels[pairs[:, 0]] == labels[pairs[:, 1]]).astype(np.int64)
    links = task(same, "link", train=300, val=100, members=pairs)
    for raw in (noise, sparse.csr_matrix(np.maximum(noise, 0))):
        found = {(s.probe, s.features, s.metric): s for s in run(links, good, noise, lambda t, raw=raw: raw)}
        assert found["logistic", "pretrained", "auroc"].value > 0.8 > 0.65 > found["logistic", "untrained", "auroc"].value
        assert found["lightgbm", "both", "average_precision"].value > found["lightgbm", "raw", "average_precision"].value
    rare = (labels == 0).astype(np.int64)
    found = {(s.probe, s.features, s.metric): s for s in run(task(rare, "anomaly"), good, noise, lambda t: noise, ("knn",))}
    assert found["knn", "pretrained", "auroc"].value > 0.9
    clusters = run(task(labels, "clustering", splits=3), good, noise, lambda t: noise)
    assert {(s.probe, s.features) for s in clusters} == {("kmeans", f) for f in ("pretrained", "untrained", "raw")}
    assert {s.split for s in clusters} == {0}
    assert clusters[0].metric == "nmi"
    assert clusters[0].value > 0.4


def test_a_probe_of_another_kind_is_replaced_and_said_so() -> None:
    labels, good, noise = world()
    lines: list[str] = []
    named = [("ridge", PROBES["ridge"].build(PROBES["ridge"].options()))]
    scores = judge(
        [task(labels)], {"pretrained": {"cell": good}}, lambda t: RawFeatures(noise), named, TREES,
        EvaluateOptions(controls=False), 0, lines.append,
    )  # fmt: skip
    assert {s.probe for s in scores} == {"logistic"}
    assert "ridge cannot judge a classification task" in lines[0]


def test_the_same_run_gives_the_same_numbers() -> None:
    labels, good, noise = world()
    first, second = (run(task(labels), good, noise, lambda t: noise) for _ in range(2))
    assert [s.value for s in first] == [s.value for s in second]


def test_what_cannot_be_judged_is_refused() -> None:
    labels, good, noise = world()
    same = labels.copy()
    one = task(same)
    same[one.splits[0].train] = 1
    with pytest.raises(DataError, match="all 100 training rows are of class 1"):
        run(task(same), good, noise, lambda t: noise)
    with pytest.raises(DataError, match="judges level 'cell', but the pretrained encoder made row"):
        judge(
            [task(labels)],
            {"pretrained": {"row": good}},
            lambda t: RawFeatures(noise),
            [],
            TREES,
            EvaluateOptions(),
            0,
            print,
        )
    with pytest.raises(DataError, match="399 rows of features for 400 labels"):
        run(task(labels), good[:-1], noise, lambda t: noise)
    with pytest.raises(UsageError, match="expected 'pretrained'"):
        judge([task(labels)], {}, lambda t: RawFeatures(noise), [], TREES, EvaluateOptions(), 0, print)


def test_a_class_absent_from_training_is_missed_not_refused() -> None:
    labels, good, noise = world()
    rows = np.arange(400)
    known, new = rows[labels != 3], rows[labels == 3]
    one = Task(
        "t",
        "classification",
        "cell",
        labels,
        [Split(known[:150], known[150:200], np.concatenate([known[200:], new]))],
        "given",
    )
    scores = run(one, good, noise, lambda t: noise)
    test = one.splits[0].test
    assert scores[0].value <= (labels[test] != 3).mean()


def test_prediction_margin_needs_two_classes() -> None:
    with pytest.raises(DataError, match="classes 0 and 1"):
        _ = Prediction(np.zeros((2, 3)), np.arange(3)).margin


def test_probes_on_raw_and_tuned_trees_get_rows_of_their_own() -> None:
    labels, good, noise = world()
    gaps = noise.copy()
    gaps[::7, 0] = np.nan
    trees = LightGbm(LightGbmOptions(rounds=5, tune=2))
    named = [(name, PROBES[name].build(PROBES[name].options(**more))) for name, more in (
        ("logistic", {}), ("mlp", {"projection": "groups", "group_width": 4, "epochs": 3}),
    )]  # fmt: skip
    options = EvaluateOptions(probes_on_raw=True)
    scores = judge(
        [task(labels)], {"pretrained": {"cell": good}, "untrained": {"cell": noise}}, lambda t: RawFeatures(gaps), named,
        trees, options, 0, lambda line: None,
    )  # fmt: skip
    found = [(s.probe, s.features) for s in scores if s.metric == "accuracy"]
    assert len(found) == len(set(found)) == 12
    assert {f for p, f in found if p in ("logistic", "mlp")} == {"pretrained", "untrained", "raw"}
    assert {p for p, f in found if f == "both"} == {"lightgbm", "lightgbm_tuned"}


def test_scores_carry_their_metric_without_each_group_of_test_rows() -> None:
    labels, good, noise = world()
    one = task(labels, groups=np.arange(400))
    for score in run(one, good, noise, lambda t: noise):
        assert len(score.without) == (20 if score.metric == "accuracy" else 0)
        if score.without:
            assert np.mean(score.without) == pytest.approx(score.value, abs=2e-3)
            assert np.std(score.without) > 0


def test_one_percent_of_numbers_with_a_small_validation_part() -> None:
    """Two training rows and two validation rows are still fitted by everything that judges numbers."""
    _, good, noise = world()
    numbers = good @ np.arange(12.0)
    one = task(numbers, "regression", train=100, val=30)
    probes = ("ridge", "knn", "mlp", "resnet", "lightgbm")
    scores = run(one, good, noise, lambda t: noise, probes, fractions=(0.01, 0.05), probes_on_raw=True)
    assert {s.train for s in scores} == {2, 5}
    assert all(np.isfinite(s.value) for s in scores)
