"""Metrics by kind of task. The first metric of a kind is its primary one: what is selected on and compared."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    average_precision_score,
    f1_score,
    normalized_mutual_info_score,
)

from sslplug.contracts import Kind
from sslplug.errors import DataError
from sslplug.evaluation.paired import GROUPS
from sslplug.evaluation.probe import Prediction

METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "segmentation": ("miou", "accuracy", "macro_f1"),
    "regression": ("rmse", "mae", "r2"),
    "link": ("auroc", "average_precision"),
    "anomaly": ("auroc", "average_precision"),
    "clustering": ("nmi", "ari", "ami"),
}
"""Names by kind, primary first. A classification with two classes also reports ``auroc``, one with groups :func:`by_group`."""

_SMALLER_IS_BETTER = frozenset({"rmse", "mae"})


def primary(kind: Kind) -> str:
    """The metric a task of this kind is selected on and compared by."""
    return METRICS[kind][0]


def higher_is_better(metric: str) -> bool:
    """Whether more of this metric is better.

    >>> higher_is_better("accuracy"), higher_is_better("rmse")
    (True, False)
    """
    return metric not in _SMALLER_IS_BETTER


def auroc(labels: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve of (n,) 0/1 labels: the chance that a positive outranks a negative, ties counted half.

    Raises DataError where one of the two classes is missing: the area is undefined there.
    """
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise DataError(
            f"The area under the ROC curve needs both classes; found {positives} positives among {len(labels)} rows. "
            "Use a larger or stratified part."
        )
    ranks = rankdata(score)
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def measure_without(kind: Kind, labels: np.ndarray, prediction: Prediction, group: np.ndarray) -> tuple[float, ...]:
    """The primary metric with the rows of each group 0..GROUPS - 1 left out; NaN for a group without rows.

    Empty where the metric is undefined without some group: its uncertainty by rows cannot be computed.
    """
    values = []
    for number in range(GROUPS):
        rest = group != number
        if not rest.any():
            return ()
        part = Prediction(prediction.values[rest], prediction.classes)
        try:
            values.append(float("nan") if rest.all() else _primary(kind, labels[rest], part))
        except DataError:
            return ()
    return tuple(values)


def _primary(kind: Kind, labels: np.ndarray, prediction: Prediction) -> float:
    """The first of :func:`measure` alone."""
    if kind == "classification":
        return float((prediction.labels == labels).mean())
    if kind == "segmentation":
        return mean_iou(labels, prediction.labels)
    return auroc(labels, prediction.margin) if primary(kind) == "auroc" else measure(kind, labels, prediction)[primary(kind)]


def measure(kind: Kind, labels: np.ndarray, prediction: Prediction) -> dict[str, float]:
    """Every metric of ``kind``, primary first.

    Accuracy, macro F1 and mean IoU count rows whose class was absent from training as errors; macro F1 and mean IoU
    average over the classes of ``labels``. Rmse and mae are in the label's own unit; r2 is 0 where the labels are constant.
    """
    if kind in ("classification", "segmentation"):
        guess = prediction.labels
        present = np.unique(labels)
        values = {
            "accuracy": float((guess == labels).mean()),
            "macro_f1": float(f1_score(labels, guess, labels=present, average="macro", zero_division=0.0)),
        }
        if kind == "segmentation":
            return {"miou": mean_iou(labels, guess), **values}
        if list(present) == [0, 1] and prediction.classes is not None and list(prediction.classes) == [0, 1]:
            values["auroc"] = auroc(labels, prediction.margin)
        return values
    if kind in ("link", "anomaly"):
        return {
            "auroc": auroc(labels, prediction.margin),
            "average_precision": float(average_precision_score(labels, prediction.margin)),
        }
    if kind == "regression":
        error = prediction.values.astype(np.float64) - labels
        spread = float(((labels - labels.mean()) ** 2).sum())
        return {
            "rmse": float(np.sqrt((error**2).mean())),
            "mae": float(np.abs(error).mean()),
            "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else 0.0,
        }
    raise DataError(f"A {kind} task is not measured by predictions; use agreement() on cluster numbers.")


def mean_iou(labels: np.ndarray, guess: np.ndarray) -> float:
    """Mean intersection over union of the classes that ``labels`` hold; a class that is only guessed costs the others.

    >>> mean_iou(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]))
    0.41666666666666663
    """
    classes, place = np.unique(labels, return_inverse=True)
    hits = np.bincount(place[guess == labels], minlength=len(classes))
    found = np.searchsorted(classes, guess).clip(max=len(classes) - 1)
    guessed = np.bincount(found[classes[found] == guess], minlength=len(classes))
    union = np.bincount(place, minlength=len(classes)) + guessed - hits
    return float((hits / union).mean())


def by_group(labels: np.ndarray, guess: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Accuracy by group of test rows (a person, a site): the mean over groups, each counted once, and the worst group's.

    {} where there is one group alone: nothing differs from the accuracy over rows then.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return {}
    each = np.bincount(place, weights=guess == labels) / np.bincount(place)
    return {"group_accuracy": float(each.mean()), "worst_group_accuracy": float(each.min())}


def agreement(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Agreement of (n,) cluster numbers with classes: NMI (arithmetic mean), adjusted Rand, adjusted mutual information."""
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "ami": float(adjusted_mutual_info_score(labels, clusters)),
    }


def agreement_without(labels: np.ndarray, clusters: np.ndarray, group: np.ndarray) -> tuple[float, ...]:
    """NMI with the rows of each group left out, the clusters as they are; like :func:`measure_without`."""
    rests = [group != number for number in range(GROUPS)]
    if not all(rest.any() for rest in rests):
        return ()
    return tuple(
        float("nan") if rest.all() else float(normalized_mutual_info_score(labels[rest], clusters[rest])) for rest in rests
    )


def selection_score(kind: Kind, labels: np.ndarray, prediction: Prediction) -> float:
    """The primary metric, larger is better, on validation rows; accuracy where these hold one class of a ranking task."""
    if kind in ("link", "anomaly") and len(np.unique(labels)) < 2:
        return float((prediction.labels == labels).mean())
    value = _primary(kind, labels, prediction)
    return value if higher_is_better(primary(kind)) else -value


def selection_order(kind: Kind, labels: np.ndarray, prediction: Prediction) -> tuple[float, float]:
    """What epochs and settings are compared by, larger is better: the selection score, and where that is equal minus the loss.

    The loss is the mean squared error, or the cross-entropy with unknown classes left out; few validation rows have many ties.
    """
    return selection_score(kind, labels, prediction), -_loss(prediction, labels)


def _loss(prediction: Prediction, labels: np.ndarray) -> float:
    if prediction.classes is None:
        return float(((prediction.values - labels) ** 2).mean())
    known = np.isin(labels, prediction.classes)
    if not known.any():
        return 0.0
    logits = prediction.values[known]
    logits = logits - logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(logits)), np.searchsorted(prediction.classes, labels[known])]
    return float((np.log(np.exp(logits).sum(axis=1)) - chosen).mean())
