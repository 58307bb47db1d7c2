"""A cloud as a camera at a random place would see it, to be completed (OcCo, Wang et al. 2021, arXiv:2010.01089)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Target, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import farthest_points, place_of, segment_max
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.moves import Rotation
from sslplug_lidar.views.scene import scene_of, view_of
from sslplug_lidar.views.step import NAMES, Step, apply_chain, chain_of, steps
from sslplug_lidar.views.transform import normal


class OccludedOptions(Options):
    """The camera, and the cloud to complete."""

    pixels: int = Field(32, ge=2, description="the picture is so many pixels wide and high")
    tolerance: float = Field(
        0.03, ge=0, description="depth behind the nearest point of a pixel that still is seen, in radii"
    )
    points: int = Field(256, ge=8, description="points of the complete cloud, farthest from each other, that are asked for")
    steps: list[Step] = Field(steps(Rotation()), description=f"transforms before the camera looks: {', '.join(NAMES)}")


class Occluded:
    """One view of what the camera sees; target "complete" (n, points * 3) at level cloud; ``params["viewpoint"]`` (n, 3).

    The camera looks at the middle of the cloud from far away in a direction uniform over the sphere. Clouds with fewer points than
    asked for have them all, and NaN for the rest.
    """

    def __init__(self, options: OccludedOptions, spec: CloudSpec) -> None:
        self.options, self.spec, self.chain = options, spec, chain_of(options.steps)
        check_chain(self.chain, spec)

    @property
    def rates(self) -> Mapping[str, float]:
        """What the transforms change."""
        return shares([self.chain], self.spec)

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """The view of ``batch``."""
        rng = rng.fork("view", 0)
        scene = apply_chain(self.chain, scene_of(batch), rng.fork("steps"), self.spec)
        eye = torch.nn.functional.normalize(normal(rng.fork("viewpoint"), batch.index, 3), dim=1)
        targets = {"complete": Target("cloud", complete(scene.clouds, self.options.points))}
        seen = scene.keep(visible(scene.clouds, eye, self.options.pixels, self.options.tolerance))
        return [view_of(seen.clouds, {"motion": scene.motion, "viewpoint": eye}, targets)]


def visible(clouds: Clouds, eye: Tensor, pixels: int, tolerance: float) -> Tensor:
    """(m,) bool: points that no other point of their pixel hides, seen from the directions ``eye`` (n, 3) of unit length."""
    owner, n = clouds.cloud_of(), len(clouds.index)
    # Two directions across the line of sight; the axis least along it gives the first one.
    helper = torch.nn.functional.one_hot(eye.abs().argmin(1), 3).to(eye.dtype)
    right = torch.nn.functional.normalize(torch.linalg.cross(eye, helper), dim=1)
    up = torch.linalg.cross(right, eye)
    across = torch.stack([(clouds.xyz * axis[owner]).sum(1) for axis in (right, up)], 1)
    toward = (clouds.xyz * eye[owner]).sum(1)
    high, low = segment_max(across, owner, n), -segment_max(-across, owner, n)
    side = (high - low).amax(1).clamp(min=1e-9)
    place = ((across - low[owner]) / side[owner][:, None] * pixels).long().clamp(0, pixels - 1)
    pixel = (owner * pixels + place[:, 0]) * pixels + place[:, 1]
    nearest = segment_max(toward[:, None], pixel, n * pixels * pixels)[:, 0]
    return toward >= nearest[pixel] - tolerance * side[owner] / 2


def complete(clouds: Clouds, points: int) -> Tensor:
    """(n, points * 3) farthest points of each cloud, NaN after its last."""
    rows, offsets = farthest_points(clouds.xyz, clouds.offsets, points)
    n = len(clouds.index)
    out = clouds.xyz.new_full((n, points, 3), math.nan)
    owner = torch.arange(n, device=rows.device).repeat_interleave(offsets.diff(), output_size=len(rows))
    return out.index_put((owner, place_of(offsets)), clouds.xyz[rows]).flatten(1)


def build(options: OccludedOptions, spec: CloudSpec) -> Occluded:
    """The views."""
    return Occluded(options, spec)


def outputs(options: OccludedOptions, spec: CloudSpec) -> dict[str, int]:
    """Numbers of a complete cloud."""
    return {"complete": options.points * 3}
