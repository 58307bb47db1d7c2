"""Clouds turned by an angle whose class is to be told, and perhaps mirrored (a term of E-SSL3D, Hegde et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Tags, Target, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import compose, rotation_z
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.scene import scene_of, view_of
from sslplug_lidar.views.step import NAMES, Step, apply_chain, chain_of


class TurnedOptions(Options):
    """Turned views."""

    classes: int = Field(10, ge=2, description="classes of equal width that the range of angles is cut into")
    degrees: float = Field(90.0, gt=0, le=180, description="angles about z are uniform in [-degrees, degrees)")
    flip: bool = Field(False, description="mirror left and right with chance one half, after turning: target flip")
    views: int = Field(1, ge=1, description="views, each turned by its own angle")
    steps: list[Step] = Field([], description=f"further transforms of each view, after turning: {', '.join(NAMES)}")


class Turned:
    """Target "rotation" at level cloud, and "flip"; ``params["angle"]`` (n,) radians, ``params["motion"]`` with all the rest."""

    def __init__(self, options: TurnedOptions, spec: CloudSpec) -> None:
        self.options, self.spec, self.chain = options, spec, chain_of(options.steps)
        check_chain(self.chain, spec)

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<transform>": share} of the further transforms."""
        return shares([self.chain] * self.options.views, self.spec)

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        return [self._view(batch, rng.fork("view", number)) for number in range(self.options.views)]

    def _view(self, batch: Clouds, rng: Rng) -> View:
        o = self.options
        drawn = rng.fork("turn").uniform(batch.index, 2).double()
        angle = math.radians(o.degrees) * (2 * drawn[:, 0] - 1)
        linear = rotation_z(angle)
        targets = {"rotation": Target("cloud", (drawn[:, 0] * o.classes).long().clamp(max=o.classes - 1))}
        if o.flip:
            mirrored = drawn[:, 1] < 0.5
            # The mirror acts on the turned cloud: y changes its sign.
            sign = torch.ones(len(mirrored), 3, dtype=linear.dtype, device=linear.device)
            sign[:, 1] = torch.where(mirrored, -1.0, 1.0).to(linear.dtype)
            linear = sign[:, :, None] * linear
            targets["flip"] = Target("cloud", mirrored.long())
        scene = scene_of(batch).moved(compose(linear, linear.new_zeros(len(linear), 3)))
        scene = apply_chain(self.chain, scene, rng.fork("steps"), self.spec)
        params: dict[str, Tensor] = {"angle": angle, "motion": scene.motion}
        return view_of(scene.clouds, params, targets)


def build(options: TurnedOptions, spec: CloudSpec) -> Turned:
    """The views."""
    return Turned(options, spec)


def outputs(options: TurnedOptions, spec: CloudSpec) -> dict[str, int]:
    """Classes of the targets."""
    return {"rotation": options.classes} | ({"flip": 2} if options.flip else {})


def provides(options: TurnedOptions) -> Tags:
    """The targets, and a pair where there are two views."""
    counted = {name for name, least in (("pair", 2), ("many", 3)) if options.views >= least}
    return frozenset({f"target:{name}" for name in outputs(options, CloudSpec((), 1, 1.0))} | counted)
