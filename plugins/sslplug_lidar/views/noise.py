"""Noise on coordinates and on what was measured beside them."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.scene import Scene
from sslplug_lidar.views.transform import Change, between, normal


class Jitter(Change):
    """Every point shifted by clipped normal noise."""

    name: Literal["jitter"] = "jitter"
    sigma: float = Field(0.01, ge=0, description="deviation along each axis, metres")
    clip: float = Field(0.05, ge=0, description="largest shift along each axis, metres")

    def values(self, scene: Scene, rng: Rng, spec: CloudSpec) -> tuple[Tensor, Tensor]:
        """Noisy coordinates."""
        noise = self.sigma * normal(rng, scene.clouds.point_ids(), 3)
        return scene.clouds.xyz + noise.clamp(-self.clip, self.clip), scene.clouds.features


class IntensityJitter(Change):
    """Features times a factor a cloud and channel, plus normal noise a point."""

    name: Literal["intensity_jitter"] = "intensity_jitter"
    channels: tuple[str, ...] = Field((), description="feature channels to change; none named: all")
    gain: float = Field(0.2, ge=0, lt=1, description="factors are uniform in [1 - gain, 1 + gain]")
    sigma: float = Field(0.02, ge=0, description="deviation of the noise, in the channel's unit")

    def check(self, spec: CloudSpec) -> None:
        """Refuses channels that the clouds lack."""
        unknown = [name for name in self.channels if name not in spec.channels]
        if unknown or not spec.channels:
            raise UsageError(
                f"intensity_jitter: clouds have the feature channels {', '.join(spec.channels) or 'none'}, not "
                f"{', '.join(unknown) or 'any to change'}; name channels that exist or leave the transform out."
            )

    def values(self, scene: Scene, rng: Rng, spec: CloudSpec) -> tuple[Tensor, Tensor]:
        """Noisy features."""
        clouds, width = scene.clouds, len(spec.channels)
        factor = between(rng.fork("gain"), clouds.index, 1 - self.gain, 1 + self.gain, width)[scene.owner]
        changed = clouds.features * factor + self.sigma * normal(rng, clouds.point_ids(), width)
        named = [not self.channels or name in self.channels for name in spec.channels]
        return clouds.xyz, torch.where(torch.tensor(named, device=clouds.device), changed, clouds.features)
