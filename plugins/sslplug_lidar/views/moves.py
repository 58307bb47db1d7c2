"""Rotations, flips, scales and translations of whole clouds. Their product is kept in the scene, and views carry it.

About the origin: the sensor of a sweep, the centre of an object.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.geometry import rotation_z
from sslplug_lidar.views.scene import Scene
from sslplug_lidar.views.transform import Move, Share, between, normal


class Rotation(Move):
    """By a random angle about z, or about a random axis; the full turn about any axis is uniform over SO(3)."""

    name: Literal["rotation"] = "rotation"
    axis: Literal["z", "any"] = Field("z", description="up (z), or a random axis a cloud")
    degrees: float = Field(180.0, ge=0, le=180, description="angles are uniform in [-degrees, degrees]")

    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """Rotations."""
        index = scene.clouds.index
        shift = torch.zeros(len(index), 3, device=index.device)
        limit = math.radians(self.degrees)
        if self.axis == "z":
            return rotation_z(between(rng, index, -limit, limit)[:, 0].double()), shift
        if self.degrees == 180:
            return from_quaternion(normal(rng, index, 4).double()), shift
        axis = torch.nn.functional.normalize(normal(rng.fork("axis"), index, 3).double(), dim=1)
        half = between(rng, index, -limit, limit).double() / 2
        return from_quaternion(torch.cat([half.cos(), half.sin() * axis], 1)), shift


class Tilt(Move):
    """A small rotation about each axis, by clipped normal angles (STRL's perturbation, Huang et al. 2021)."""

    name: Literal["tilt"] = "tilt"
    sigma: float = Field(0.06, ge=0, description="deviation of the angles, radians")
    clip: float = Field(0.18, ge=0, description="largest angle, radians")

    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """Rotations: about x, then y, then z."""
        index = scene.clouds.index
        angles = (self.sigma * normal(rng, index, 3).double()).clamp(-self.clip, self.clip)
        about_z, zero = rotation_z(angles[:, 2]), torch.zeros_like(angles[:, 0])
        cos, sin, one = angles.cos(), angles.sin(), torch.ones_like(zero)
        x = [one, zero, zero, zero, cos[:, 0], -sin[:, 0], zero, sin[:, 0], cos[:, 0]]
        y = [cos[:, 1], zero, sin[:, 1], zero, one, zero, -sin[:, 1], zero, cos[:, 1]]
        about_x, about_y = (torch.stack(entries, 1).view(-1, 3, 3) for entries in (x, y))
        return about_z @ about_y @ about_x, torch.zeros(len(index), 3, device=index.device)


class Flip(Move):
    """Mirrored along each named axis with the chance ``rate``."""

    name: Literal["flip"] = "flip"
    axes: Literal["x", "y", "xy", "xyz"] = Field("xy", description="axes that may be reversed, each by its own draw")
    rate: Share = Field(0.5, description="chance of each axis to be reversed")

    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """Diagonal maps of +-1."""
        index = scene.clouds.index
        sign = torch.where(rng.uniform(index, 3) < self.rate, -1.0, 1.0)
        may = torch.tensor([axis in self.axes for axis in "xyz"], device=index.device)
        return torch.diag_embed(torch.where(may, sign, 1.0)), torch.zeros_like(sign)

    def share(self, spec: object) -> float:
        """Clouds in which any axis is reversed."""
        return self.probability * (1 - (1 - self.rate) ** len(self.axes))


class Scale(Move):
    """Larger or smaller, about the origin."""

    name: Literal["scale"] = "scale"
    low: float = Field(0.95, gt=0, description="smallest factor")
    high: float = Field(1.05, gt=0, description="largest factor")
    each_axis: bool = Field(False, description="a factor an axis, not one a cloud")

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if self.low > self.high:
            raise ValueError("low must not be greater than high")
        return self

    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """Diagonal maps."""
        index = scene.clouds.index
        factor = between(rng, index, self.low, self.high, 3 if self.each_axis else 1).expand(-1, 3)
        return torch.diag_embed(factor), torch.zeros_like(factor)


class Translation(Move):
    """Shifted by up to so many metres along each axis."""

    name: Literal["translation"] = "translation"
    metres: float = Field(0.2, ge=0, description="shifts are uniform in [-metres, metres] along x and y")
    height: float | None = Field(None, ge=0, description="the same along z; unset: as along x and y")

    def maps(self, scene: Scene, rng: Rng) -> tuple[Tensor, Tensor]:
        """Shifts."""
        index = scene.clouds.index
        reach = torch.tensor(
            [self.metres, self.metres, self.metres if self.height is None else self.height], device=index.device
        )
        eye = torch.eye(3, device=index.device).expand(len(index), 3, 3)
        return eye, (2 * rng.uniform(index, 3) - 1) * reach


def from_quaternion(q: Tensor) -> Tensor:
    """(n, 3, 3) rotations of (n, 4) quaternions w, x, y, z of any length but 0; normal ones give uniform rotations."""
    w, x, y, z = torch.nn.functional.normalize(q, dim=1).unbind(1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, 1).view(-1, 3, 3)
