"""The view that flow is learned from: each sweep with the one before it, thinned, neither aligned nor compensated.

One view; its ``data`` is the sweep and ``data.previous`` the sweep before, in their own coordinates. Sweeps without a predecessor
are left out. Backwards in time (share ``flip``) the two change places. Both are turned by one angle about z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import ground, owner_of, place_of, rotation_z
from sslplug_lidar.spec import CloudSpec


class SweepPairsOptions(Options):
    """Options of pairs of consecutive sweeps."""

    points: int = Field(1024, ge=16, description="Most points of each sweep, drawn at random.")
    reach: float = Field(35.0, gt=0, description="Metres: points further from the sensor are left out.")
    ground: bool = Field(False, description="Keep the ground, whose flow is easy.")
    flip: float = Field(0.5, ge=0, le=1, description="Share of pairs taken backwards in time.")
    turn: float = Field(180.0, ge=0, le=180, description="Largest angle, in degrees, by which both sweeps are turned.")


class SweepPairs:
    """See the module. A lone view has nothing to be matched with, so it brings no ids."""

    def __init__(self, options: SweepPairsOptions) -> None:
        self.options = options

    @property
    def rates(self) -> Mapping[str, float]:
        """Nothing here hides or drops a stated share."""
        return {}

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """One view. UsageError where the batch does not hold the sweep before each."""
        before = batch.previous
        if before is None:
            raise UsageError("Views sweep_pairs: the batch holds no sweeps before; choose data with consecutive sweeps.")
        rng = rng.fork("view", 0)
        alone = replace(batch, previous=None, flow=None, pose=None, labels=None)
        there = (before.lengths > 0).nonzero()[:, 0]
        now = self.thinned(alone.take(there), rng.fork("now"))
        then = self.thinned(before.take(there), rng.fork("then"))
        both = ((now.lengths > 0) & (then.lengths > 0)).nonzero()[:, 0]
        now, then = now.take(both), then.take(both)
        now, then = swapped(now, then, rng.fork("flip").uniform(now.index)[:, 0] < self.options.flip)
        angle = (rng.fork("turn").uniform(now.index)[:, 0] * 2 - 1) * math.radians(self.options.turn)
        now, then = turned(now, angle), turned(then, angle)
        return [View(replace(now, previous=then))]

    def thinned(self, clouds: Clouds, rng: Rng) -> Clouds:
        """The points of each sweep that take part."""
        options = self.options
        clouds = clouds.keep(clouds.xyz.norm(dim=1) < options.reach)
        if not options.ground:
            clouds = clouds.keep(~ground(clouds.xyz, clouds.offsets, rng.fork("ground")))
        return clouds.keep(drawn(clouds, options.points, rng.fork("points")))


def drawn(clouds: Clouds, most: int, rng: Rng) -> Tensor:
    """(m,) bool: at most ``most`` points of each cloud, drawn at random."""
    score = rng.uniform(clouds.point_ids())[:, 0]
    owner = owner_of(clouds.offsets)
    order = torch.argsort(score, stable=True)
    order = order[torch.argsort(owner[order], stable=True)]
    kept = torch.zeros(len(score), dtype=torch.bool, device=clouds.device)
    kept[order] = place_of(clouds.offsets) < most
    return kept


def swapped(a: Clouds, b: Clouds, backwards: Tensor) -> tuple[Clouds, Clouds]:
    """Clouds (n) and (n) with those changed over where ``backwards`` (n,) bool."""
    n = len(backwards)
    joined = joined_clouds(a, b)
    rows = torch.arange(n, device=backwards.device)
    return joined.take(rows + n * backwards), joined.take(rows + n * ~backwards)


def joined_clouds(a: Clouds, b: Clouds) -> Clouds:
    """The clouds of a and then those of b, without predecessors and labels."""
    return Clouds(
        offsets=torch.cat([a.offsets, b.offsets[1:] + len(a.xyz)]),
        xyz=torch.cat([a.xyz, b.xyz]),
        features=torch.cat([a.features, b.features]),
        index=torch.cat([a.index, b.index]),
        start=torch.cat([a.start, b.start]),
        number=torch.cat([a.number, b.number]),
    )


def turned(clouds: Clouds, angle: Tensor) -> Clouds:
    """Each cloud turned about z by its angle (n,), radians."""
    rotation = rotation_z(angle)[clouds.cloud_of()]
    return replace(clouds, xyz=(rotation @ clouds.xyz[:, :, None])[:, :, 0])


def build(options: SweepPairsOptions, spec: CloudSpec) -> SweepPairs:
    """The view component. UsageError where the data does not hand over the sweep before each."""
    if not spec.sweeps:
        raise UsageError(
            "Views sweep_pairs: this data has no consecutive sweeps, or does not hand them over; choose data that has, such as "
            "street or kitti_sweeps, with data.pairs: true."
        )
    return SweepPairs(options)
