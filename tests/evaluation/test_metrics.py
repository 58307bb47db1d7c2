import numpy as np
import pytest
from sklearn import metrics as sk

from sslplug.contracts import Kind
from sslplug.errors import DataError
from sslplug.evaluation.metrics import (
    METRICS,
    agreement,
    auroc,
    by_group,
    higher_is_better,
    mean_iou,
    measure,
    primary,
    selection_order,
    selection_score,
)
from sslplug.evaluation.probe import Prediction


def test_classes_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, values = rng.integers(0, 4, 300), rng.normal(size=(300, 4))
    found = measure("classification", labels, Prediction(values, np.arange(4)))
    assert found == {
        "accuracy": pytest.approx(sk.accuracy_score(labels, values.argmax(1))),
        "macro_f1": pytest.approx(sk.f1_score(labels, values.argmax(1), average="macro")),
    }
    assert list(found) == list(METRICS["classification"])


def test_segments_are_measured_by_their_overlap() -> None:
    rng = np.random.default_rng(0)
    labels, values = rng.integers(0, 4, 300) * 2, rng.normal(size=(300, 9))
    guess = values.argmax(1)  # odd classes and 8 are guessed and never there
    found = measure("segmentation", labels, Prediction(values, np.arange(9)))
    expected = sk.jaccard_score(labels, guess, labels=np.unique(labels), average="macro")
    assert found["miou"] == pytest.approx(expected)
    assert list(found) == list(METRICS["segmentation"])
    assert mean_iou(labels, labels) == 1.0
    assert mean_iou(labels, labels + 1) == 0.0
    assert selection_score("segmentation", labels, Prediction(values, np.arange(9))) == pytest.approx(expected)


def test_groups_count_once_each_and_the_worst_is_told() -> None:
    labels, guess = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 0, 1])
    groups = np.array(["a", "a", "a", "a", "b", "b"])
    assert by_group(labels, guess, groups) == {"group_accuracy": 0.75, "worst_group_accuracy": 0.5}
    assert by_group(labels[:4], guess[:4], groups[:4]) == {}


@pytest.mark.parametrize("kind", ["link", "anomaly"])
def test_rankings_agree_with_scikit_learn(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(200) < 0.2).astype(np.int64)
    score = np.round(rng.normal(size=200) + labels, 1)  # ties on purpose
    found = measure(kind, labels, Prediction(np.stack([-score / 2, score / 2], 1), np.arange(2)))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(labels, score))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(labels, score))
    assert next(iter(found)) == primary(kind)


def test_numbers_and_clusters_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, guess = rng.normal(size=50), rng.normal(size=50)
    found = measure("regression", labels, Prediction(guess))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(labels, guess))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(labels, guess))
    assert found["r2"] == pytest.approx(sk.r2_score(labels, guess))
    assert agreement(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2])) == {"nmi": 1.0, "ari": 1.0, "ami": 1.0}
    assert measure("regression", np.ones(3), Prediction(np.zeros(3)))["r2"] == 0.0


def test_binary_classification_also_ranks() -> None:
    prediction = Prediction(np.array([[0.9, 0.1], [0.2, 0.8]]), np.arange(2))
    assert measure("classification", np.array([0, 1]), prediction)["auroc"] == 1.0


def test_equal_scores_are_ordered_by_the_loss_and_unknown_classes_are_left_out_of_it() -> None:
    sure, unsure = (Prediction(np.array([[size, 0.0], [0.0, size]]), np.array([3, 5])) for size in (4.0, 1.0))
    labels = np.array([3, 5])
    (score, best), (same, worse) = (selection_order("classification", labels, said) for said in (sure, unsure))
    assert score == same == 1.0
    assert (best, worse) == pytest.approx((-np.log1p(np.exp(-4.0)), -np.log1p(np.exp(-1.0))))
    half, loss = selection_order("classification", np.array([3, 7]), unsure)
    assert (half, loss) == (0.5, pytest.approx(worse))
    assert selection_order("regression", np.array([1.0, 2.0]), Prediction(np.array([2.0, 2.0])))[1] == -0.5


def test_direction_and_selection() -> None:
    assert [higher_is_better(name) for name in ("rmse", "mae", "r2", "auroc")] == [False, False, True, True]
    near, far = Prediction(np.array([1.0, 2.0])), Prediction(np.array([3.0, 5.0]))
    labels = np.array([1.0, 2.0])
    assert selection_score("regression", labels, near) > selection_score("regression", labels, far)
    single = Prediction(np.array([[0.9, 0.1]]), np.arange(2))
    assert selection_score("link", np.array([0]), single) == 1.0
    with pytest.raises(DataError, match="needs both classes; found 0 positives among 3"):
        auroc(np.zeros(3, np.int64), np.arange(3.0))
