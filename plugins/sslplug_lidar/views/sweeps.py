"""Two consecutive sweeps as two views of one place and moment: what is there now, and what was there before.

The sweep before is brought into the frame of the current one by ego-motion or scene flow, and only the groups of its points
(matches, cells, segments) are made there. Encoders see each sweep in its own frame, changed by transforms of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug.contracts.steps import check_chain, shares
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import apply, nearest, offsets_of
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.grouping import Grouping
from sslplug_lidar.views.groups import GroupOptions, Level
from sslplug_lidar.views.moves import Flip, Rotation
from sslplug_lidar.views.scene import Scene, scene_of, view_of
from sslplug_lidar.views.step import NAMES, Step, apply_chain, chain_of, steps


class SweepOptions(GroupOptions):
    """The sweep before and the current one."""

    levels: tuple[Level, ...] = Field(("cell",), description="match: single points; cell: of a grid; segment: clusters")
    now: list[Step] = Field(
        steps(Rotation(), Flip()), description=f"transforms of the current sweep, in order: {', '.join(NAMES)}"
    )
    previous: list[Step] | None = Field(
        None, description="transforms of the sweep before; unset: as those of the current one"
    )
    motion: Literal["pose", "flow"] = Field(
        "pose", description="what brings the sweep before into the current frame: ego-motion, or the flow of each point"
    )
    radius: float = Field(
        0.5, gt=0, description="metres within which a moved point and the current point nearest to it match"
    )


class Sweeps:
    """``views(batch, rng)``: a view of role "previous", then one of role "now"; rows of level cloud have the current sweep's id.

    A sweep without predecessor, or without a known pose where poses are asked for, is its own predecessor: still two views.
    """

    def __init__(self, options: SweepOptions, spec: CloudSpec) -> None:
        if not spec.sweeps:
            raise UsageError(
                "views sweeps: this data has no consecutive sweeps, or does not hand them over; choose data that has them, such as "
                "street or kitti_sweeps, with data.pairs: true, or the views pairs."
            )
        now = chain_of(options.now)
        self.chains = (now if options.previous is None else chain_of(options.previous), now)
        for chain in self.chains:
            check_chain(chain, spec)
        self.options, self.spec, self.grouping = options, spec, Grouping(options)

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<transform>": share}."""
        return shares(self.chains, self.spec)

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """The two views of ``batch``."""
        before, moved = predecessors(batch, self.options.motion)
        match = matches(batch, before, moved, self.options.radius) if "match" in self.options.levels else None
        codes = self.grouping.pair_codes(batch, before, moved, match)
        views, found = [], []
        for number, (clouds, role) in enumerate(((before, "previous"), (batch, "now"))):
            scene: Scene = apply_chain(self.chains[number], scene_of(clouds), rng.fork("view", number), self.spec)
            view = view_of(scene.clouds, {"motion": scene.motion}, role=role)
            views.append(replace(view, ids={**view.ids, "cloud": batch.index}))
            found.append({level: code[scene.source] for level, code in codes[number].items()})
        return self.grouping.shared(views, found, rng.fork("groups"))


def predecessors(batch: Clouds, motion: str) -> tuple[Clouds, Tensor]:
    """The sweep before each cloud in its own frame, and its points (p, 3) in the current frame, NaN where that is unknown.

    Raises UsageError where the batch has no sweeps before, no poses or no flow to move them by.
    """
    before, carrier = batch.previous, batch.pose if motion == "pose" else batch.flow
    if before is None or carrier is None:
        missing = "sweeps before the current ones" if before is None else motion
        raise UsageError(
            f"views sweeps with motion: {motion}: the data brings no {missing}; choose data with consecutive sweeps and their "
            f"{motion}, or the other motion."
        )
    there = before.lengths > 0
    if motion == "pose":
        there = there & carrier.isfinite().flatten(1).all(1)
        safe = torch.where(there[:, None, None], carrier, torch.eye(4, dtype=carrier.dtype, device=carrier.device))
        moved = apply(safe[before.cloud_of()], before.xyz)
    else:
        moved = before.xyz + carrier
    if bool(there.all()):
        return replace(before, labels=None, previous=None, pose=None, flow=None), moved
    own, kept = (~there)[batch.cloud_of()], there[before.cloud_of()]
    cloud = torch.cat([before.cloud_of()[kept], batch.cloud_of()[own]])
    order = torch.argsort(cloud, stable=True)

    def joined(old: Tensor, new: Tensor) -> Tensor:
        return torch.cat([old[kept], new[own]])[order]

    clouds = Clouds(
        offsets_of(torch.bincount(cloud, minlength=len(there))),
        joined(before.xyz, batch.xyz),
        joined(before.features, batch.features),
        torch.where(there, before.index, batch.index),
        torch.where(there, before.start, batch.start),
        joined(before.number, batch.number),
    )
    return clouds, joined(moved, batch.xyz)


def matches(now: Clouds, before: Clouds, moved: Tensor, radius: float) -> Tensor:
    """(p,) int64: number over the whole data of the current point nearest to each moved point; -1 beyond ``radius`` metres."""
    found = torch.full((len(moved),), -1, dtype=torch.int64, device=moved.device)
    owner = before.cloud_of()
    asked = moved.isfinite().all(1) & (now.lengths > 0)[owner]
    offsets = offsets_of(torch.bincount(owner[asked], minlength=len(now.index)))
    rows, away = nearest(moved[asked], offsets, now.xyz, now.offsets, 1)
    ids = torch.where(away[:, 0] <= radius**2, now.point_ids()[rows[:, 0]], -1)
    return found.masked_scatter(asked, ids)


def build(options: SweepOptions, spec: CloudSpec) -> Sweeps:
    """The views."""
    return Sweeps(options, spec)
