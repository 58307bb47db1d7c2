"""A scan as its sensor saw it: the ring and azimuth step of each point, and which point each pixel shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sslplug_lidar.geometry.packing import owner_of
from sslplug_lidar.spec import Sensor


@dataclass(frozen=True, eq=False)
class RangeImage:
    """n images of rings x azimuths pixels, numbered image by image, ring by ring.

    pixel  (m,) int64: the pixel each point falls into; several points may share one
    shown  (s,) int64: the nearest point of each pixel that has any, in pixel order
    shape  (n, rings, azimuths); ring 0 is the lowest beam
    """

    pixel: Tensor
    shown: Tensor
    shape: tuple[int, int, int]

    def image(self, values: Tensor) -> Tensor:
        """(n, d, rings, azimuths) of the shown points' values (m, d); zeros where there is no point."""
        n, rings, azimuths = self.shape
        flat = values.new_zeros(n * rings * azimuths, values.shape[1])
        flat = flat.index_copy(0, self.pixel[self.shown], values[self.shown])
        return flat.view(n, rings, azimuths, -1).permute(0, 3, 1, 2)

    def points(self, image: Tensor) -> Tensor:
        """(m, d): what each point finds at its pixel of an (n, d, rings, azimuths) image."""
        return image.permute(0, 2, 3, 1).reshape(-1, image.shape[1])[self.pixel]


def ring_of(xyz: Tensor, sensor: Sensor) -> Tensor:
    """(m,) int64: the beam whose elevation is nearest to each point's, seen from the origin; 0 is the lowest."""
    elevations = torch.tensor(sensor.elevations, dtype=torch.float32, device=xyz.device)
    elevation = torch.atan2(xyz[:, 2], xyz[:, :2].norm(dim=1)).float()
    return torch.bucketize(elevation, (elevations[1:] + elevations[:-1]) / 2)


def column_of(xyz: Tensor, sensor: Sensor) -> Tensor:
    """(m,) int64: the azimuth step nearest to each point; step 0 is forward (x), steps turn to the left."""
    turn = torch.atan2(xyz[:, 1], xyz[:, 0]) / (2 * math.pi)
    return (turn * sensor.azimuths).round().long() % sensor.azimuths


def project(xyz: Tensor, offsets: Tensor, sensor: Sensor) -> RangeImage:
    """The range images of packed sweeps (m, 3), seen from the origin. Of points at one pixel, the nearest is shown."""
    n = len(offsets) - 1
    xyz = xyz.detach()
    pixel = (owner_of(offsets) * sensor.rings + ring_of(xyz, sensor)) * sensor.azimuths + column_of(xyz, sensor)
    distance = xyz.square().sum(1)
    least = distance.new_full((n * sensor.rings * sensor.azimuths,), torch.inf)
    least = least.scatter_reduce(0, pixel, distance, "amin")
    candidate = (distance == least[pixel]).nonzero()[:, 0]
    first = torch.full(least.shape, len(xyz), dtype=torch.int64, device=xyz.device)
    first = first.scatter_reduce(0, pixel[candidate], candidate, "amin")  # of equally near ones, the first
    return RangeImage(pixel, first[first < len(xyz)], (n, sensor.rings, sensor.azimuths))
