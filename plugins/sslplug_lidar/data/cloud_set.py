"""What every reader and the simulator return: clouds as arrays, before any preparation.

Letters: n clouds, m points in all, f feature channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sslplug.contracts import Split
from sslplug.errors import DataError
from sslplug_lidar.spec import Sensor


@dataclass(frozen=True, eq=False)
class CloudSet:
    """Clouds as read from their source.

    name           what it is called in descriptions
    offsets        (n + 1,) int64: cloud i holds the points ``offsets[i]:offsets[i + 1]``
    xyz            (m, 3) float32 metres, z up
    features       (m, f) float32 in the source's units;  channels: their names
    labels         (n,) int64 classes of clouds, -1: none; or None;  classes: their names
    point_labels   (m,) int64 classes of points, -1: none; or None;  point_classes: their names
    before         (n,) int64 number of the sweep before each, -1: none; or None: no sweeps follow each other
    poses          (n, 4, 4) float64 mapping each sweep's coordinates into its drive's, NaN: unknown; or None
    flow           (m, 3) float32 motion of each point until the sweep that names its own as ``before``, in that sweep's axes,
                   ego-motion included; NaN where unknown; or None
    groups         (n,) int64 clouds of one drive, scene or person; no group is on two sides of a split; or None
    splits         published or agreed splits of the clouds; empty: the data draws one
    protocol       what ``splits`` are, in words
    sensor         what took whole sweeps, or None
    titles         (n,) str: which file or record each cloud is, for messages; may be empty
    notes          what was found and handled, for the run's record
    """

    name: str
    offsets: np.ndarray
    xyz: np.ndarray
    features: np.ndarray
    channels: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    point_labels: np.ndarray | None = None
    point_classes: tuple[str, ...] = ()
    before: np.ndarray | None = None
    poses: np.ndarray | None = None
    flow: np.ndarray | None = None
    groups: np.ndarray | None = None
    splits: tuple[Split, ...] = ()
    protocol: str = ""
    sensor: Sensor | None = None
    titles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m, name = len(self.offsets) - 1, len(self.xyz), self.name
        if (
            n < 0
            or self.offsets.dtype != np.int64
            or self.offsets[0] != 0
            or self.offsets[-1] != m
            or (self.lengths < 0).any()
        ):
            raise DataError(f"{name}: offsets do not cut {m} points into clouds; expected int64 rising from 0 to {m}.")
        if self.xyz.shape != (m, 3) or self.features.shape != (m, len(self.channels)):
            raise DataError(
                f"{name}: points {self.xyz.shape} and features {self.features.shape} for {len(self.channels)} channels; "
                "expected (m, 3) and (m, channels)."
            )
        for what, array, count in (
            ("cloud labels", self.labels, n),
            ("point labels", self.point_labels, m),
            ("predecessors", self.before, n),
            ("poses", self.poses, n),
            ("flow vectors", self.flow, m),
            ("groups", self.groups, n),
        ):
            if array is not None and len(array) != count:
                raise DataError(f"{name}: {len(array)} {what} for {count}; expected as many.")
        for what, labels, classes in (
            ("cloud", self.labels, self.classes),
            ("point", self.point_labels, self.point_classes),
        ):
            if labels is not None and labels.size and not -1 <= int(labels.min()) <= int(labels.max()) < len(classes):
                raise DataError(f"{name}: {what} labels reach {int(labels.max())}; expected -1..{len(classes) - 1}.")
        if self.before is not None and n and not -1 <= int(self.before.min()) <= int(self.before.max()) < n:
            raise DataError(f"{name}: a predecessor is sweep {int(self.before.max())}; there are {n} sweeps.")

    @property
    def lengths(self) -> np.ndarray:
        """(n,) points of each cloud."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(m,) the cloud of each point."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    @property
    def sha256(self) -> str:
        """Digest of the content, whatever file it came from."""
        digest = hashlib.sha256()
        for array in (self.offsets, self.xyz, self.features, self.labels, self.point_labels, self.before, self.poses):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def motion(self, cloud: int) -> np.ndarray:
        """(4, 4) float64 mapping the coordinates of ``before[cloud]`` into those of ``cloud``; NaN where unknown."""
        if self.before is None or self.poses is None or self.before[cloud] < 0:
            return np.full((4, 4), np.nan)
        now, then = self.poses[cloud], self.poses[self.before[cloud]]
        if not (np.isfinite(now).all() and np.isfinite(then).all()):
            return np.full((4, 4), np.nan)
        moved: np.ndarray = np.linalg.inv(now) @ then
        return moved

    def points(self, kept: np.ndarray) -> CloudSet:
        """Without the points where ``kept`` (m,) bool is False."""
        gone = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            self,
            offsets=gone[self.offsets].astype(np.int64),
            xyz=self.xyz[kept],
            features=self.features[kept],
            point_labels=None if self.point_labels is None else self.point_labels[kept],
            flow=None if self.flow is None else self.flow[kept],
        )

    def rows(self, clouds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the points of the named clouds, one cloud after another, and the offsets that cut them."""
        length = self.lengths[clouds]
        offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        return np.arange(offsets[-1]) + np.repeat(self.offsets[clouds] - offsets[:-1], length), offsets

    def take(self, clouds: np.ndarray) -> CloudSet:
        """The named clouds in that order; each once. A predecessor that is left out becomes none; splits are renumbered."""
        rows, offsets = self.rows(clouds)
        place = np.full(len(self.lengths) + 1, -1, np.int64)  # the last entry serves -1
        place[clouds] = np.arange(len(clouds))
        splits = (Split(*(place[rows][place[rows] >= 0] for rows in (s.train, s.val, s.test))) for s in self.splits)
        return replace(
            self,
            offsets=offsets,
            xyz=self.xyz[rows],
            features=self.features[rows],
            labels=None if self.labels is None else self.labels[clouds],
            point_labels=None if self.point_labels is None else self.point_labels[rows],
            before=None if self.before is None else place[self.before[clouds]],
            poses=None if self.poses is None else self.poses[clouds],
            flow=None if self.flow is None else self.flow[rows],
            groups=None if self.groups is None else self.groups[clouds],
            splits=tuple(splits),
            titles=tuple(self.titles[c] for c in clouds) if self.titles else (),
        )


def joined(first: CloudSet, second: CloudSet) -> CloudSet:
    """The clouds of both in that order, under the name and with the sensor of the first, without splits.

    What one of them does not know is unknown of its clouds. Raises DataError where channels or classes differ.
    """
    for what, ours, theirs in (
        ("channels", first.channels, second.channels),
        ("classes of clouds", first.classes, second.classes or first.classes),
        ("classes of points", first.point_classes, second.point_classes or first.point_classes),
    ):
        if ours != theirs:
            raise DataError(
                f"{first.name} has the {what} {', '.join(ours) or '(none)'}, {second.name} has {', '.join(theirs) or '(none)'}; "
                "expected the same."
            )
    clouds, points = (len(first.lengths), len(second.lengths)), (len(first.xyz), len(second.xyz))

    def both(ours: np.ndarray | None, theirs: np.ndarray | None, counts: tuple[int, int], unknown: Any) -> np.ndarray | None:
        if ours is None and theirs is None:
            return None
        parts = (np.broadcast_to(unknown, (count, *np.shape(unknown))) for count in counts)
        return np.concatenate([part if known is None else known for known, part in zip((ours, theirs), parts, strict=True)])

    def after(numbers: np.ndarray | None, shift: int) -> np.ndarray | None:
        return None if numbers is None else np.where(numbers < 0, -1, numbers + shift)

    groups = [np.arange(count) if s.groups is None else s.groups for s, count in zip((first, second), clouds, strict=True)]
    return CloudSet(
        first.name,
        np.concatenate([first.offsets, second.offsets[1:] + points[0]]),
        np.concatenate([first.xyz, second.xyz]),
        np.concatenate([first.features, second.features]),
        first.channels,
        labels=both(first.labels, second.labels, clouds, -1),
        classes=first.classes,
        point_labels=both(first.point_labels, second.point_labels, points, -1),
        point_classes=first.point_classes,
        before=both(first.before, after(second.before, clouds[0]), clouds, -1),
        poses=both(first.poses, second.poses, clouds, np.full((4, 4), np.nan)),
        flow=both(first.flow, second.flow, points, np.full(3, np.nan, np.float32)),
        groups=np.concatenate([groups[0], groups[1] + int(groups[0].max(initial=-1)) + 1]),
        sensor=first.sensor,
        titles=(*first.titles, *second.titles) if first.titles and second.titles else (),
        notes=(*first.notes, *second.notes),
    )


def pack(clouds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, x y z and features, float32, of clouds given as (points, 3 + f) arrays of one width."""
    width = clouds[0].shape[1] if clouds else 3
    offsets = np.concatenate([[0], np.cumsum([len(c) for c in clouds])]).astype(np.int64)
    joined = np.concatenate(clouds) if clouds else np.empty((0, width))
    values = np.ascontiguousarray(joined, np.float32)
    return offsets, np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 3:])
