"""Two consecutive sweeps, thinned: what flow and registration are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.geometry import apply, ground, voxelise
from sslplug_lidar.registration.icp import icp, one

if TYPE_CHECKING:  # data modules import the tasks, which import this
    from sslplug_lidar.data.cloud_set import CloudSet

FEWEST = 16
"""A thinned sweep of fewer points makes no pair."""

Reference = Literal["given", "icp"]
"""What is held to be the motion of the sensor: the poses that came with the data, or these refined by ICP on dense clouds.

Refinement is for poses that do not fit their sweeps; it tells how well others agree with ICP, not who is right.
"""


@dataclass(frozen=True, eq=False)
class SweepPair:
    """Some points of a sweep (target) and of the one before it (source), on the CPU.

    before       (c, 3) float64 metres: the sweep before, thinned;  asked  (m,) int64 which of these are the source points
    target       (k, 3) this sweep, thinned
    before_rows  (c,) int64 rows of level "point";  target_rows  (k,) likewise
    flow_rows    (m,) int64 rows of level "flow": networks that predict flow make one row a point of every sweep before
    flow         (m, 3) float64 true flow of the source points, ego-motion included; NaN where unknown
    pose         (4, 4) float64 maps source coordinates to the target's; NaN where unknown
    """

    before: Tensor
    asked: Tensor
    target: Tensor
    before_rows: Tensor
    target_rows: Tensor
    flow_rows: Tensor
    flow: Tensor
    pose: Tensor

    @property
    def source(self) -> Tensor:
        """(m, 3) the source points."""
        return self.before[self.asked]

    @property
    def source_rows(self) -> Tensor:
        """(m,) int64 rows of level "point" of the source points."""
        return self.before_rows[self.asked]


@dataclass(frozen=True)
class Selection:
    """Which points of a sweep are looked at.

    points  most points of the sweep before that are asked about, drawn from the thinned sweep
    dense   most points of each thinned sweep, drawn at random
    reach   metres: points further from the sensor are left out
    cell    metres: at most one point of each cube of this size; 0: all
    ground  keep the ground
    """

    points: int = 1024
    dense: int = 2048
    reach: float = 35.0
    cell: float = 0.0
    ground: bool = False

    def __str__(self) -> str:
        what = "" if self.ground else " above the ground"
        thinned = f", one in {self.cell:g} m" if self.cell else ""
        return f"{self.points} points onto {self.dense}{what} within {self.reach:g} m{thinned}"


def related(clouds: CloudSet, cases: np.ndarray) -> np.ndarray:
    """Those of the sweeps ``cases`` that have a predecessor and are related to it by a known pose or flow."""
    if clouds.before is None:
        return cases[:0]
    later = cases[clouds.before[cases] >= 0]
    return np.array([n for n in later.tolist() if np.isfinite(clouds.motion(n)).all() or _known_flow(clouds, n)], np.int64)


def _known_flow(clouds: CloudSet, number: int) -> bool:
    if clouds.flow is None or clouds.before is None:
        return False
    then = int(clouds.before[number])
    return bool(np.isfinite(clouds.flow[clouds.offsets[then] : clouds.offsets[then + 1]]).any())


def pairs_of(
    clouds: CloudSet, cases: np.ndarray, selection: Selection, rng: Rng, reference: Reference = "given"
) -> list[SweepPair]:
    """The sweeps ``cases`` of a data set, each with the sweep before it, thinned by ``selection``.

    Where the data knows no flow, that of points at rest follows from the pose; where it knows no pose either, flow is NaN.
    Sweeps without a predecessor make no pair, nor do those of fewer than ``FEWEST`` thinned points.
    """
    if clouds.before is None:
        return []
    lengths = np.where(clouds.before >= 0, clouds.lengths[clouds.before], 0)
    flow_start = np.cumsum(lengths) - lengths
    found = []
    for number in cases.tolist():
        then = int(clouds.before[number])
        if then < 0:
            continue
        then_points, now_points = points_of(clouds, then), points_of(clouds, number)
        i = choose(then_points, selection, rng.fork("before", number))
        j = choose(now_points, selection, rng.fork("now", number))
        if min(len(i), len(j)) < FEWEST:
            continue
        asked = torch.randperm(len(i), generator=rng.fork("asked", number).torch())[: selection.points].sort().values
        before, target = then_points[i], now_points[j]
        pose = torch.from_numpy(clouds.motion(number))
        if reference == "icp" and bool(pose.isfinite().all()):
            pose = icp(before, target, pose)
        start, stop = int(clouds.offsets[then]), int(clouds.offsets[then + 1])
        source = before[asked]
        flow = apply(pose, source) - source
        if clouds.flow is not None:
            flow = torch.from_numpy(clouds.flow[start:stop]).double()[i][asked]
        rows = (start + i, int(clouds.offsets[number]) + j, int(flow_start[number]) + i[asked])
        found.append(SweepPair(before, asked, target, *rows, flow, pose))
    return found


def points_of(clouds: CloudSet, number: int) -> Tensor:
    """(m, 3) float64 points of one cloud."""
    return torch.from_numpy(clouds.xyz[clouds.offsets[number] : clouds.offsets[number + 1]]).double()


def spread(numbers: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of the numbers, evenly spaced."""
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(np.int64)
    return np.asarray(numbers)[places]


def choose(xyz: Tensor, selection: Selection, rng: Rng) -> Tensor:
    """Rising numbers of the points of one sweep (m, 3) that ``selection`` leaves, ``selection.dense`` at most."""
    kept = (xyz.norm(dim=1) < selection.reach).nonzero()[:, 0]
    if not selection.ground:
        kept = kept[~ground(xyz[kept], one(kept), rng.fork("ground"))]
    if selection.cell > 0:
        cells = voxelise(xyz[kept], one(kept), selection.cell).of_point
        first = torch.full((int(cells.max()) + 1 if len(cells) else 0,), len(cells))
        kept = kept[first.scatter_reduce(0, cells, torch.arange(len(cells)), "amin")]
    drawn = torch.randperm(len(kept), generator=rng.torch())[: selection.dense]
    rising: Tensor = kept[drawn].sort().values
    return rising
