"""SemanticKITTI (Behley et al. 2019): 22 drives with labels a point, in the published folders ``sequences/00/velodyne`` ..."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Split
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.kitti import HDL64, read_calibration, read_labels, read_poses, read_sweep
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import point_task

CLASSES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "car": (10, 252),
        "bicycle": (11,),
        "motorcycle": (15,),
        "truck": (18, 258),
        "other-vehicle": (13, 16, 20, 256, 257, 259),
        "person": (30, 254),
        "bicyclist": (31, 253),
        "motorcyclist": (32, 255),
        "road": (40, 60),
        "parking": (44,),
        "sidewalk": (48,),
        "other-ground": (49,),
        "building": (50,),
        "fence": (51,),
        "vegetation": (70,),
        "trunk": (71,),
        "terrain": (72,),
        "pole": (80,),
        "traffic-sign": (81,),
    }
)
"""The 19 classes of the single-scan task by the numbers in the files, moving and standing together."""
IGNORED = (0, 1, 52, 99)
"""Numbers that are not judged: unlabelled, outlier, other structure, other object."""


class SemanticKittiOptions(SweepOptions):
    """Which part of SemanticKITTI."""

    folder: Path = Field(
        Path("lidar/semantic_kitti"), description="folder that holds sequences/, here or below the data root"
    )
    train: tuple[str, ...] = Field(
        ("00", "01", "02", "03", "04", "05", "06", "09", "10"), min_length=1, description="drives to train on"
    )
    val: tuple[str, ...] = Field(("07",), description="drives to choose by; they belong to the published training part")
    test: tuple[str, ...] = Field(("08",), min_length=1, description="drives to score by: the published validation drive")
    every: int = Field(1, ge=1, description="take every so-manieth sweep of a drive")
    points: int = Field(20_000, ge=0, description="at most so many points of a sweep, drawn once; 0: all")


def build(options: SemanticKittiOptions, context: DataContext) -> CloudData:
    """Point classes; drives of the test part are never trained on."""
    clouds = read_drives(below_root(options.folder, context), options, Rng.root(context.seed).fork("thin"))

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"point": point_task(clouds, clouds.splits, options.judged, clouds.protocol, rng)}

    return cloud_data(clouds, tasks, options, context)


def read_drives(root: Path, options: SemanticKittiOptions, rng: Rng) -> CloudSet:
    """Sweeps of all named drives with labels and poses; thinned one by one while they are read, to fit in memory."""
    sweeps, labels, poses = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    before, group, titles = list[int](), list[int](), list[str]()
    lookup = np.full(1 << 16, -2, np.int64)
    for place, numbers in enumerate(CLASSES.values()):
        lookup[list(numbers)] = place
    lookup[list(IGNORED)] = -1
    names = (*options.train, *options.val, *options.test)
    for number, name in enumerate(names):
        drive = root / "sequences" / name
        files = sorted((drive / "velodyne").glob("*.bin*"))
        if not files:
            raise DataError(f"{drive / 'velodyne'}: no .bin file; expected the published folders below {root}.")
        moves = read_poses(drive / "poses.txt", read_calibration(drive / "calib.txt", "Tr"), len(files))
        for place, path in enumerate(files[:: options.every]):
            points = read_sweep(path)
            found = read_labels(drive / "labels" / path.name.replace(".bin", ".label"), len(points))
            classes = lookup[found]
            if (classes == -2).any():
                row = int(np.flatnonzero(classes == -2)[0])
                raise DataError(
                    f"{drive / 'labels' / path.name}, point {row}: label {found[row]} is no class of SemanticKITTI."
                )
            if options.points and len(points) > options.points:
                draw = rng.fork(number, place).numpy()
                kept = np.sort(draw.permutation(len(points))[: options.points])
                points, classes = points[kept], classes[kept]
            before.append(-1 if place == 0 else len(sweeps) - 1)
            sweeps.append(points)
            labels.append(classes)
            group.append(number)
            titles.append(str(path))
        poses.append(moves[:: options.every])
    offsets, xyz, features = pack(sweeps)
    groups = np.array(group)
    sizes = np.cumsum([len(options.train), len(options.val)])
    part = np.searchsorted(sizes, groups, side="right")
    return CloudSet(
        "SemanticKITTI",
        offsets,
        xyz,
        features,
        ("intensity",),
        point_labels=np.concatenate(labels),
        point_classes=tuple(CLASSES),
        before=np.array(before),
        poses=np.concatenate(poses),
        groups=groups,
        splits=(Split(*(np.flatnonzero(part == which) for which in range(3))),),
        protocol=f"drives {', '.join(options.test)} test, {', '.join(options.val) or 'none'} validate, 19 classes",
        sensor=HDL64,
        titles=tuple(titles),
    )
