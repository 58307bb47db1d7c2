"""Patches of clouds: tokens made of a centre and the points around it, by number of points or by volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sslplug.errors import UsageError
from sslplug_lidar.geometry.neighbours import neighbour_rows
from sslplug_lidar.geometry.packing import owner_of
from sslplug_lidar.geometry.sampling import farthest_points
from sslplug_lidar.geometry.segments import segment_sum


@dataclass(frozen=True, eq=False)
class Patches:
    """p patches of k points.

    centre   (p,) int64: the row of each patch's centre, which is a point of its cloud
    offsets  (n + 1,) int64: cloud i holds the patches ``offsets[i]:offsets[i + 1]``
    member   (p, k) int64: rows of each patch's points, nearest to the centre first; where there are too few, the first repeats
    """

    centre: Tensor
    offsets: Tensor
    member: Tensor

    @classmethod
    def of(cls, params: Mapping[str, Tensor]) -> Patches | None:
        """The patches a view has chosen, from ``View.params``; None where it has chosen none."""
        if "patch/centre" not in params:
            return None
        return cls(params["patch/centre"], params["patch/offsets"], params["patch/member"])

    def params(self) -> dict[str, Tensor]:
        """What a view puts into ``View.params`` so that encoder and decoder use these patches."""
        return {"patch/centre": self.centre, "patch/offsets": self.offsets, "patch/member": self.member}

    @property
    def owner(self) -> Tensor:
        """(p,) int64: the cloud of each patch."""
        return owner_of(self.offsets)

    @property
    def distinct(self) -> Tensor:
        """(p, k) bool: the member is not a repetition of the first one."""
        repeated = self.member == self.member[:, :1]
        repeated[:, 0] = False
        return ~repeated

    def local(self, xyz: Tensor) -> Tensor:
        """(p, k, 3): members relative to their centre, metres."""
        return xyz[self.member] - xyz[self.centre][:, None]

    def positions(self, xyz: Tensor, visible: Tensor | None = None) -> Tensor:
        """(p, 3): centres relative to the mean of their cloud's ``visible`` (p,) bool centres, metres.

        Moving the whole cloud changes nothing, and nothing hidden moves what is seen. None: all are visible.
        """
        centres, owner, n = xyz[self.centre], self.owner, len(self.offsets) - 1
        seen = centres.new_ones(len(centres), 1) if visible is None else visible[:, None].to(centres.dtype)
        mean = segment_sum(centres * seen, owner, n) / segment_sum(seen, owner, n).clamp(min=1)
        return centres - mean[owner]


def patches(xyz: Tensor, offsets: Tensor, groups: int, size: int) -> Patches:
    """At most ``groups`` farthest points of each cloud and the ``size`` points nearest to each (Point-MAE, Pang et al. 2022)."""
    centre, patch_offsets = farthest_points(xyz, offsets, groups)
    return Patches(centre, patch_offsets, neighbour_rows(xyz[centre], patch_offsets, xyz, offsets, size))


def ball_patches(xyz: Tensor, offsets: Tensor, radius: float, size: int, overlap: float = 0.25, most: int = 256) -> Patches:
    """Balls of ``radius`` metres that overlap by at most ``overlap`` of their volume (PoLAr-MAE, Young et al. 2025).

    Keeping, in farthest-point order, the centres far enough from all kept before is farthest-point sampling that stops at that
    distance. A ball gives its ``size`` nearest points at most, a cloud ``most`` balls; their number varies with the cloud.
    """
    centre, patch_offsets = farthest_points(xyz, offsets, most, spacing=spacing_of(radius, overlap))
    return Patches(centre, patch_offsets, neighbour_rows(xyz[centre], patch_offsets, xyz, offsets, size, radius))


def spacing_of(radius: float, overlap: float) -> float:
    """The distance of two balls' centres at which they share ``overlap`` of a ball: 1 - 3 d / 4 r + d^3 / 16 r^3 = overlap."""
    if not (radius > 0 and 0 <= overlap < 1):
        raise UsageError(
            f"Balls of radius {radius} overlapping by {overlap}; expected a positive radius, overlap in [0, 1)."
        )
    low, high = 0.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - 0.75 * middle + middle**3 / 16 > overlap else (low, middle)
    return radius * high
