"""Weighted nearest neighbours in cosine similarity (Wu et al. 2018; k 20 and T .07 as in DINO, Caron et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from sslplug.contracts import Kind, Options
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, unit_rows

_BLOCK = 2048


class KnnOptions(Options):
    """Weighted nearest neighbours in cosine similarity; nothing is chosen, so validation rows are not used."""

    k: int = Field(default=20, ge=1, description="neighbours; never more than there are training rows")
    temperature: float = Field(default=0.07, gt=0, description="a neighbour weighs exp(similarity / temperature)")


@dataclass(frozen=True)
class FittedKnn:
    """The training rows of unit length, with one column a class (or the numbers themselves) to average."""

    unit: np.ndarray
    answers: np.ndarray
    classes: np.ndarray | None
    k: int
    temperature: float

    def __call__(self, x: np.ndarray) -> Prediction:
        """The weighted mean answer of each row's neighbours."""
        parts = [self._block(unit_rows(x[start : start + _BLOCK])) for start in range(0, len(x), _BLOCK)]
        values = np.concatenate(parts) if parts else np.zeros((0, self.answers.shape[1]))
        return Prediction(values[:, 0]) if self.classes is None else Prediction(values, self.classes)

    def _block(self, rows: np.ndarray) -> np.ndarray:
        similarity = rows @ self.unit.T
        near = np.argpartition(-similarity, self.k - 1, axis=1)[:, : self.k]
        score = np.take_along_axis(similarity, near, axis=1) / self.temperature
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        mean: np.ndarray = np.einsum("nk,nkc->nc", weight / weight.sum(axis=1, keepdims=True), self.answers[near])
        return mean


@dataclass(frozen=True)
class Knn:
    """See :class:`KnnOptions`."""

    options: KnnOptions
    kinds: frozenset[Kind] = CLASS_KINDS | {"regression"}

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedKnn:
        """Remember the (n, f) training rows."""
        k = min(self.options.k, len(y_train))
        if kind == "regression":
            return FittedKnn(unit_rows(x_train), np.asarray(y_train, np.float64)[:, None], None, k, self.options.temperature)
        classes, index = np.unique(y_train, return_inverse=True)
        return FittedKnn(unit_rows(x_train), np.eye(len(classes))[index], classes, k, self.options.temperature)
