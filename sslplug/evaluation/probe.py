"""A probe: the supervised model that judges frozen features. It never sees a test label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from sslplug.contracts import Kind, RawFeatures
from sslplug.errors import DataError

Features = Any
"""(n, f) float rows: a numpy array; where the probe says that it takes them, a scipy CSR matrix or :class:`RawFeatures`."""

CLASS_KINDS: frozenset[Kind] = frozenset({"classification", "segmentation", "link", "anomaly"})
"""Kinds whose labels are integers that a classifier predicts."""


@dataclass(frozen=True)
class Prediction:
    """What a fitted probe says of rows.

    values   (n, c) scores of the classes, larger is likelier; (n,) numbers for regression
    classes  (c,) the class of each column, sorted; None for regression
    """

    values: np.ndarray
    classes: np.ndarray | None = None

    @property
    def labels(self) -> np.ndarray:
        """The predicted class of each row, or the predicted number."""
        if self.classes is None:
            return self.values
        chosen: np.ndarray = self.classes[self.values.argmax(axis=1)]
        return chosen

    @property
    def margin(self) -> np.ndarray:
        """(n,) how much likelier class 1 is than class 0, for link and anomaly."""
        if self.classes is None or list(self.classes) != [0, 1]:
            raise DataError(f"A ranking needs the classes 0 and 1; the probe was fitted on {self.classes}.")
        margin: np.ndarray = self.values[:, 1] - self.values[:, 0]
        return margin


class Fitted(Protocol):
    """A fitted probe: features of any rows in, :class:`Prediction` out."""

    def __call__(self, x: Features) -> Prediction:
        """What it says of (n, f) rows."""
        ...


class Probe(Protocol):
    """One named protocol of judging frozen features.

    ``fit`` chooses its hyper-parameters on the validation rows, or by inner cross-validation on the training rows where
    there are none, and returns the fitted model. The same arguments give the same model.
    """

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of task it can judge."""
        ...

    def fit(
        self, x_train: Features, y_train: np.ndarray, x_val: Features, y_val: np.ndarray, kind: Kind, seed: int
    ) -> Fitted:
        """Fit on (n, f) training rows."""
        ...


@dataclass(frozen=True)
class Scaler:
    """Column means and scales of the training rows. A constant column keeps scale 1."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Scaler:
        """Fit on (n, f) training rows, in float64."""
        x = np.asarray(x, dtype=np.float64)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        return cls(mean, np.where(scale > 1e-12 * (1.0 + np.abs(mean)), scale, 1.0))

    @classmethod
    def identity(cls, x: np.ndarray) -> Scaler:
        """Leaves rows as they are."""
        return cls(np.zeros(x.shape[1]), np.ones(x.shape[1]))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The scaled rows, float64."""
        scaled: np.ndarray = (np.asarray(x, dtype=np.float64) - self.mean) / self.scale
        return scaled


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Rows of length one in float64; a zero row stays zero."""
    x = np.asarray(x, dtype=np.float64)
    unit: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return unit


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(n,) the fold of each row: classes are dealt out in turn after a shuffle, so fold sizes differ by one at most."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def take(x: Features, rows: np.ndarray) -> Features:
    """Some rows of any form of features."""
    return replace(x, values=x.values[rows]) if isinstance(x, RawFeatures) else x[rows]


def held_out(
    x_train: Features, y_train: np.ndarray, x_val: Features, y_val: np.ndarray, kind: Kind, seed: int
) -> tuple[Features, np.ndarray, Features, np.ndarray]:
    """Rows to fit on and rows to choose by: the validation rows, or where there are none a stratified fifth of the training rows.

    Every class keeps a training row. Fewer than five training rows are both fitted on and chosen by.
    """
    if len(y_val):
        return x_train, y_train, x_val, y_val
    if len(y_train) < 5:
        return x_train, y_train, x_train, y_train
    inside = kept_inside(np.zeros(len(y_train)) if kind == "regression" else y_train, 5, seed)
    if inside.all():
        return x_train, y_train, x_train, y_train
    return take(x_train, inside), y_train[inside], take(x_train, ~inside), y_train[~inside]


def kept_inside(strata: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """(n,) False for one stratified part of ``parts``, to be held out; every stratum keeps a row inside."""
    inside: np.ndarray = stratified_folds(strata, parts, seed) != 0
    for value in np.unique(strata):
        if not inside[strata == value].any():
            inside[np.flatnonzero(strata == value)[0]] = True
    return inside
