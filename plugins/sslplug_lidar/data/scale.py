"""What is fitted on the clouds that may be trained on: the scale of each channel and the size of a usual cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sslplug.errors import DataError
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.spec import CloudSpec, Sensor


@dataclass(frozen=True)
class Scale:
    """Standardises channels. ``points`` and ``extent`` are those of :class:`CloudSpec`."""

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    points: int
    extent: float

    def spec(self, sensor: Sensor | None) -> CloudSpec:
        """What views and encoders must know."""
        return CloudSpec(self.channels, self.points, self.extent, sensor)

    def applied(self, features: np.ndarray) -> np.ndarray:
        """(m, f) channels with mean 0 and deviation 1 over the training points."""
        scaled: np.ndarray = (features - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return scaled.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """As ``fitted`` keeps it."""
        return {
            "channels": list(self.channels),
            "mean": list(self.mean),
            "std": list(self.std),
            "points": self.points,
            "extent": self.extent,
        }

    @classmethod
    def from_json(cls, fitted: Mapping[str, Any], clouds: CloudSet) -> Scale:
        """As an earlier run fitted it. Raises DataError where these clouds have other channels."""
        channels = tuple(fitted["channels"])
        if channels != clouds.channels:
            raise DataError(
                f"{clouds.name}: channels {', '.join(clouds.channels) or 'none'}; the encoder was trained on "
                f"{', '.join(channels) or 'none'}. Give the same channels in the same order."
            )
        return cls(channels, tuple(fitted["mean"]), tuple(fitted["std"]), int(fitted["points"]), float(fitted["extent"]))


def fit(clouds: CloudSet, training: np.ndarray) -> Scale:
    """Statistics of the training clouds alone."""
    rows = clouds.rows(training)[0]
    features = clouds.features[rows].astype(np.float64)
    std = features.std(0) if len(rows) else np.ones(len(clouds.channels))
    mean = features.mean(0) if len(rows) else np.zeros(len(clouds.channels))
    away = np.linalg.norm(clouds.xyz[rows].astype(np.float64), axis=1)
    extent = float(np.quantile(away, 0.95)) if len(rows) else 1.0
    return Scale(
        clouds.channels,
        tuple(float(v) for v in mean),
        tuple(float(v) if v > 1e-9 else 1.0 for v in std),
        max(1, int(np.median(clouds.lengths[training]))) if len(training) else 1,
        extent if extent > 1e-6 else 1.0,
    )
