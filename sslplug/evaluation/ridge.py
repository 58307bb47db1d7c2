"""Ridge regression on frozen features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from sslplug.contracts import Kind, Options
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.probe import Prediction, Scaler, stratified_folds


class RidgeOptions(Options):
    """Ridge regression on standardised features."""

    lowest: int = Field(default=-4, description="smallest penalty, as a power of ten")
    highest: int = Field(default=6, description="largest penalty, as a power of ten")
    folds: int = Field(default=5, ge=2, description="inner folds where a split has no validation rows")


@dataclass(frozen=True)
class FittedRidge:
    """predictions = scaled features @ weights + bias."""

    scaler: Scaler
    weights: np.ndarray
    bias: float

    def __call__(self, x: np.ndarray) -> Prediction:
        """Numbers for (n, f) rows, in the label's unit."""
        return Prediction(self.scaler(x) @ self.weights + self.bias)


@dataclass(frozen=True)
class Ridge:
    """min |y - X w - b|^2 + alpha |w|^2, the bias free; alpha chosen by rmse. One decomposition serves all."""

    options: RidgeOptions
    kinds: frozenset[Kind] = frozenset({"regression"})

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedRidge:
        """Fit on (n, f) rows with float labels. Ties take the larger penalty."""
        alphas = [10.0**power for power in range(self.options.highest, self.options.lowest - 1, -1)]
        path = _path(x_train, y_train, alphas)
        if len(y_val):
            return path[int(np.argmax([selection_score(kind, y_val, fit(x_val)) for fit in path]))]
        if len(y_train) < 4:
            return path[alphas.index(min(alphas, key=lambda alpha: abs(np.log10(alpha))))]
        fold = stratified_folds(np.zeros(len(y_train)), min(self.options.folds, len(y_train)), seed)
        scores = np.zeros(len(alphas))
        for number in np.unique(fold):
            inner = _path(x_train[fold != number], y_train[fold != number], alphas)
            held = fold == number
            scores += [selection_score(kind, y_train[held], fit(x_train[held])) for fit in inner]
        return path[int(np.argmax(scores))]


def _path(x: np.ndarray, y: np.ndarray, alphas: list[float]) -> list[FittedRidge]:
    scaler = Scaler.of(x)
    left, singular, right = np.linalg.svd(scaler(x), full_matrices=False)
    bias = float(y.mean())
    turned = left.T @ (y - bias)
    return [FittedRidge(scaler, right.T @ (singular / (singular**2 + alpha) * turned), bias) for alpha in alphas]
