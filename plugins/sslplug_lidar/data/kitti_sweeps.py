"""Real consecutive sweeps of KITTI: odometry sequence 00, sweeps 0-5, with poses, and five sweeps of another drive without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, PublishedSet
from sslplug_lidar.data.assemble import cloud_data, no_tasks
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.kitti import HDL64, read_calibration, read_poses, read_sweep
from sslplug_lidar.data.options import SweepOptions

ODOMETRY = {
    "calib.txt": "cf850a17971e7240551d334dafc3bd90396ab5ac03ce5abbb0c9b6866522f1aa",
    "poses_first6.txt": "bab5115d20db6c6b44a774a8564bab7c37ba1ada29ab0763a05ef890a1a66531",
    "velodyne/000000.bin.xz": "e76c57b89d23494acd3ac1ee4f9697423a328f87c81263b4ad8fd46e36d49c11",
    "velodyne/000001.bin.xz": "0241ede4ed574a7d42c72e3458cbb59337c61f7ceff8fb7c6d14393c79bb7d7b",
    "velodyne/000002.bin.xz": "ac409f4c436abd7387c2130cbed7816dc410452215bcdc3224c77df9339bb589",
    "velodyne/000003.bin.xz": "02bd11d75ddd8e711a33bd211ea831fb0105066c93226e615ce7fb3554a553db",
    "velodyne/000004.bin.xz": "b29830cf6798bcd053a7c7bd5cd799fa89d36fbf822b0a54f8ed944bf04a6982",
    "velodyne/000005.bin.xz": "a8da501e63aaf756fc09a44948a04f9b6abbad5fdff6fc95ee7caaea305748ff",
}
RAW = {
    "0000000000.bin.xz": "f7cce6ecb9588525a87c6d2f2ebd829330ff3eb9001650fdf8aff16751741b59",
    "0000000001.bin.xz": "0caa0ccaff097067e62ab462c2e7671198d757c948a96df06340d19a27d93a9e",
    "0000000002.bin.xz": "5f72a23e23131a75a93e4ae01268d0abf04ac1c92c6cb482dba35aa2d859dda7",
    "0000000003.bin.xz": "6c04a6e57e951161cb69b0ed73d13b39764f353d1bd4ecaa8a768d4ec4664013",
    "0000000004.bin.xz": "67cc162ad054ddb5867649a3885908a89c5af85e795da1958b8fd7b7be0c64ac",
}


class KittiSweepOptions(SweepOptions):
    """Which drives."""

    drives: tuple[Literal["odometry", "raw"], ...] = Field(
        ("odometry", "raw"),
        min_length=1,
        description="odometry: 6 sweeps with poses; raw: 5 sweeps of another drive, no poses",
    )


def build(options: KittiSweepOptions, context: DataContext) -> CloudData:
    """The sweeps; nothing is labelled."""
    return cloud_data(sweeps(options.drives, context), no_tasks, options, context)


def sweeps(drives: Sequence[str], context: DataContext) -> CloudSet:
    """Whole sweeps of the named drives, each a group, in order."""
    made: list[tuple[list[Path], np.ndarray]] = []
    if "odometry" in drives:
        calibration, poses, *files = PublishedSet("KITTI odometry 00", "lidar/kitti_odometry_00", ODOMETRY).proved(context)
        made.append((files, read_poses(poses, read_calibration(calibration, "Tr"), len(files))))
    if "raw" in drives:
        files = PublishedSet("KITTI raw sweeps", "lidar/kitti_raw_sweeps", RAW).proved(context)
        made.append((files, np.full((len(files), 4, 4), np.nan)))
    return sequences("kitti_sweeps", made)


def sequences(name: str, drives: Sequence[tuple[Sequence[Path], np.ndarray]]) -> CloudSet:
    """KITTI sweeps of several drives: files in order, and the pose of each (t, 4, 4)."""
    counts = [len(files) for files, _ in drives]
    offsets, xyz, features = pack([read_sweep(path) for files, _ in drives for path in files])
    first = np.cumsum([0, *counts[:-1]])
    before = np.arange(sum(counts)) - 1
    before[first] = -1
    return CloudSet(
        name,
        offsets,
        xyz,
        features,
        ("intensity",),
        before=before,
        poses=np.concatenate([poses for _, poses in drives]),
        groups=np.repeat(np.arange(len(drives)), counts),
        sensor=HDL64,
        titles=tuple(str(path) for files, _ in drives for path in files),
    )
