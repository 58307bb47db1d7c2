"""k-means on frozen features: how far unsupervised clusters agree with classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from sklearn.cluster import KMeans as SklearnKMeans

from sslplug.contracts import Kind, Options
from sslplug.evaluation.probe import Features


class KMeansOptions(Options):
    """k-means with as many clusters as classes, on all labelled rows; reports NMI, ARI and AMI."""

    starts: int = Field(default=10, ge=1, description="k-means++ starts; the one of least inertia is kept")
    iterations: int = Field(default=300, ge=1, description="most Lloyd iterations a start")


@dataclass(frozen=True)
class KMeans:
    """See :class:`KMeansOptions`. It reads no label, so it judges all rows rather than test rows alone."""

    options: KMeansOptions
    kinds: frozenset[Kind] = frozenset({"clustering", "classification", "segmentation"})

    def cluster(self, x: Features, count: int, seed: int) -> np.ndarray:
        """(n,) cluster numbers of (n, f) rows, dense or CSR."""
        model = SklearnKMeans(count, n_init=self.options.starts, max_iter=self.options.iterations, random_state=seed)
        clusters: np.ndarray = model.fit_predict(x)
        return clusters
