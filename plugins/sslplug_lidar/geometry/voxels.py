"""Voxels of packed clouds: points hashed into a cubic grid, one sorted int64 key a voxel, and who is whose neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sslplug.errors import DataError
from sslplug_lidar.geometry.packing import owner_of
from sslplug_lidar.geometry.segments import segment_mean

BITS = 16
REACH = (1 << (BITS - 1)) - 2
"""Grid coordinates lie within +-REACH, so that a neighbour's key never carries over into the next coordinate."""
CLOUDS = 1 << (63 - 3 * BITS)


@dataclass(frozen=True)
class Rules:
    """Who feeds whom in a convolution: for each weight number, the input rows and the output rows, one to one.

    Within one weight number no output row comes twice.
    """

    pairs: tuple[tuple[int, Tensor, Tensor], ...]
    outputs: int

    def turned(self, outputs: int) -> Rules:
        """Inputs and outputs exchanged: the rules of the transposed convolution."""
        return Rules(tuple((weight, target, source) for weight, source, target in self.pairs), outputs)


@dataclass(frozen=True, eq=False)
class Voxels:
    """Occupied voxels, ordered by cloud, then x, y, z. Neighbourhoods are found once and kept.

    keys      (v,) int64, ascending: cloud and coordinates, the same for the same voxel in every call with this size
    coords    (v, 3) int64: floor(xyz / size), counted from the origin, not from the cloud's corner
    of_point  (m,) int64: the voxel of each point (of each finer voxel, for :attr:`coarser`)
    offsets   (n + 1,) int64: cloud i holds the voxels ``offsets[i]:offsets[i + 1]``
    size      edge of a voxel, metres
    """

    keys: Tensor
    coords: Tensor
    of_point: Tensor
    offsets: Tensor
    size: float

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def cloud(self) -> Tensor:
        """(v,) int64: the cloud of each voxel."""
        return owner_of(self.offsets)

    @property
    def centres(self) -> Tensor:
        """(v, 3) float32: the middle of each voxel, metres."""
        return (self.coords + 0.5).float() * self.size

    def mean(self, values: Tensor) -> Tensor:
        """(v, d) means over each voxel's points of values (m, d)."""
        return segment_mean(values, self.of_point, len(self))

    @cached_property
    def neighbours(self) -> Rules:
        """Rules of a 3 x 3 x 3 convolution at the occupied voxels alone; weight (dx + 1) 9 + (dy + 1) 3 + dz + 1.

        Keys are sorted, so the three voxels of a column (dx, dy) lie side by side: four searches find 26 neighbours, half of
        them by symmetry.
        """
        v = len(self)
        rows = torch.arange(v, device=self.keys.device)
        pairs: dict[int, tuple[Tensor, Tensor]] = {13: (rows, rows)}
        following = torch.cat([self.keys, self.keys.new_full((1,), -1)])

        def matched(place: Tensor, wanted: Tensor, weight: int) -> Tensor:
            hit = following[place.clamp(max=v)] == wanted
            out = hit.nonzero()[:, 0]
            source = place[out]
            pairs[weight], pairs[26 - weight] = (source, out), (out, source)
            return hit

        matched(rows + 1, self.keys + 1, 14)
        for dx, dy in ((0, 1), (1, -1), (1, 0), (1, 1)):
            lowest = self.keys + (dx << (2 * BITS)) + (dy << BITS) - 1
            place = torch.searchsorted(self.keys, lowest)
            for dz in range(3):
                place = place + matched(place, lowest + dz, (dx + 1) * 9 + (dy + 1) * 3 + dz)
        return Rules(tuple((weight, *pairs[weight]) for weight in sorted(pairs)), v)

    @cached_property
    def coarser(self) -> Voxels:
        """Voxels of twice the size; its ``of_point`` is the coarse voxel of each voxel here."""
        return _voxels(self.coords >> 1, self.cloud, len(self.offsets) - 1, 2 * self.size)

    @cached_property
    def children(self) -> Rules:
        """Rules of a 2 x 2 x 2 convolution of stride 2 from here to :attr:`coarser`; weight 4 (x mod 2) + 2 (y mod 2) + z mod 2."""
        low = self.coords & 1
        corner = 4 * low[:, 0] + 2 * low[:, 1] + low[:, 2]
        rows = [(corner == weight).nonzero()[:, 0] for weight in range(8)]
        return Rules(tuple((w, r, self.coarser.of_point[r]) for w, r in enumerate(rows)), len(self.coarser))


def voxelise(xyz: Tensor, offsets: Tensor, size: float) -> Voxels:
    """Voxels of edge ``size`` metres that hold points of ``xyz`` (m, 3), cloud by cloud.

    Raises:
        DataError: a point that is not finite or more than REACH voxels from the origin, or too many clouds in one batch.
    """
    if not size > 0:
        raise DataError(f"Voxels of size {size}; expected a positive length in metres.")
    cells = (xyz.detach() / size).floor()
    inside = (cells.abs() <= REACH).all(1)
    # A program that is being traced has no coordinates yet to refuse.
    if not torch.compiler.is_exporting() and not bool(inside.all()):
        row = int((~inside).nonzero()[0, 0])
        raise DataError(
            f"Point {row} lies at {xyz[row].tolist()}; voxels of {size} m reach {REACH * size:g} m from the origin. "
            "Leave such points out, or use larger voxels."
        )
    return _voxels(cells.long(), owner_of(offsets), len(offsets) - 1, size)


def _voxels(coords: Tensor, cloud: Tensor, clouds: int, size: float) -> Voxels:
    if clouds > CLOUDS:
        raise DataError(f"{clouds} clouds in one batch of voxels; expected at most {CLOUDS}.")
    shifted = coords + (1 << (BITS - 1))
    key = (((cloud << BITS | shifted[:, 0]) << BITS | shifted[:, 1]) << BITS) | shifted[:, 2]
    keys, of_point = torch.unique(key, return_inverse=True)
    if torch.compiler.is_exporting():
        torch._check(keys.shape[0] > 1)  # type: ignore[no-untyped-call]
    low = (1 << BITS) - 1
    parts = [(keys >> (2 * BITS)) & low, (keys >> BITS) & low, keys & low]
    of_voxel = keys >> (3 * BITS)
    counts = of_voxel.new_zeros(clouds).index_add(0, of_voxel, torch.ones_like(of_voxel))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Voxels(keys, torch.stack(parts, 1) - (1 << (BITS - 1)), of_point, offsets, size)
