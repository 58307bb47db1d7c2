"""Groups of points that views share: matched points, cells of a grid, segments. They become embedding levels of their own.

A view that brings groups of a level has ``ids[level]`` (g,), the groups, and ``params[level]`` (m,) int64, the position of each
point's group among them, -1 for none. Groups are made in the frame of the clean clouds, before any view is changed, so that
nothing has to be moved back: a point carries its group along. Only groups that all views hold are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import clusters, ground

Level = Literal["match", "cell", "segment"]
LEVELS: tuple[Level, ...] = ("match", "cell", "segment")
"""match: single points. cell: points of one column or cube of a grid. segment: points of one cluster."""

_BITS = 14
_REACH = 1 << (_BITS - 1)


class MatchOptions(Options):
    """Points that are in all views, one row each (PointContrast, Xie et al. 2020)."""

    points: int = Field(4096, ge=1, description="most matched points of a batch")


class CellOptions(Options):
    """Cells of a grid laid over the clean clouds (BEVContrast, Sautier et al. 2024)."""

    size: float = Field(0.5, gt=0, description="edge of a cell, metres")
    columns: bool = Field(True, description="cells are columns of any height (bird's eye); false: cubes")
    fewest: int = Field(1, ge=1, description="points a cell must have in every view")
    cells: int = Field(4096, ge=1, description="most cells of a batch")


class SegmentOptions(Options):
    """Clusters of what stands on the ground (SegContrast, Nunes et al. 2022)."""

    ground: float = Field(
        0.25, ge=0, description="metres from the ground plane that count as ground; 0: no ground is sought"
    )
    reach: float = Field(0.5, gt=0, description="DBSCAN's radius, metres")
    density: int = Field(5, ge=1, description="points within the radius of a core point")
    segments: int = Field(50, ge=1, le=10_000, description="largest segments kept of a cloud")
    fewest: int = Field(10, ge=1, description="points a segment must have in every view")
    keep_ground: bool = Field(True, description="the ground is a segment too")
    join: float = Field(0.0, ge=0, description="points are joined in cells of so many metres before clustering; 0: not")


class GroupOptions(Options):
    """Which groups views bring, as further levels."""

    levels: tuple[Level, ...] = Field(LEVELS, description="match: single points; cell: of a grid; segment: clusters")
    match: MatchOptions = Field(MatchOptions(), description="matched points, level match")
    cell: CellOptions = Field(CellOptions(), description="cells of a grid, level cell")
    segment: SegmentOptions = Field(SegmentOptions(), description="clusters above the ground, level segment")


class Segmenter:
    """``segmenter(xyz, clouds) -> (m,) int64`` the segment of each point over the whole data, -1 for none.

    Clusters depend on the clean cloud alone. Those of a cloud seen before are remembered by its number, for clustering takes
    longer than a training step.
    """

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options
        self._known: dict[int, Tensor] = {}

    def __call__(self, xyz: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
        """``xyz`` (m, 3) in the sensor's frame, cut at ``offsets``; ``index`` (n,) names the clouds over the whole data."""
        spans = zip(index.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        parts = [self._one(cloud, xyz[start:stop]) for cloud, start, stop in spans]
        labels = torch.cat(parts).to(xyz.device) if parts else index.new_zeros(0)
        base = (index * (self.options.segments + 1)).repeat_interleave(offsets.diff(), output_size=len(xyz))
        return torch.where(labels < 0, labels, base + labels)

    def _one(self, cloud: int, xyz: Tensor) -> Tensor:
        """(p,) 0 for the ground, then segments from 1, -1 for neither."""
        found = self._known.get(cloud)
        if found is None or len(found) != len(xyz):
            o, whole = self.options, torch.tensor([0, len(xyz)], device=xyz.device)
            floor = torch.zeros(len(xyz), dtype=torch.bool, device=xyz.device)
            if o.ground and len(xyz):
                floor = ground(xyz, whole, Rng.root(0).fork("ground", cloud), within=o.ground)
            labels = clusters(xyz, whole, o.reach, o.density, keep=~floor, most=o.segments, cell=o.join)
            found = torch.where(labels < 0, labels, labels + 1)
            if o.keep_ground:
                found = found.masked_fill(floor, 0)
            self._known[cloud] = found = found.cpu().to(torch.int16)
        return found.long()


def cell_codes(xyz: Tensor, clouds: Clouds, options: CellOptions) -> Tensor:
    """(m,) int64 the cell of each point over the whole data; -1 for points more than 8191 cells away.

    ``xyz`` (m, 3) are the coordinates of the points of ``clouds`` in the common frame.
    """
    place = (xyz.double() / options.size).floor().long()
    if options.columns:
        place = torch.cat([place[:, :2], torch.zeros_like(place[:, :1])], 1)
    inside = ((place >= -_REACH) & (place < _REACH)).all(1)
    x, y, z = (place + _REACH).unbind(1)
    cloud = clouds.index[clouds.cloud_of()]
    return torch.where(inside, ((cloud << _BITS | x) << _BITS | y) << _BITS | z, -1)


def shared_groups(codes: Sequence[Tensor], fewest: int, most: int, rng: Rng) -> tuple[Tensor, list[Tensor]]:
    """The groups that every view holds, (g,) int64 ascending, and the position of each point's group among them a view, or -1.

    codes   a view: (m_v,) int64 group of each point, -1 for none
    fewest  points a group must have in each view
    most    groups kept, drawn by ``rng`` where there are more
    """
    ids: Tensor | None = None
    for code in codes:
        found, counts = torch.unique(code[code >= 0], return_counts=True)
        found = found[counts >= fewest]
        ids = found if ids is None else ids[torch.isin(ids, found)]
    assert ids is not None  # there are views
    if len(ids) > most:
        ids = ids[torch.argsort(rng.uniform(ids)[:, 0], stable=True)[:most]].sort().values
    places = []
    for code in codes:
        place = torch.searchsorted(ids, code)
        hit = torch.zeros_like(code, dtype=torch.bool)
        if len(ids):
            hit = ids[place.clamp(max=len(ids) - 1)] == code
        places.append(torch.where(hit, place, -1))
    return ids, places
