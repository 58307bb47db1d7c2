"""Dynamic graph CNN (Wang et al. 2019): max over neighbours of an edge map, neighbours found anew in each layer's features."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import point_input, width_of
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.encoders.rows import Norm, perceptron, row_norm
from sslplug_lidar.geometry.neighbours import neighbour_rows
from sslplug_lidar.geometry.segments import segment_max
from sslplug_lidar.spec import CloudSpec


class DgcnnOptions(Options):
    """Edge layers and what joins them."""

    widths: list[int] = Field([32, 32, 64], min_length=1, description="output width of each edge layer")
    k: int = Field(16, ge=1, description="neighbours of a point, itself among them")
    dynamic: bool = Field(True, description="neighbours in the features of the layer before; false: in space, once")
    wide: int = Field(256, ge=1, description="width of the rows that are pooled, made of all layers")
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how rows make a cloud: max, mean or both")
    norm: Norm = Field("batch", description="norm after each linear map: over the batch's edges, or within an edge")


class EdgeLayer(nn.Module):
    """h_i = max_j lrelu(norm(A (x_j - x_i) + B x_i)), as A x_j + (B - A) x_i: two maps a point, none an edge."""

    def __init__(self, inputs: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.neighbour = nn.Linear(inputs, width, bias=False)
        self.own = nn.Linear(inputs, width, bias=False)
        self.end = nn.Sequential(row_norm(norm, width), nn.LeakyReLU(0.2))

    def forward(self, rows: Tensor, member: Tensor) -> Tensor:
        """(m, width) from (m, inputs) and neighbours (m, k) int64."""
        with torch.autocast(rows.device.type, enabled=False):  # neighbours differ by little: half precision would lose it
            rows = rows.float()
            edges = self.neighbour(rows)[member] + self.own(rows)[:, None]
        out: Tensor = self.end(edges.flatten(0, 1))
        return out.view(*member.shape, out.shape[1]).amax(1)


class Dgcnn(nn.Module):
    """Levels point (m, dim) and cloud."""

    def __init__(self, options: DgcnnOptions, spec: CloudSpec) -> None:
        super().__init__()
        o, self.spec, self.how = options, spec, options.pool
        self.k, self.dynamic = o.k, o.dynamic
        self.layers = nn.ModuleList(EdgeLayer(a, b, o.norm) for a, b in pairwise([width_of(spec), *o.widths]))
        self.wide = perceptron(sum(o.widths), [o.wide], o.norm)
        self.point = nn.Sequential(perceptron(sum(o.widths) + o.wide, [2 * o.dim], o.norm), nn.Linear(2 * o.dim, o.dim))
        self.dims: Mapping[str, int] = {"point": o.dim, "cloud": pooled_width(o.pool, o.wide)}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's points and clouds."""
        clouds: Clouds = view.data
        offsets, owner, n = clouds.offsets, clouds.cloud_of(), len(clouds.index)
        rows = point_input(clouds, self.spec)
        member = neighbour_rows(clouds.xyz, offsets, clouds.xyz, offsets, self.k)
        found = []
        for number, layer in enumerate(self.layers):
            if self.dynamic and number:
                member = neighbour_rows(rows, offsets, rows, offsets, self.k)
            rows = layer(rows, member)
            found.append(rows)
        local = torch.cat(found, 1)
        wide = self.wide(local)
        point = self.point(torch.cat([local, segment_max(wide, owner, n)[owner]], 1))
        return Embedding({"point": point, "cloud": pool(self.how, wide, owner, n)}, {"point": owner})


def build(options: DgcnnOptions, spec: CloudSpec) -> Dgcnn:
    """The encoder for clouds of this kind."""
    return Dgcnn(options, spec)
