"""The plugin's one batch type: point clouds of any size, one after another, without padding.

Letters: n clouds, m points in all, f feature channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.contracts import Target
from sslplug.errors import DataError


@dataclass(frozen=True, eq=False)
class Clouds:
    """Packed clouds. Immutable; make variants with :func:`dataclasses.replace`, ``take`` and ``choose``.

    offsets   (n + 1,) int64: cloud i holds the points ``offsets[i]:offsets[i + 1]``; it may hold none
    xyz       (m, 3) float32, metres
    features  (m, f) float32: intensity and the like; f may be 0
    index     (n,) int64: number of each cloud in the whole data
    start     (n,) int64: number of each cloud's first point in the whole data
    number    (m,) int64: place of each point in its clean cloud, kept through crops, drops and shuffles
    previous  the sweep before each cloud (same n), where the data has consecutive sweeps; one without predecessor is empty
    pose      (n, 4, 4) float64: maps coordinates of ``previous`` into this sweep's; NaN where unknown
    flow      (points of ``previous``, 3) float32: the motion of each point of ``previous``, in this sweep's axes: a point p
              that now is at q has flow q - p, ego-motion included; NaN where unknown
    labels    labels of the allowed rows of this batch (rows are local), only where ``Order.labels`` asked for them
    """

    offsets: Tensor
    xyz: Tensor
    features: Tensor
    index: Tensor
    start: Tensor
    number: Tensor
    previous: Clouds | None = None
    pose: Tensor | None = None
    flow: Tensor | None = None
    labels: Target | None = None

    def __post_init__(self) -> None:
        n, m = len(self.index), len(self.xyz)
        for name, tensor, shape in (
            ("offsets", self.offsets, (n + 1,)),
            ("index", self.index, (n,)),
            ("start", self.start, (n,)),
            ("number", self.number, (m,)),
        ):
            if tensor.dtype != torch.int64 or tensor.shape != shape:
                raise DataError(f"Clouds.{name} is {tuple(tensor.shape)} {tensor.dtype}; expected {shape} int64.")
        if self.xyz.shape != (m, 3):
            raise DataError(f"Clouds.xyz is {tuple(self.xyz.shape)}; expected (points, 3).")
        if self.features.ndim != 2 or len(self.features) != m:
            raise DataError(f"Clouds.features are {tuple(self.features.shape)}; expected one row for each of {m} points.")
        if self.previous is not None and len(self.previous.index) != n:
            raise DataError(f"Clouds.previous holds {len(self.previous.index)} clouds for {n}; expected one a cloud.")
        if self.pose is not None and self.pose.shape != (n, 4, 4):
            raise DataError(f"Clouds.pose is {tuple(self.pose.shape)}; expected ({n}, 4, 4).")
        if self.flow is not None and (self.previous is None or self.flow.shape != self.previous.xyz.shape):
            raise DataError(f"Clouds.flow is {tuple(self.flow.shape)}; expected one row for each point of ``previous``.")

    @property
    def device(self) -> torch.device:
        """Where the batch lies."""
        return self.xyz.device

    @property
    def lengths(self) -> Tensor:
        """(n,) int64: points of each cloud."""
        return self.offsets.diff()

    def cloud_of(self) -> Tensor:
        """(m,) int64: the cloud (0..n-1) of each point."""
        rows = torch.arange(len(self.index), device=self.device)
        return rows.repeat_interleave(self.lengths, output_size=len(self.xyz))

    def point_ids(self) -> Tensor:
        """(m,) int64: number of each point in the whole data, for ``View.ids["point"]``."""
        return self.start.repeat_interleave(self.lengths, output_size=len(self.xyz)) + self.number

    def choose(self, rows: Tensor, offsets: Tensor) -> Clouds:
        """The same clouds made of the points ``rows`` (positions here), cut at ``offsets``. ``previous`` stays whole."""
        return replace(
            self,
            offsets=offsets,
            xyz=self.xyz[rows],
            features=self.features[rows],
            number=self.number[rows],
            labels=_follow(self.labels, rows) if self.labels is not None and self.labels.level == "point" else self.labels,
        )

    def keep(self, kept: Tensor) -> Clouds:
        """The same clouds without the points where ``kept`` (m,) bool is False."""
        rows = kept.nonzero()[:, 0]
        gone = torch.cat([self.offsets.new_zeros(1), kept.to(torch.int64).cumsum(0)])
        return self.choose(rows, gone[self.offsets])

    def take(self, clouds: Tensor) -> Clouds:
        """The named clouds (positions here), whole, with their predecessors, poses and flow."""
        rows, offsets = _rows(self.offsets, clouds)
        labels = self.labels
        previous, flow = self.previous, self.flow
        if previous is not None:
            if flow is not None:
                flow = flow[_rows(previous.offsets, clouds)[0]]
            previous = previous.take(clouds)
        return replace(
            self,
            offsets=offsets,
            xyz=self.xyz[rows],
            features=self.features[rows],
            index=self.index[clouds],
            start=self.start[clouds],
            number=self.number[rows],
            previous=previous,
            pose=None if self.pose is None else self.pose[clouds],
            flow=flow,
            labels=None if labels is None else _follow(labels, rows if labels.level == "point" else clouds),
        )

    def to(self, device: torch.device | str) -> Clouds:
        """The same batch on ``device``."""
        return replace(
            self,
            offsets=self.offsets.to(device),
            xyz=self.xyz.to(device),
            features=self.features.to(device),
            index=self.index.to(device),
            start=self.start.to(device),
            number=self.number.to(device),
            previous=None if self.previous is None else self.previous.to(device),
            pose=None if self.pose is None else self.pose.to(device),
            flow=None if self.flow is None else self.flow.to(device),
            labels=None if self.labels is None else self.labels.to(device),
        )


def _rows(offsets: Tensor, clouds: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the points of the named clouds, and the offsets that cut them."""
    length = offsets.diff()[clouds]
    new = torch.cat([length.new_zeros(1), length.cumsum(0)])
    within = torch.arange(int(new[-1]), device=offsets.device)
    return within + (offsets[clouds] - new[:-1]).repeat_interleave(length, output_size=len(within)), new


def _follow(labels: Target, source: Tensor) -> Target:
    """The labels of rows that come from the rows ``source``, any number of them from one."""
    rows = labels.rows
    if rows is None:
        return Target(labels.level, labels.values[source])
    size = int(torch.cat([rows, source]).max()) + 1 if len(rows) or len(source) else 1
    place = torch.full((size,), -1, dtype=torch.int64, device=source.device)
    place[rows] = torch.arange(len(rows), device=rows.device)
    found = place[source]
    here = (found >= 0).nonzero()[:, 0]
    return Target(labels.level, labels.values[found[here]], here)
