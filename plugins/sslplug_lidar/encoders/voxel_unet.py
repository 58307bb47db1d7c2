"""A U-Net of sparse convolutions on occupied voxels (Choy et al. 2019, MinkUNet; Graham et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import usual_spacing
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.encoders.rows import Norm, row_norm
from sslplug_lidar.geometry.sparse_convolution import Kind, SparseConv3d
from sslplug_lidar.geometry.voxels import Voxels, voxelise
from sslplug_lidar.spec import CloudSpec


class VoxelUnetOptions(Options):
    """Voxels and stages."""

    size: float | None = Field(None, gt=0, description="edge of a voxel in metres; none: the usual distance between points")
    widths: list[int] = Field(
        [16, 32, 64], min_length=1, description="channels of each stage; each doubles the voxels' size"
    )
    blocks: int = Field(1, ge=1, description="residual blocks of a stage, on the way down and on the way up")
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how the coarsest voxels make a cloud: max, mean or both")
    norm: Norm = Field("batch", description="norm after each convolution: over the batch's voxels, or within a voxel")


class Convolution(nn.Module):
    """Sparse convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kind: Kind, norm: Norm) -> None:
        super().__init__()
        self.convolution = SparseConv3d(inputs, outputs, kind, bias=False)
        self.norm = row_norm(norm, outputs)

    def forward(self, rows: Tensor, voxels: Voxels) -> Tensor:
        """As :class:`SparseConv3d`."""
        out: Tensor = self.norm(self.convolution(rows, voxels)).relu()
        return out


class Residual(nn.Module):
    """relu(shortcut(x) + norm(conv(relu(norm(conv x)))))."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.one = Convolution(inputs, outputs, "same", norm)
        self.two = SparseConv3d(outputs, outputs, "same", bias=False)
        self.norm = row_norm(norm, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)

    def forward(self, rows: Tensor, voxels: Voxels) -> Tensor:
        """(v, inputs) -> (v, outputs)."""
        out: Tensor = (self.shortcut(rows) + self.norm(self.two(self.one(rows, voxels), voxels))).relu()
        return out


class Stage(nn.Module):
    """Residual blocks one after another."""

    def __init__(self, inputs: int, outputs: int, blocks: int, norm: Norm) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * blocks]
        self.blocks = nn.ModuleList(Residual(a, b, norm) for a, b in pairwise(widths))

    def forward(self, rows: Tensor, voxels: Voxels) -> Tensor:
        """(v, inputs) -> (v, outputs)."""
        for block in self.blocks:
            rows = block(rows, voxels)
        return rows


class VoxelUnet(nn.Module):
    """Levels point (m, dim) and cloud. Points of one voxel differ by their place in it and by their features."""

    def __init__(self, options: VoxelUnetOptions, spec: CloudSpec) -> None:
        super().__init__()
        o, self.spec, self.how = options, spec, options.pool
        self.size = o.size or usual_spacing(spec.extent, spec.points)
        inputs, w, norm = 5 + len(spec.channels), o.widths, o.norm
        self.first = Convolution(inputs, w[0], "same", norm)
        self.stages = nn.ModuleList(Stage(width, width, o.blocks, norm) for width in w)
        self.down = nn.ModuleList(Convolution(a, b, "down", norm) for a, b in pairwise(w))
        self.up = nn.ModuleList(Convolution(b, a, "up", norm) for a, b in pairwise(w))
        self.joined = nn.ModuleList(Stage(2 * a, a, o.blocks, norm) for a in w[:-1])
        self.voxel = nn.Linear(w[0], o.dim)
        self.own = nn.Linear(inputs - 1, o.dim, bias=False)
        self.dims: Mapping[str, int] = {"point": o.dim, "cloud": pooled_width(o.pool, w[-1])}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's points and clouds."""
        clouds: Clouds = view.data
        voxels = voxelise(clouds.xyz, clouds.offsets, self.size)
        inside = (clouds.xyz - voxels.centres[voxels.of_point]) / self.size
        own = torch.cat([inside, clouds.xyz[:, 2:] / self.spec.extent, clouds.features], 1)
        mean = voxels.mean(own)
        rows = self.first(torch.cat([mean, mean.new_ones(len(mean), 1)], 1), voxels)
        grids, kept = [voxels], [self.stages[0](rows, voxels)]
        for down, stage in zip(self.down, list(self.stages)[1:]):
            rows = down(kept[-1], grids[-1])
            grids.append(grids[-1].coarser)
            kept.append(stage(rows, grids[-1]))
        cloud = pool(self.how, kept[-1], grids[-1].cloud, len(clouds.index))
        rows = kept[-1]
        for up, stage, grid, skip in zip(
            reversed(list(self.up)), reversed(list(self.joined)), reversed(grids[:-1]), reversed(kept[:-1])
        ):
            rows = stage(torch.cat([up(rows, grid), skip], 1), grid)
        point = self.voxel(rows)[voxels.of_point] + self.own(own)
        return Embedding({"point": point, "cloud": cloud}, {"point": clouds.cloud_of()})


def build(options: VoxelUnetOptions, spec: CloudSpec) -> VoxelUnet:
    """The encoder for clouds of this kind."""
    return VoxelUnet(options, spec)
