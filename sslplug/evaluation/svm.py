"""Support vector classification on frozen features: P-svm-10fold of the graph-level papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field
from sklearn.svm import SVC

from sslplug.contracts import Kind, Options
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, Scaler, stratified_folds


class SvmOptions(Options):
    """Support vector classifier (libsvm), C chosen on validation rows or by inner cross-validation."""

    kernel: Literal["rbf", "linear"] = Field(default="rbf", description="kernel")
    gamma: Literal["scale", "auto"] = Field(default="scale", description="width of the rbf kernel: 1/(f var(X)) or 1/f")
    strengths: tuple[float, ...] = Field(
        default=(1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0), min_length=1, description="C values"
    )
    folds: int = Field(default=5, ge=2, description="inner folds where a split has no validation rows")
    standardise: bool = Field(default=False, description="scale columns by the training rows first")


@dataclass(frozen=True)
class FittedSvm:
    """A fitted classifier; scores are one-vs-rest votes broken by confidence (libsvm trains one-vs-one)."""

    scaler: Scaler
    machine: SVC

    def __call__(self, x: np.ndarray) -> Prediction:
        """Scores of (n, f) rows."""
        score = self.machine.decision_function(self.scaler(x))
        if score.ndim == 1:
            score = np.stack([-score, score], axis=1)
        return Prediction(score, self.machine.classes_)


@dataclass(frozen=True)
class Svm:
    """See :class:`SvmOptions`. Ties take the smaller C; folds that hold one class alone cannot judge and are left out."""

    options: SvmOptions
    kinds: frozenset[Kind] = CLASS_KINDS

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedSvm:
        """Fit on (n, f) rows with integer labels."""
        strengths = sorted(self.options.strengths)
        if len(strengths) == 1:
            return self._fitted(x_train, y_train, strengths[0])
        if len(y_val):
            fits = [self._fitted(x_train, y_train, strength) for strength in strengths]
            return fits[int(np.argmax([selection_score(kind, y_val, fit(x_val)) for fit in fits]))]
        folds = min(self.options.folds, len(y_train))
        fold = stratified_folds(y_train, folds, seed)
        usable = [f for f in range(folds) if len(np.unique(y_train[fold != f])) > 1]
        scores = np.zeros(len(strengths))
        for f in usable:
            inside, outside = fold != f, fold == f
            for number, strength in enumerate(strengths):
                fit = self._fitted(x_train[inside], y_train[inside], strength)
                scores[number] += selection_score(kind, y_train[outside], fit(x_train[outside]))
        return self._fitted(x_train, y_train, strengths[int(np.argmax(scores))])

    def _fitted(self, x: np.ndarray, y: np.ndarray, strength: float) -> FittedSvm:
        scaler = Scaler.of(x) if self.options.standardise else Scaler.identity(x)
        machine = SVC(C=strength, kernel=self.options.kernel, gamma=self.options.gamma, cache_size=500)
        return FittedSvm(scaler, machine.fit(scaler(x), y))
