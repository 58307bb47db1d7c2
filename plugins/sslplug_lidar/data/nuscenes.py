"""nuScenes lidarseg (Caesar et al. 2020; Fong et al. 2022): key frames at 2 Hz with 16 point classes, split by scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Split
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.nuscenes import CHANNELS, CLASSES, HDL32, key_frames, read_lidarseg, read_nuscenes
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import point_task

MINI_VAL = ("scene-0103", "scene-0916")
"""The validation scenes of the release v1.0-mini."""


class NuscenesOptions(SweepOptions):
    """Which part of nuScenes."""

    folder: Path = Field(Path("lidar/nuscenes"), description="folder of the release, here or below the data root")
    version: str = Field("v1.0-mini", description="folder of the tables: v1.0-mini or v1.0-trainval")
    test_scenes: tuple[str, ...] = Field(
        MINI_VAL, min_length=1, description="scenes to score by: the published validation scenes of the version"
    )
    val_share: float = Field(0.1, ge=0, lt=1, description="share of the other scenes to choose by, the last by name")
    points: int = Field(20_000, ge=0, description="at most so many points of a sweep, drawn once; 0: all")


def build(options: NuscenesOptions, context: DataContext) -> CloudData:
    """Point classes; scenes of the test part are never trained on."""
    clouds = read_scenes(below_root(options.folder, context), options, Rng.root(context.seed).fork("thin"))

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"point": point_task(clouds, clouds.splits, options.judged, clouds.protocol, rng)}

    return cloud_data(clouds, tasks, options, context)


def read_scenes(root: Path, options: NuscenesOptions, rng: Rng) -> CloudSet:
    """Key frames in the axes x forward, y left, z up (the sensor's own are x right, y forward), with labels and poses."""
    frames, number_of = key_frames(root, options.version)
    turn = np.array([[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    sweeps, labels = [], []
    for place, frame in enumerate(frames):
        points = read_nuscenes(frame.sweep)
        classes = np.full(len(points), -1, np.int64)
        if frame.labels is not None:
            found = read_lidarseg(frame.labels, len(points))
            if len(found) and found.max() >= len(number_of):
                row = int(np.flatnonzero(found >= len(number_of))[0])
                raise DataError(
                    f"{frame.labels}, point {row}: category {found[row]}; category.json numbers 0..{len(number_of) - 1}."
                )
            classes = number_of[found]
        if options.points and len(points) > options.points:
            kept = np.sort(rng.fork(place).numpy().permutation(len(points))[: options.points])
            points, classes = points[kept], classes[kept]
        points = points.copy()
        points[:, :3] = points[:, :3] @ turn[:3, :3].T.astype(np.float32)
        points[:, 3] /= 255
        sweeps.append(points)
        labels.append(classes)
    scenes = np.array([frame.scene for frame in frames])
    absent = sorted(set(options.test_scenes) - set(scenes))
    if absent:
        raise UsageError(
            f"data.test_scenes: {', '.join(absent)} are not in {root / options.version}; name scenes of this version."
        )
    others = sorted(set(scenes) - set(options.test_scenes))
    val = others[len(others) - round(options.val_share * len(others)) :]
    test, chosen = np.isin(scenes, options.test_scenes), np.isin(scenes, val)
    offsets, xyz, features = pack(sweeps)
    first = np.r_[True, scenes[1:] != scenes[:-1]]
    return CloudSet(
        "nuScenes",
        offsets,
        xyz,
        features,
        CHANNELS,
        point_labels=np.concatenate(labels),
        point_classes=tuple(CLASSES),
        before=np.where(first, -1, np.arange(len(frames)) - 1),
        poses=np.stack([frame.pose @ np.linalg.inv(turn) for frame in frames]),
        groups=np.unique(scenes, return_inverse=True)[1],
        splits=(Split(np.flatnonzero(~test & ~chosen), np.flatnonzero(chosen), np.flatnonzero(test)),),
        protocol=f"{options.version}, {len(options.test_scenes)} scenes test, 16 classes",
        sensor=HDL32,
        titles=tuple(str(frame.sweep) for frame in frames),
    )
