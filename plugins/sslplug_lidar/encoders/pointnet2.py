"""PointNet++ (Qi et al. 2017b): PointNets on balls around ever fewer farthest points, and their features carried back.

Farthest points start at the point farthest from the cloud's mean, so that the order of the points does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import usual_spacing
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.encoders.rows import Norm, perceptron, row_norm
from sslplug_lidar.geometry.interpolation import interpolate, near_weights
from sslplug_lidar.geometry.neighbours import neighbour_rows
from sslplug_lidar.geometry.packing import owner_of
from sslplug_lidar.geometry.sampling import farthest_points
from sslplug_lidar.spec import CloudSpec


class PointNet2Options(Options):
    """One entry a level, from fine to coarse."""

    samples: list[int | float] = Field(
        [0.25, 0.25],
        min_length=1,
        description="points each level keeps of a cloud: a number, or a share of the level before",
    )
    radii: list[float] | None = Field(
        None,
        description="radius of each level's balls in metres; none: twice the usual distance between the points it groups",
    )
    neighbours: list[int] = Field([16, 16], description="points in a ball, at most")
    widths: list[list[int]] = Field([[32, 64], [64, 128]], description="widths of each level's perceptron")
    wide: list[int] = Field([256], min_length=1, description="widths from the last level's rows to the rows that are pooled")
    back: list[int] = Field([96], min_length=1, description="widths of each perceptron on the way back to the points")
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how rows make a cloud: max, mean or both")
    norm: Norm = Field("batch", description="norm after each linear map: over the batch's rows, or within a row")


class SetAbstraction(nn.Module):
    """Rows of centres from the points in their balls: the maximum of a perceptron on (relative position, feature)."""

    def __init__(self, inputs: int, widths: Sequence[int], radius: float, norm: Norm) -> None:
        super().__init__()
        self.radius = radius
        self.position = nn.Linear(3, widths[0], bias=False)
        # The first linear map goes before the gather: it is made once a point, not once a neighbour.
        self.feature = nn.Linear(inputs, widths[0], bias=False) if inputs else None
        self.first = nn.Sequential(row_norm(norm, widths[0]), nn.ReLU())
        self.rest = perceptron(widths[0], widths[1:], norm)

    def forward(self, xyz: Tensor, rows: Tensor, centres: Tensor, member: Tensor) -> Tensor:
        """(c, widths[-1]) of points (m, 3) with rows (m, inputs), centres (c, 3) and their neighbours (c, k) int64."""
        edges = self.position((xyz[member] - centres[:, None]) / self.radius)
        if self.feature is not None:
            edges = edges + self.feature(rows)[member]
        out: Tensor = self.rest(self.first(edges.flatten(0, 1)))
        return out.view(*member.shape, out.shape[1]).amax(1)


class PointNet2(nn.Module):
    """Levels point (m, dim) and cloud."""

    def __init__(self, options: PointNet2Options, spec: CloudSpec) -> None:
        super().__init__()
        o, self.spec, self.how = options, spec, options.pool
        levels = len(o.samples)
        radii = o.radii or usual_radii(o.samples, spec)
        if not len(radii) == len(o.neighbours) == len(o.widths) == levels or not all(o.widths):
            raise UsageError(
                f"pointnet2: {levels} samples, {len(radii)} radii, {len(o.neighbours)} neighbours, {len(o.widths)} widths; "
                "expected one of each for every level, and at least one width in each."
            )
        self.samples, self.radii, self.neighbours = o.samples, radii, o.neighbours
        inputs = [len(spec.channels), *(widths[-1] for widths in o.widths)]
        self.down = nn.ModuleList(
            SetAbstraction(before, widths, radius, o.norm) for before, widths, radius in zip(inputs, o.widths, radii)
        )
        self.wide = perceptron(inputs[-1] + 3, o.wide, o.norm)
        # On the way back a level joins its own rows to those of the coarser one; the points join their coordinates too.
        own = [inputs[0] + 3, *inputs[1:-1]]
        coarse = [*[o.back[-1]] * (levels - 1), inputs[-1]]
        self.up = nn.ModuleList(perceptron(a + b, o.back, o.norm) for a, b in zip(own, coarse))
        self.point = nn.Linear(o.back[-1], o.dim)
        self.dims: Mapping[str, int] = {"point": o.dim, "cloud": pooled_width(o.pool, o.wide[-1])}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's points and clouds."""
        clouds: Clouds = view.data
        n = len(clouds.index)
        levels = [(clouds.xyz, clouds.offsets, clouds.features)]
        for sample, k, layer in zip(self.samples, self.neighbours, self.down):
            xyz, offsets, rows = levels[-1]
            chosen, kept = farthest_points(xyz, offsets, sample)
            member = neighbour_rows(xyz[chosen], kept, xyz, offsets, k, layer.radius)  # type: ignore[arg-type]
            levels.append((xyz[chosen], kept, layer(xyz, rows, xyz[chosen], member)))
        xyz, offsets, rows = levels[-1]
        wide = self.wide(torch.cat([xyz / self.spec.extent, rows], 1))
        cloud = pool(self.how, wide, owner_of(offsets), n)
        for (fine, fine_offsets, own), (coarse, coarse_offsets, _), layer in zip(
            reversed(levels[:-1]), reversed(levels[1:]), reversed(list(self.up))
        ):
            carried = interpolate(rows, *near_weights(fine, fine_offsets, coarse, coarse_offsets))
            parts = [carried, own] if fine is not clouds.xyz else [carried, own, fine / self.spec.extent]
            rows = layer(torch.cat(parts, 1))
        return Embedding({"point": self.point(rows), "cloud": cloud}, {"point": clouds.cloud_of()})


def usual_radii(samples: Sequence[int | float], spec: CloudSpec) -> list[float]:
    """For each level, twice the usual distance between the points that it groups, metres."""
    radii, points = [], float(spec.points)
    for sample in samples:
        radii.append(2 * usual_spacing(spec.extent, points))
        points = points * sample if isinstance(sample, float) else min(points, sample)
    return radii


def build(options: PointNet2Options, spec: CloudSpec) -> PointNet2:
    """The encoder for clouds of this kind."""
    return PointNet2(options, spec)
