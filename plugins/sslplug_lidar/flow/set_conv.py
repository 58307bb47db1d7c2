"""Convolution on the graph of nearest points, and the encoder made of it that learns correspondences (FLOT, SCOOP).

    h_i = leaky_relu(norm(max_j (W f_j + V (x_j - x_i))))

over the k points nearest to x_i, x_i included. Coordinates enter as differences alone, so embeddings do not change when a cloud
is shifted. W f_j + V x_j is computed once a point and not once an edge, and the monotone activation may follow the maximum.
Puy, Boulch and Marlet 2020 (FLOT), section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import nearest, segment_max
from sslplug_lidar.spec import CloudSpec


class SetConvOptions(Options):
    """Options of the set-convolution encoder."""

    widths: tuple[int, ...] = Field(
        (32, 64, 128), min_length=1, description="Width of each layer; the last is that of points."
    )
    neighbours: int = Field(32, ge=1, description="Points in each convolution, the point itself included.")


class SetConv(nn.Module):
    """One layer; ``last`` leaves out norm and activation, so that embeddings may point anywhere."""

    def __init__(self, width_in: int, width: int, last: bool = False) -> None:
        super().__init__()
        self.point = nn.Linear(width_in, width) if width_in else None
        self.place = nn.Linear(3, width, bias=self.point is None)
        self.norm = None if last else nn.LayerNorm(width)

    def forward(self, features: Tensor, xyz: Tensor, near: Tensor) -> Tensor:
        """(m, width) from (m, width_in) features of points (m, 3) with neighbours (m, k)."""
        placed = self.place(xyz)
        here = placed if self.point is None else placed + self.point(features)
        found = here[near].amax(1) - F.linear(xyz, self.place.weight)
        return found if self.norm is None else F.leaky_relu(self.norm(found), 0.1)


class SetConvs(nn.Module):
    """A stack of layers on one graph: (m, widths[-1]) from packed clouds."""

    def __init__(self, channels: int, widths: tuple[int, ...], neighbours: int) -> None:
        super().__init__()
        sizes = (channels, *widths)
        last = len(widths) - 1
        self.layers = nn.ModuleList(SetConv(a, b, n == last) for n, (a, b) in enumerate(zip(sizes, widths)))
        self.neighbours = neighbours

    def forward(self, features: Tensor, xyz: Tensor, offsets: Tensor) -> Tensor:
        """Embeddings of packed points (m, 3) with features (m, f)."""
        near, _ = nearest(xyz, offsets, xyz, offsets, self.neighbours)
        for layer in self.layers:
            features = layer(features, xyz, near)
        return features


class SetConvEncoder(nn.Module):
    """Levels: point, by set convolutions; cloud, the maximum over its points."""

    def __init__(self, options: SetConvOptions, channels: int) -> None:
        super().__init__()
        self.points = SetConvs(channels, options.widths, options.neighbours)
        self.dims = {"point": options.widths[-1], "cloud": options.widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of every point and cloud."""
        clouds: Clouds = view.data
        points = self.points(clouds.features, clouds.xyz, clouds.offsets)
        return two_levels(clouds, points)


def two_levels(clouds: Clouds, points: Tensor, more: Mapping[str, Tensor] | None = None) -> Embedding:
    """The embedding of points (m, d) and of their clouds, their maxima; ``more`` levels beside them."""
    owner = clouds.cloud_of()
    pooled = segment_max(points, owner, len(clouds.index))
    return Embedding({"point": points, "cloud": pooled, **(more or {})}, {"point": owner})


def build(options: SetConvOptions, spec: CloudSpec) -> SetConvEncoder:
    """The encoder for clouds with the channels of ``spec``."""
    return SetConvEncoder(options, len(spec.channels))
