"""A convolutional U-Net on the sensor's range image (Milioto et al. 2019, RangeNet++): azimuth closes on itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import point_input, width_of
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.geometry.projection import project
from sslplug_lidar.spec import CloudSpec


class RangeImageOptions(Options):
    """Stages of the U-Net."""

    widths: list[int] = Field(
        [16, 32, 64], min_length=1, description="channels of each stage; each halves the azimuth steps"
    )
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how points make a cloud: max, mean or both")


class RingConv(nn.Module):
    """3 x 3 convolution, batch norm, ReLU; the last azimuth is the first one's neighbour, nothing lies beyond the rings."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride=(1, stride), bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Tensor) -> Tensor:
        """(n, inputs, rings, azimuths) -> (n, outputs, rings, azimuths / stride)."""
        around = F.pad(image, (1, 1, 0, 0), mode="circular")
        out: Tensor = self.norm(self.convolution(F.pad(around, (0, 0, 1, 1)))).relu()
        return out


class RangeImageNet(nn.Module):
    """Levels point (m, dim) and cloud, of sweeps whose sensor is known. Points that share a pixel differ by their own part."""

    def __init__(self, options: RangeImageOptions, spec: CloudSpec) -> None:
        super().__init__()
        if spec.sensor is None:
            raise UsageError(
                "encoder range_image: this data comes from no single spinning sensor, so it has no range image; "
                "choose another encoder, such as voxel_unet."
            )
        o, self.spec, self.sensor, self.how = options, spec, spec.sensor, options.pool
        inputs = width_of(spec) + 2
        self.first = RingConv(inputs, o.widths[0])
        self.down = nn.ModuleList(nn.Sequential(RingConv(a, b, stride=2), RingConv(b, b)) for a, b in pairwise(o.widths))
        self.up = nn.ModuleList(RingConv(a + b, a) for a, b in pairwise(o.widths))
        self.pixel = nn.Linear(o.widths[0], o.dim)
        self.own = nn.Linear(inputs, o.dim, bias=False)
        self.dims: Mapping[str, int] = {"point": o.dim, "cloud": pooled_width(o.pool, o.dim + o.widths[-1])}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's points and clouds."""
        clouds: Clouds = view.data
        owner, n = clouds.cloud_of(), len(clouds.index)
        distance = clouds.xyz.norm(dim=1, keepdim=True) / self.spec.extent
        values = torch.cat([point_input(clouds, self.spec), distance, torch.ones_like(distance)], 1)
        projected = project(clouds.xyz, clouds.offsets, self.sensor)
        stages = [self.first(projected.image(values))]
        for stage in self.down:
            stages.append(stage(stages[-1]))
        deepest = image = stages[-1]
        for layer, skip in zip(reversed(list(self.up)), reversed(stages[:-1])):
            image = layer(torch.cat([skip, F.interpolate(image, size=skip.shape[2:], mode="nearest")], 1))
        point = self.pixel(projected.points(image)) + self.own(values)
        deep = projected.points(F.interpolate(deepest, size=image.shape[2:], mode="nearest"))
        cloud = pool(self.how, torch.cat([point, deep], 1), owner, n)
        return Embedding({"point": point, "cloud": cloud}, {"point": owner})


def build(options: RangeImageOptions, spec: CloudSpec) -> RangeImageNet:
    """The encoder for sweeps of this sensor."""
    return RangeImageNet(options, spec)
