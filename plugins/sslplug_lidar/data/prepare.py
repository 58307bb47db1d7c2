"""From clouds as read to clouds as used: what cannot be used is taken out and said, what is too much is thinned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_set import CloudSet


def finite(clouds: CloudSet) -> CloudSet:
    """Without points that hold NaN or infinities; noted with the first place."""
    bad = ~(np.isfinite(clouds.xyz).all(1) & np.isfinite(clouds.features).all(1))
    if not bad.any():
        return clouds
    first = int(np.flatnonzero(bad)[0])
    cloud = int(np.searchsorted(clouds.offsets, first, side="right")) - 1
    place = f"{_title(clouds, cloud)}, point {first - int(clouds.offsets[cloud])}"
    note = f"{int(bad.sum())} points hold NaN or infinity and are left out, the first in {place}"
    return replace(clouds.points(~bad), notes=(*clouds.notes, note))


def filled(clouds: CloudSet) -> CloudSet:
    """Without clouds that hold no point; noted, as are clouds of a single place. Raises DataError where nothing is left."""
    notes = list(clouds.notes)
    empty = np.flatnonzero(clouds.lengths == 0)
    if len(empty) == len(clouds.lengths):
        names = ": " + ", ".join(_title(clouds, int(cloud)) for cloud in empty[:3]) if len(empty) else ""
        raise DataError(
            f"{clouds.name}: no cloud holds a usable point{names}; check the files, their columns and data.farthest."
        )
    if len(empty):
        names = ", ".join(_title(clouds, int(cloud)) for cloud in empty[:3]) + (", ..." if len(empty) > 3 else "")
        notes.append(f"{len(empty)} clouds hold no point and are left out: {names}")
        clouds = clouds.take(np.flatnonzero(clouds.lengths > 0))
    low = np.minimum.reduceat(clouds.xyz, clouds.offsets[:-1])
    high = np.maximum.reduceat(clouds.xyz, clouds.offsets[:-1])
    flat = (low == high).all(1)
    if flat.any():
        notes.append(f"{int(flat.sum())} clouds are a single place (one point, or all points alike); they are kept")
    return replace(clouds, notes=tuple(notes))


def cropped(clouds: CloudSet, nearest: float, farthest: float) -> CloudSet:
    """Only points between two distances from the origin on the ground, in metres; 0 sets no bound."""
    if not nearest and not farthest:
        return clouds
    away = np.hypot(clouds.xyz[:, 0], clouds.xyz[:, 1])
    kept = (away >= nearest) & ((away <= farthest) if farthest else True)
    note = f"{int((~kept).sum())} points nearer than {nearest:g} m or farther than {farthest or np.inf:g} m are left out"
    return replace(clouds.points(kept), notes=(*clouds.notes, note))


def thinned(clouds: CloudSet, voxel: float, points: int, rng: Rng) -> CloudSet:
    """The first point of each voxel of ``voxel`` metres, then at most ``points`` of a cloud, drawn once; 0 keeps all.

    Which points stay is a function of ``rng``, the point's cloud and its place, so it is the same in every run.
    """
    if voxel:
        cell = np.floor(clouds.xyz / voxel).astype(np.int64)
        cell -= cell.min(0)
        size = cell.max(0) + 1
        key = ((clouds.owner * size[0] + cell[:, 0]) * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
        kept = np.zeros(len(key), bool)
        kept[np.unique(key, return_index=True)[1]] = True
        clouds = clouds.points(kept)
    if points and (clouds.lengths > points).any():
        drawn, kept = rng.numpy().random(len(clouds.xyz)), np.ones(len(clouds.xyz), bool)
        for cloud in np.flatnonzero(clouds.lengths > points):
            start, stop = clouds.offsets[cloud], clouds.offsets[cloud + 1]
            kept[start + np.argpartition(drawn[start:stop], points)[points:]] = False
        clouds = clouds.points(kept)
    return clouds


def centred(clouds: CloudSet, unit_sphere: bool = False) -> CloudSet:
    """Each cloud about its own centroid; with ``unit_sphere`` also scaled so that its farthest point is at distance 1.

    Refused for sweeps that follow each other: their poses would no longer hold.
    """
    if clouds.before is not None or clouds.poses is not None:
        raise DataError(f"{clouds.name}: sweeps with poses cannot be centred one by one; leave centring out.")
    owner, count = clouds.owner, np.maximum(clouds.lengths, 1)[:, None]
    total = np.stack([np.bincount(owner, clouds.xyz[:, axis], len(count)) for axis in range(3)], 1)
    xyz = clouds.xyz - (total / count)[owner]
    if unit_sphere:
        radius = np.zeros(len(count))
        np.maximum.at(radius, owner, np.linalg.norm(xyz, axis=1))
        xyz = xyz / np.where(radius > 0, radius, 1.0)[owner][:, None]
    return replace(clouds, xyz=xyz.astype(np.float32))


def _title(clouds: CloudSet, cloud: int) -> str:
    return clouds.titles[cloud] if clouds.titles else f"cloud {cloud}"
