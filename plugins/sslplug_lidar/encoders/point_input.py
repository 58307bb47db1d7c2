"""What encoders see of a single point, and the lengths that suit a kind of cloud."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sslplug_lidar.batch import Clouds
from sslplug_lidar.spec import CloudSpec


def width_of(spec: CloudSpec) -> int:
    """Columns of :func:`point_input`."""
    return 3 + len(spec.channels)


def point_input(clouds: Clouds, spec: CloudSpec) -> Tensor:
    """(m, 3 + f): coordinates in units of the usual radius, and the features."""
    return torch.cat([clouds.xyz / spec.extent, clouds.features], 1)


def usual_spacing(extent: float, points: float) -> float:
    """Metres between neighbours of so many points, were they even on a surface of this radius."""
    return 1.5 * extent / math.sqrt(max(points, 1.0))
