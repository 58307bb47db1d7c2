"""What every change of clouds is: options and the change itself. A new transform is a class with one method.

n clouds, m points. A cloud's random numbers come from its number over the whole data, and a point's from its own, so they do not
depend on the batch it is in (mixing of clouds apart).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options
from sslplug.randomness import Rng
from sslplug_lidar.geometry import segment_sum
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.scene import Scene

Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Share, Share]


class Transform(Options):
    """One change of clouds. Clouds it does not strike stay as they are."""

    name: str
    probability: Share = Field(1.0, description="chance of each cloud to be changed")

    def __call__(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Scene:
        """The changed scene."""
        if not self.probability or not len(scene.source):
            return scene
        struck = rng.fork("clouds").uniform(scene.clouds.index)[:, 0] < self.probability
        return self.change(scene, struck, rng, spec)

    def check(self, spec: CloudSpec) -> None:
        """Raises UsageError where clouds of this spec cannot be changed so."""

    def share(self, spec: CloudSpec) -> float:
        """The share that is changed: of points for what drops them, else of clouds."""
        return self.probability

    @abstractmethod
    def change(self, scene: Scene, struck: Tensor, rng: Rng, spec: CloudSpec) -> Scene:
        """The scene with the clouds ``struck`` (n,) bool changed."""


class Move(Transform):
    """A linear map and a shift of each whole cloud, recorded in the scene's motion."""

    def change(self, scene: Scene, struck: Tensor, rng: Rng, spec: CloudSpec) -> Scene:
        """The moved scene."""
        linear, shift = self.maps(scene, rng)
        n = len(struck)
        motion = torch.eye(4, dtype=torch.float64, device=struck.device).repeat(n, 1, 1)
        motion[:, :3, :3] = torch.where(struck[:, None, None], linear.double(), motion[:, :3, :3])
        motion[:, :3, 3] = torch.where(struck[:, None], shift.double(), 0.0)
        return scene.moved(motion)

    @abstractmethod
    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """(n, 3, 3) linear maps A and (n, 3) shifts b of x -> A x + b."""


class Drop(Transform):
    """Leaves points out. A cloud that would keep fewer than ``fewest`` points keeps all of them."""

    fewest: int = Field(8, ge=1, description="clouds that would keep fewer points are spared")

    def change(self, scene: Scene, struck: Tensor, rng: Rng, spec: CloudSpec) -> Scene:
        """The thinned scene."""
        owner = scene.owner
        kept = self.kept(scene, rng, spec) | ~struck[owner]
        left = segment_sum(kept.long(), owner, len(struck))
        return scene.keep(kept | (left < self.fewest)[owner])

    @abstractmethod
    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """(m,) bool: the points that stay."""


class Change(Transform):
    """New coordinates or features for points that all stay."""

    def change(self, scene: Scene, struck: Tensor, rng: Rng, spec: CloudSpec) -> Scene:
        """The changed scene; points of other clouds keep their very values."""
        xyz, features = self.values(scene, rng, spec)
        hit = struck[scene.owner][:, None]
        clouds = replace(
            scene.clouds,
            xyz=torch.where(hit, xyz, scene.clouds.xyz),
            features=torch.where(hit, features, scene.clouds.features),
        )
        return replace(scene, clouds=clouds)

    @abstractmethod
    def values(self, scene: Scene, rng: Rng, spec: CloudSpec) -> tuple[Tensor, Tensor]:
        """(m, 3) new coordinates and (m, f) new features."""


def between(rng: Rng, rows: Tensor, low: float, high: float, width: int = 1) -> Tensor:
    """(k, width) uniform numbers in [low, high) that belong to ``rows`` (k,) int64."""
    return low + (high - low) * rng.uniform(rows, width)


def normal(rng: Rng, rows: Tensor, width: int) -> Tensor:
    """(k, width) standard normal numbers that belong to ``rows`` (k,) int64 (Box and Muller 1958)."""
    first, second = rng.uniform(rows, 2 * width).chunk(2, dim=1)
    return (-2 * torch.log1p(-first)).sqrt() * torch.cos(2 * math.pi * second)


def middle(span: tuple[float, float]) -> float:
    """The mean of a uniform draw."""
    return (span[0] + span[1]) / 2
