"""Measured tasks: questions that a plugin itself measures on frozen embeddings, such as flow, registration or relatedness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from sslplug.errors import DataError

Measured = Mapping[str, np.ndarray]
"""{metric: (cases,) float array}. The score is the mean over cases; an array of length 1 measures the whole set."""


@dataclass(frozen=True)
class MeasuredTask:
    """A question whose answer the plugin computes from embeddings, without anything learned by the engine.

    name       unique in the data
    level      the embedding level that is judged, for reports; ``measure`` sees every level
    protocol   what is measured on which cases, in words that tell published numbers apart
    metrics    {metric: whether more is better}; the first is the primary one
    measure    {level: (n, d) float32} -> {metric: (cases,)}, of test cases alone; the same embeddings give the same numbers
    baselines  {name: () -> {metric: (cases,)}}: peers that need no encoder, on the same cases
    groups     (cases,) the group of each case (a scene, a person), for the jackknife; None: each case stands alone
    drawn      as :attr:`Task.drawn`

    Refused with DataError: no metric, groups that are no vector.
    """

    name: str
    level: str
    protocol: str
    metrics: Mapping[str, bool]
    measure: Callable[[Mapping[str, np.ndarray]], Measured]
    baselines: Mapping[str, Callable[[], Measured]] = field(default_factory=lambda: MappingProxyType({}))
    groups: np.ndarray | None = None
    drawn: bool = False

    def __post_init__(self) -> None:
        where = f"Measured task {self.name!r}"
        if not self.metrics:
            raise DataError(f"{where}: no metric; name at least one and whether more of it is better.")
        if self.groups is not None and self.groups.ndim != 1:
            raise DataError(f"{where}: groups are {self.groups.shape}; expected (cases,).")
        taken = sorted({"measured", "lightgbm", "lightgbm_tuned"} & set(self.baselines))
        if taken:
            raise DataError(f"{where}: a baseline is called {taken[0]!r}, which the tables use; choose another name.")
