"""A sector of one sweep put in the place of the same sector of another (PolarMix, Xiao et al. 2022, arXiv:2208.00223)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.geometry import apply, offsets_of
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.drops import needs_sensor
from sslplug_lidar.views.scene import Scene
from sslplug_lidar.views.transform import Share, Transform


class SectorMix(Transform):
    """The points in a random sector are replaced by those of the batch's next cloud in that sector, each seen from its sensor.

    Points keep their numbers over the whole data, so that those from elsewhere match themselves in other views. Label targets of
    points follow them; a cloud's own label stays.
    """

    name: Literal["sector_mix"] = "sector_mix"
    width: Share = Field(0.25, description="the sector's share of the full turn")

    def check(self, spec: CloudSpec) -> None:
        """Refuses objects."""
        needs_sensor(self.name, spec)

    def share(self, spec: CloudSpec) -> float:
        """Share of the turn."""
        return self.probability * self.width

    def change(self, scene: Scene, struck: Tensor, rng: Rng, spec: CloudSpec) -> Scene:
        """The mixed clouds: first each cloud's own points, then those from elsewhere."""
        clouds, owner, n = scene.clouds, scene.owner, len(struck)
        xyz = scene.unmoved()
        turn = torch.atan2(xyz[:, 1], xyz[:, 0]) / (2 * math.pi)
        start = rng.fork("direction").uniform(clouds.index)[:, 0]
        # Cloud c gives to the one before it in the batch, and the first receives from the second.
        receiver = (owner - 1) % n
        gives = ((turn - start[receiver]) % 1.0 < self.width) & struck[receiver] & (receiver != owner)
        loses = ((turn - start[owner]) % 1.0 < self.width) & struck[owner] & (n > 1)
        rows = torch.cat([(~loses).nonzero()[:, 0], gives.nonzero()[:, 0]])
        cloud = torch.cat([owner[~loses], receiver[gives]])
        order = torch.argsort(cloud, stable=True)
        rows, cloud = rows[order], cloud[order]
        mixed = clouds.choose(rows, offsets_of(torch.bincount(cloud, minlength=n)))
        # Points from elsewhere are moved as the cloud they come to was, so that one motion undoes all.
        moved = torch.where((cloud == owner[rows])[:, None], mixed.xyz, apply(scene.motion.float()[cloud], xyz[rows]))
        # A point's number over the whole data is its cloud's start plus its place: the place is counted from the new start.
        number = clouds.start[owner[rows]] + clouds.number[rows] - clouds.start[cloud]
        return replace(scene, clouds=replace(mixed, xyz=moved, number=number), source=scene.source[rows])
