"""How far predicted scene flow is from the true one: the four numbers of the scene flow benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from sslplug.errors import DataError

FLOW_METRICS: Mapping[str, bool] = MappingProxyType(
    {"epe": False, "acc_strict": True, "acc_relaxed": True, "outliers": False}
)
"""{metric: higher is better}; the first is the primary one."""


def flow_errors(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The errors of one pair of sweeps over the points whose flow is known.

    predicted  (m, 3) metres;  true  (m, 3) metres, NaN where unknown

    epe          mean length of the error, metres
    acc_strict   share of points with an error below 0.05 m or below 5 % of the true length
    acc_relaxed  share below 0.1 m or below 10 %
    outliers     share above 0.3 m or above 10 %

    Liu et al. 2019 (FlowNet3D), Lang et al. 2023 (SCOOP), section 4. DataError where shapes differ or no flow is known.
    """
    if predicted.shape != true.shape:
        raise DataError(f"Scene flow: {predicted.shape} predicted for {true.shape} true vectors; expected one a point.")
    known = np.isfinite(true).all(1)
    if not known.any():
        raise DataError("Scene flow: no point of this pair has a known flow; leave the pair out of the task.")
    error = np.linalg.norm(predicted[known].astype(np.float64) - true[known], axis=1)
    relative = error / np.maximum(np.linalg.norm(true[known], axis=1), 1e-9)
    return {
        "epe": float(error.mean()),
        "acc_strict": float(((error < 0.05) | (relative < 0.05)).mean()),
        "acc_relaxed": float(((error < 0.1) | (relative < 0.1)).mean()),
        "outliers": float(((error > 0.3) | (relative > 0.1)).mean()),
    }
