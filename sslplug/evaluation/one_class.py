"""Anomaly detection: how far a row lies from the normal training rows. Nothing is learnt from anomalies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from sslplug.contracts import Kind, Options, Task
from sslplug.errors import DataError
from sslplug.evaluation.probe import Prediction, Scaler, unit_rows


class OneClassOptions(Options):
    """Distance from the normal training rows (label 0); nothing is chosen, so validation rows are not used."""

    score: Literal["neighbours", "mean_cosine", "mahalanobis"] = Field(
        default="neighbours",
        description="distance to the nearest normal rows, minus the cosine with their mean (CLAN), or Mahalanobis distance",
    )
    k: int = Field(default=5, ge=1, description="neighbours: how many; never more than there are normal training rows")


@dataclass(frozen=True)
class FittedOneClass:
    """``score``: (n, f) rows -> (n,) how anomalous each is."""

    score: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: np.ndarray) -> Prediction:
        """Ranks (n, f) rows: the margin is the score. There is no threshold, so the labels of the prediction say nothing."""
        score = self.score(np.asarray(x, dtype=np.float64))
        return Prediction(np.stack([np.zeros_like(score), score], axis=1), np.array([0, 1]))


@dataclass(frozen=True)
class OneClass:
    """See :class:`OneClassOptions`. Fitted on the training rows with label 0 alone, whatever else is among them.

    neighbours   mean Euclidean distance to the k nearest normal rows, columns standardised by the normal rows
    mean_cosine  minus the cosine with the mean normal row (CLAN, Wilkie et al. 2025)
    mahalanobis  squared Mahalanobis distance from the mean normal row, columns standardised likewise, covariance shrunk by
                 Ledoit and Wolf (2004)
    """

    options: OneClassOptions
    kinds: frozenset[Kind] = frozenset({"anomaly"})

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedOneClass:
        """Remember or summarise the normal rows of (n, f) ``x_train``. DataError where there are too few."""
        normal = np.asarray(x_train, dtype=np.float64)[y_train == 0]
        needed = 2 if self.options.score == "mahalanobis" else 1
        if len(normal) < needed:
            raise DataError(
                f"{len(normal)} of {len(y_train)} training rows are normal (label 0); one_class by {self.options.score} needs "
                f"{needed} or more. Put normal rows into the training part."
            )
        if self.options.score == "mean_cosine":
            mean = unit_rows(normal.mean(axis=0, keepdims=True))[0]
            return FittedOneClass(lambda x: -(unit_rows(x) @ mean))
        scaler = Scaler.of(normal)
        if self.options.score == "mahalanobis":
            shrunk = LedoitWolf().fit(scaler(normal))
            return FittedOneClass(lambda x: np.asarray(shrunk.mahalanobis(scaler(x))))
        near = NearestNeighbors(n_neighbors=min(self.options.k, len(normal))).fit(scaler(normal))
        return FittedOneClass(lambda x: np.asarray(near.kneighbors(scaler(x))[0].mean(axis=1)))

    def centred(self) -> OneClass:
        """The probe for raw features as numbers. Their training mean is zero and has no direction: neighbours for cosines."""
        if self.options.score != "mean_cosine":
            return self
        return replace(self, options=self.options.model_copy(update={"score": "neighbours"}))


def all_normal(task: Task) -> int:
    """In how many splits of an anomaly task all training rows are normal; 0 for other kinds."""
    return sum(bool((task.labels[split.train] == 0).all()) for split in task.splits) if task.kind == "anomaly" else 0
