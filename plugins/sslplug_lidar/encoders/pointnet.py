"""PointNet (Qi et al. 2017): the same perceptron on every point, then the maximum over the cloud.

Without the two learned alignments (T-Nets) of the paper: views turn and move clouds instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import nn

from sslplug.contracts import Embedding, Options, View
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import point_input, width_of
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.encoders.rows import Norm, perceptron
from sslplug_lidar.geometry.segments import segment_max
from sslplug_lidar.spec import CloudSpec


class PointNetOptions(Options):
    """Widths of the perceptrons."""

    local: list[int] = Field([64, 64], min_length=1, description="widths before the features of single points branch off")
    wide: list[int] = Field([128, 256], min_length=1, description="widths from there to the rows that are pooled")
    point: list[int] = Field(
        [128], description="hidden widths from a point's local row and its cloud's maximum to level point"
    )
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how rows make a cloud: max, mean or both")
    norm: Norm = Field("batch", description="norm after each linear map: over the batch's points, or within a row")


class PointNet(nn.Module):
    """Levels point (m, dim) and cloud."""

    def __init__(self, options: PointNetOptions, spec: CloudSpec) -> None:
        super().__init__()
        o, self.spec, self.how = options, spec, options.pool
        self.local = perceptron(width_of(spec), o.local, o.norm)
        self.wide = perceptron(o.local[-1], o.wide, o.norm)
        joined = o.local[-1] + o.wide[-1]
        self.point = nn.Sequential(perceptron(joined, o.point, o.norm), nn.Linear(o.point[-1] if o.point else joined, o.dim))
        self.dims: Mapping[str, int] = {"point": o.dim, "cloud": pooled_width(o.pool, o.wide[-1])}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's points and clouds."""
        clouds: Clouds = view.data
        owner, n = clouds.cloud_of(), len(clouds.index)
        local = self.local(point_input(clouds, self.spec))
        wide = self.wide(local)
        point = self.point(torch.cat([local, segment_max(wide, owner, n)[owner]], 1))
        return Embedding({"point": point, "cloud": pool(self.how, wide, owner, n)}, {"point": owner})


def build(options: PointNetOptions, spec: CloudSpec) -> PointNet:
    """The encoder for clouds of this kind."""
    return PointNet(options, spec)
