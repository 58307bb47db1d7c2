"""One view whose patches are hidden in part, to be drawn again: Point-MAE's and PoLAr-MAE's tokens.

The target "patch" holds the points of the hidden patches relative to their centres, and what was measured at them, which does not
depend on where the cloud is. The view carries the patches, so that encoder and decoder use the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, Target, View
from sslplug.contracts.steps import check_chain
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import Patches, ball_patches, patches
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.moves import Scale, Translation
from sslplug_lidar.views.scene import rank_within, scene_of, view_of
from sslplug_lidar.views.step import NAMES, Step, apply_chain, chain_of, steps
from sslplug_lidar.views.transform import Share


class PatchOptions(Options):
    """Hidden patches. Point-MAE: 64 patches of 32 points, 60 % hidden."""

    groups: int = Field(64, ge=2, description="patches of a cloud (kind nearest), or the most of them (kind ball)")
    size: int = Field(32, ge=1, description="points of a patch (kind nearest), or the most of them (kind ball)")
    kind: Literal["nearest", "ball"] = Field(
        "nearest", description="the points nearest to a centre, or those in a ball: volumetric tokens (PoLAr-MAE)"
    )
    radius: float = Field(0.5, gt=0, description="radius of a ball, metres")
    overlap: float = Field(0.25, ge=0, lt=1, description="share of its volume that a ball may have in common with another")
    rate: Share = Field(0.6, description="share of each cloud's patches that is hidden, rounded down")
    strategy: Literal["random", "block"] = Field(
        "random", description="which are hidden: any, or those nearest to a random one (Point-BERT's block)"
    )
    attributes: bool = Field(False, description="the target holds the feature channels too, beside coordinates")
    steps: list[Step] = Field(
        steps(Scale(low=2 / 3, high=1.5), Translation()),
        description=f"transforms before patches are made, in order: {', '.join(NAMES)}",
    )


class HiddenPatches:
    """``views(batch, rng)``: one view, ``mask["patch"]`` of its patches and target "patch" (hidden, size * channels).

    Where a patch has fewer points than ``size``, the entries of the missing ones are NaN.
    """

    def __init__(self, options: PatchOptions, spec: CloudSpec) -> None:
        self.options, self.spec, self.chain = options, spec, chain_of(options.steps)
        check_chain(self.chain, spec)

    @property
    def rates(self) -> Mapping[str, float]:
        """Share of a cloud's patches that is hidden; that of one with all ``groups``, where their number is fixed."""
        o = self.options
        return {"0/mask:patch": hidden_of(o.groups, o.rate) / o.groups if o.kind == "nearest" else o.rate}

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """The view of ``batch``."""
        rng = rng.fork("view", 0)
        scene = apply_chain(self.chain, scene_of(batch), rng.fork("steps"), self.spec)
        clouds, o = scene.clouds, self.options
        if o.kind == "nearest":
            found = patches(clouds.xyz, clouds.offsets, o.groups, o.size)
        else:
            found = ball_patches(clouds.xyz, clouds.offsets, o.radius, o.size, o.overlap, o.groups)
        hidden = self._hidden(found, clouds, rng.fork("mask"))
        rows = hidden.nonzero()[:, 0]
        target = Target("patch", contents(found, clouds, o.attributes)[rows].flatten(1), rows)
        view = view_of(clouds, {"motion": scene.motion, **found.params()}, {"patch": target})
        return [replace(view, mask={"patch": hidden})]

    def _hidden(self, found: Patches, clouds: Clouds, rng: Rng) -> Tensor:
        """(p,) bool: the int(rate * patches) patches of each cloud that are hidden."""
        counts = found.offsets.diff()
        centres = clouds.xyz[found.centre]
        ids = clouds.point_ids()[found.centre]
        value = rng.uniform(ids)[:, 0]
        as_clouds = replace(
            clouds,
            offsets=found.offsets,
            xyz=centres,
            features=centres[:, :0],
            number=clouds.number[found.centre],
            labels=None,
        )
        if self.options.strategy == "block":
            place = (rng.fork("block").uniform(clouds.index)[:, 0] * counts).long()
            middle = (found.offsets[:-1] + place).clamp(max=max(len(centres) - 1, 0))
            value = (centres - centres[middle[found.owner]]).square().sum(1)
        wanted = torch.tensor([hidden_of(count, self.options.rate) for count in counts.tolist()], device=counts.device)
        return rank_within(as_clouds, value) < wanted[found.owner]


def hidden_of(patches: int, rate: float) -> int:
    """How many patches are hidden: rate times their number, rounded down; 38 of 64 at 0.6."""
    return int(rate * patches + 1e-9)  # 0.6 * 5 is a little less than 3


def contents(found: Patches, clouds: Clouds, attributes: bool) -> Tensor:
    """(p, k, c) the points of each patch relative to its centre, with their features if asked for; NaN where there is none."""
    values = found.local(clouds.xyz)
    if attributes:
        values = torch.cat([values, clouds.features[found.member]], 2)
    return values.masked_fill(~found.distinct[:, :, None], torch.nan)


def build(options: PatchOptions, spec: CloudSpec) -> HiddenPatches:
    """The views."""
    return HiddenPatches(options, spec)


def outputs(options: PatchOptions, spec: CloudSpec) -> dict[str, int]:
    """Numbers of a patch."""
    return {"patch": options.size * (3 + (len(spec.channels) if options.attributes else 0))}
