from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from sslplug.contracts import RawFeatures, Split, Task
from sslplug.errors import DataError
from sslplug.evaluation import PROBES, EvaluateOptions, Score, judge
from sslplug.evaluation.labelled import default_probe
from sslplug.evaluation.logistic import Logistic, LogisticOptions
from sslplug.evaluation.one_class import OneClass, OneClassOptions
from sslplug.evaluation.probe import Features, Prediction
from sslplug.evaluation.trees import LightGbm, LightGbmOptions

SCORES = ("neighbours", "mean_cosine", "mahalanobis")
TREES = LightGbm(LightGbmOptions(rounds=10))


def fitted(score: str, x: Features, y: np.ndarray, **more: Any) -> Any:
    nothing = np.zeros((0, x.shape[1])), np.zeros(0, np.int64)
    return OneClass(OneClassOptions(score=score, **more)).fit(x, y, *nothing, "anomaly", 0)


def rows(n: int = 90, width: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + np.arange(width)


def standardised(train: np.ndarray, x: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (x - train.mean(0)) / train.std(0)
    return scaled


@pytest.mark.parametrize("k", [1, 4])
def test_neighbours_against_all_distances(k: int) -> None:
    x = rows()
    train, test = standardised(x[:50], x[:50]), standardised(x[:50], x[50:])
    distances = np.sqrt(((test[:, None] - train[None]) ** 2).sum(-1))
    said = fitted("neighbours", x[:50], np.zeros(50, np.int64), k=k)(x[50:])
    np.testing.assert_allclose(said.margin, np.sort(distances, axis=1)[:, :k].mean(1), rtol=1e-9)


def test_more_neighbours_than_normal_rows_are_all_of_them() -> None:
    x = rows()
    few = fitted("neighbours", x[:3], np.zeros(3, np.int64), k=50)(x[3:]).margin
    np.testing.assert_array_equal(few, fitted("neighbours", x[:3], np.zeros(3, np.int64), k=3)(x[3:]).margin)


def test_mean_cosine_against_its_definition() -> None:
    x = rows()
    mean = x[:50].mean(0)  # of the rows as they are: long ones count more
    cosine = [row @ mean / np.sqrt((row @ row) * (mean @ mean)) for row in x[50:]]
    said = fitted("mean_cosine", x[:50], np.zeros(50, np.int64))(x[50:])
    np.testing.assert_allclose(said.margin, -np.array(cosine), rtol=1e-9)


def test_mahalanobis_against_ledoit_and_wolf_written_out() -> None:
    x = rows()
    train, test = standardised(x[:50], x[:50]), standardised(x[:50], x[50:])
    n, width = train.shape
    sample = train.T @ train / n
    level = np.trace(sample) / width
    spread = ((sample - level * np.eye(width)) ** 2).sum()
    error = sum(((np.outer(row, row) - sample) ** 2).sum() for row in train) / n**2
    shrinkage = min(error, spread) / spread
    assert 0.01 < shrinkage < 0.99  # else this would not see the shrinkage
    precision = np.linalg.inv((1 - shrinkage) * sample + shrinkage * level * np.eye(width))
    said = fitted("mahalanobis", x[:50], np.zeros(50, np.int64))(x[50:])
    np.testing.assert_allclose(said.margin, np.einsum("ni,ij,nj->n", test, precision, test), rtol=1e-8)


@pytest.mark.parametrize("score", SCORES)
def test_anomalies_in_training_and_validation_rows_change_nothing(score: str) -> None:
    x = rows()
    labels = np.arange(60) % 4 // 3  # each fourth row
    probe = OneClass(OneClassOptions(score=score))
    mixed = probe.fit(x[:60], labels, x[60:70], np.arange(10) % 2, "anomaly", 3)
    wild = np.where(labels[:, None] == 1, 1e6, x[:60])
    for train, y in ((wild, labels), (x[:60][labels == 0], labels[labels == 0])):
        np.testing.assert_array_equal(fitted(score, train, y)(x[70:]).margin, mixed(x[70:]).margin)
    assert not np.allclose(fitted(score, x[:60], np.zeros(60, np.int64))(x[70:]).margin, mixed(x[70:]).margin)


@pytest.mark.parametrize("score", SCORES)
def test_the_scale_of_columns_matters_to_the_cosine_alone(score: str) -> None:
    x, y = rows(), np.zeros(50, np.int64)
    factors = 10.0 ** np.arange(6)
    same = np.allclose(fitted(score, x[:50], y)(x[50:]).margin, fitted(score, x[:50] * factors, y)(x[50:] * factors).margin)
    assert same == (score != "mean_cosine")


@pytest.mark.parametrize("score", SCORES)
def test_rows_without_any_spread_are_scored(score: str) -> None:
    said = fitted(score, np.ones((4, 3)), np.zeros(4, np.int64))(np.array([[1.0, 1, 1], [9.0, -1, 1]]))
    assert np.isfinite(said.margin).all()
    assert said.margin[0] <= said.margin[1]


def test_too_few_normal_rows_are_refused() -> None:
    for score in SCORES:
        with pytest.raises(DataError, match=r"0 of 5 training rows are normal \(label 0\)"):
            fitted(score, rows(5), np.ones(5, np.int64))
    with pytest.raises(DataError, match="1 of 5 .* by mahalanobis needs 2"):
        fitted("mahalanobis", rows(5), np.array([0, 1, 1, 1, 1]))


def world(anomalies: int = 0, splits: int = 1) -> tuple[Task, np.ndarray, np.ndarray]:
    """An anomaly task with ``anomalies`` of 200 training rows, features that tell anomalies, and features that do not."""
    rng = np.random.default_rng(2)
    labels = (np.arange(600) % 4 == 0).astype(np.int64)
    good = (rng.normal(size=(600, 8)) + 3.0 + 4.0 * labels[:, None] * np.array([1, -1] * 4)).astype(np.float32)
    normal, other = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    train = np.concatenate([normal[: 200 - anomalies], other[:anomalies]])
    parts = [Split(train, np.empty(0, np.int64), np.setdiff1d(np.arange(600), train))] * splits
    task = Task("odd", "anomaly", "cell", labels, parts, "random")
    return task, good, rng.normal(size=(600, 8)).astype(np.float32)


def judged(
    task: Task, good: np.ndarray, noise: np.ndarray, probes: tuple[tuple[str, dict[str, Any]], ...] = (), **options: Any
) -> tuple[list[Score], list[str]]:
    lines: list[str] = []
    named = [(name, PROBES[name].build(PROBES[name].options(**more))) for name, more in probes]
    features = {"pretrained": {"cell": good}, "untrained": {"cell": noise}}
    scores = judge([task], features, lambda t: RawFeatures(noise), named, TREES, EvaluateOptions(**options), 0, lines.append)
    return scores, lines


def values(scores: list[Score], metric: str = "auroc") -> dict[tuple[str, str], float]:
    return {(s.probe, s.features): s.value for s in scores if s.metric == metric}


@pytest.mark.parametrize("score", SCORES)
def test_a_task_with_normal_training_rows_alone_is_judged(score: str) -> None:
    task, good, noise = world()
    scores, lines = judged(task, good, noise, (("one_class", {"score": score}),))
    found = values(scores)
    assert set(found) == {("one_class", source) for source in ("pretrained", "untrained", "raw")}
    assert found["one_class", "pretrained"] > 0.95 > 0.6 > found["one_class", "untrained"]
    test = task.splits[0].test
    margin = fitted(score, good[task.splits[0].train], np.zeros(200, np.int64))(good[test]).margin
    assert found["one_class", "pretrained"] == pytest.approx(roc_auc_score(task.labels[test], margin))
    precision = values(scores, "average_precision")["one_class", "pretrained"]
    assert precision == pytest.approx(average_precision_score(task.labels[test], margin))
    assert len(lines) == 2
    assert lines[0] == "odd: all training rows are normal in 1 of 1 splits; left out, as two classes are needed: lightgbm."
    assert {len(s.without) for s in scores if s.metric == "auroc"} == {20}


def test_probes_of_two_classes_are_left_out_and_said_so() -> None:
    task, good, noise = world()
    scores, lines = judged(task, good, noise, (("logistic", {}), ("knn", {})), probes_on_raw=True)
    assert {s.probe for s in scores} == {"one_class"}
    assert lines[0].endswith("are needed: logistic, knn, lightgbm.")
    _, lines = judged(task, good, noise, controls=False)
    assert len(lines) == 1
    assert default_probe(task)[0] == "one_class"


def test_one_split_without_anomalies_changes_all_splits_alike() -> None:
    whole, good, noise = world(anomalies=20)
    mixed = Task("odd", "anomaly", "cell", whole.labels, [*whole.splits, *world()[0].splits], "random")
    scores, lines = judged(mixed, good, noise, (("logistic", {}), ("one_class", {})))
    assert {(s.probe, s.split) for s in scores} == {("one_class", 0), ("one_class", 1)}
    assert "normal in 1 of 2 splits" in lines[0]


def test_with_anomalies_in_training_all_probes_judge_and_raw_features_are_beside() -> None:
    task, good, noise = world(anomalies=50)
    scores, _ = judged(task, good, noise, (("logistic", {}), ("one_class", {})))
    found = values(scores)
    assert {source for probe, source in found if probe == "one_class"} == {"pretrained", "untrained", "raw"}
    assert ("logistic", "untrained") in found
    assert ("lightgbm", "raw") in found
    assert default_probe(task)[0] == "logistic"


def test_on_raw_features_cosines_give_way_to_neighbours() -> None:
    """Standardised columns have mean zero: its direction is rounding."""
    task, good, noise = world()
    features = {"pretrained": {"cell": noise}, "untrained": {"cell": noise}}
    found = []
    for score in ("mean_cosine", "neighbours"):
        probe = ("one_class", OneClass(OneClassOptions(score=score)))
        options = EvaluateOptions(raw_numbers="standard")
        scores = judge([task], features, lambda t: RawFeatures(good), [probe], TREES, options, 0, lambda line: None)
        found.append(values(scores)["one_class", "raw"])
    assert found[0] == found[1] > 0.95


def test_fractions_take_fewer_normal_rows() -> None:
    task, good, noise = world()
    scores, _ = judged(task, good, noise, fractions=(0.05, 1.0))
    sizes = {s.fraction: s.train for s in scores}
    assert sizes == {0.05: 10, 1.0: 200}
    assert len(scores) == 2 * 2 * 3


@pytest.mark.parametrize("score", SCORES)
def test_shuffled_test_labels_land_near_a_half(score: str) -> None:
    task, good, noise = world()
    test = task.splits[0].test
    labels = task.labels.copy()
    labels[test] = np.random.default_rng(4).permutation(labels[test])
    shuffled = Task("odd", "anomaly", "cell", labels, task.splits, "random")
    found = values(judged(shuffled, good, noise, (("one_class", {"score": score}),))[0])
    positives, negatives = int(labels[test].sum()), int((labels[test] == 0).sum())
    half = stats.norm.ppf(0.9999) * np.sqrt((positives + negatives + 1) / (12 * positives * negatives))  # Mann-Whitney
    assert all(abs(value - 0.5) < half for value in found.values())
    assert half < 0.15


def test_anomalies_alone_in_training_are_refused() -> None:
    task, good, noise = world()
    flipped = Task("odd", "anomaly", "cell", 1 - task.labels, task.splits, "random")
    with pytest.raises(DataError, match="all 200 training rows are of class 1"):
        judged(flipped, good, noise)
    with pytest.raises(DataError, match="0 of 200 training rows are normal"):
        judged(flipped, good, noise, (("one_class", {}),))


def test_a_classification_task_of_one_class_is_still_refused() -> None:
    task, good, noise = world()
    classes = Task("odd", "classification", "cell", task.labels, task.splits, "random")
    with pytest.raises(DataError, match="a probe needs two classes"):
        judged(classes, good, noise)


def test_one_class_ranks_where_a_straight_line_cannot() -> None:
    """Anomalies on both sides of the normal rows, of which training holds those of one side."""
    x = np.linspace(-3, 3, 61)[:, None]
    labels = (np.abs(x[:, 0]) > 1).astype(np.int64)
    seen = x[:, 0] > -1.01
    said: Prediction = fitted("neighbours", x[seen], labels[seen])(x)
    assert roc_auc_score(labels, said.margin) == 1.0
    line = Logistic(LogisticOptions()).fit(x[seen], labels[seen], x[:0], labels[:0], "anomaly", 0)(x)
    assert roc_auc_score(labels, line.margin) < 0.6
