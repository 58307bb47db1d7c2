"""Clouds on their way through a list of transforms, and where each point came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.contracts import Target, View
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import apply, place_of


@dataclass(frozen=True, eq=False)
class Scene:
    """n clouds of m points.

    clouds  the clouds as changed so far
    source  (m,) int64: the position of each point in the batch's clean clouds
    motion  (n, 4, 4) float64: what rotations, flips, scales and translations did to each cloud, in homogeneous coordinates
    """

    clouds: Clouds
    source: Tensor
    motion: Tensor

    @property
    def owner(self) -> Tensor:
        """(m,) int64: the cloud of each point."""
        return self.clouds.cloud_of()

    def unmoved(self) -> Tensor:
        """(m, 3) coordinates before all motions: in the sensor's own frame, where rings and ranges have their meaning."""
        return apply(torch.linalg.inv(self.motion).float()[self.owner], self.clouds.xyz)

    def moved(self, motion: Tensor) -> Scene:
        """After one more (n, 4, 4) affine motion of each cloud."""
        motion = motion.double()
        xyz = apply(motion.float()[self.owner], self.clouds.xyz)
        return replace(self, clouds=replace(self.clouds, xyz=xyz), motion=motion @ self.motion)

    def keep(self, kept: Tensor) -> Scene:
        """Without the points where ``kept`` (m,) bool is False."""
        return replace(self, clouds=self.clouds.keep(kept), source=self.source[kept])


def scene_of(clouds: Clouds) -> Scene:
    """The clean clouds, nothing done yet. The sweep before is left out: it would not move along."""
    motion = torch.eye(4, dtype=torch.float64, device=clouds.device).repeat(len(clouds.index), 1, 1)
    alone = replace(clouds, previous=None, pose=None, flow=None)
    return Scene(alone, torch.arange(len(clouds.xyz), device=clouds.device), motion)


def view_of(
    clouds: Clouds,
    params: Mapping[str, Tensor] | None = None,
    targets: Mapping[str, Target] | None = None,
    role: str = "",
) -> View:
    """A view whose ids name its clouds and points over the whole data; labels, where there are any, are the target "label"."""
    asked = dict(targets or {})
    if clouds.labels is not None:
        asked["label"] = clouds.labels
    ids = {"cloud": clouds.index, "point": clouds.point_ids()}
    return View(clouds, ids, targets=asked, params=dict(params or {}), role=role)


def rank_within(clouds: Clouds, values: Tensor) -> Tensor:
    """(m,) int64: how many points of the same cloud have a smaller value; ties go by position."""
    order = torch.argsort(values, stable=True)
    order = order[torch.argsort(clouds.cloud_of()[order], stable=True)]
    return torch.empty_like(order).scatter_(0, order, place_of(clouds.offsets))
