"""Objects cut by the boxes of six labelled KITTI frames, and unlabelled segments of KITTI sweeps to pretrain on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field

from sslplug.contracts import DataContext, PublishedSet, Split
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.kitti import MOUNT, inside, read_boxes, read_calibration, read_sweep
from sslplug_lidar.data.kitti_sweeps import sweeps
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.geometry import clusters, ground
from sslplug_lidar.tasks import object_task

FILES = {
    "calib/000000.txt": "29b89ca9fa49b2cad778bf73910ff7210c7998badae39796cf29666081992d7f",
    "calib/000001.txt": "5813c05a89e33e67244891c62e153e0a572692d42365b8665e38cc242c7d4918",
    "calib/000002.txt": "5813c05a89e33e67244891c62e153e0a572692d42365b8665e38cc242c7d4918",
    "calib/000003.txt": "5813c05a89e33e67244891c62e153e0a572692d42365b8665e38cc242c7d4918",
    "calib/002155.txt": "5813c05a89e33e67244891c62e153e0a572692d42365b8665e38cc242c7d4918",
    "calib/007347.txt": "29b89ca9fa49b2cad778bf73910ff7210c7998badae39796cf29666081992d7f",
    "label_2/000000.txt": "6627ff300809ccdb8f0402c1003b7c691a64e3027ceaf0ce7cabfeef9809d0c3",
    "label_2/000001.txt": "36eef20c544fb5cd648ea3144683a6f0e7a6869c94c1347cb7e6997e0253aefd",
    "label_2/000002.txt": "6c9295ac0a8dbf9d018db0a5e47a217d21d77b764819fda8c91052a3ae414c11",
    "label_2/000003.txt": "56f275a7b3464992db4bb524ee84cc09fb4ca621b6e63e281f6defa0a79b2651",
    "label_2/002155.txt": "4ed66dd202fa6a1eb6fde37ffa8f98b11651f2e0b90f4df59ec2cf583654b12f",
    "label_2/007347.txt": "e67f374fc23d622e09e4cce38b902a75c84f40424fffa0d12da390693c0eeb8b",
    "velodyne/000000.bin.xz": "c10fca0ad0b3ec6756403e9cd27db60d0a3261e5f76edc196754786efea700ff",
    "velodyne/000001.bin.xz": "a20f1d6061e181d69c4538f692932b8eef5a55be998e541149c231c5abc420d8",
    "velodyne/000002.bin.xz": "2ab1631782d8d9c295d68280008e0ea62da1e12a18fde61d44eabb17332834e4",
    "velodyne_front/000003.bin.xz": "b10fb4d7980315aa5f60001b49e3c11cc1e9ed53abf6e5904808444f949f6c96",
    "velodyne_front/002155.bin.xz": "8a90eb5153bf69927c600fb385813dd41cb17c518d59c70bd26699ada5c21e22",
    "velodyne_front/007347.bin.xz": "b0f099e0ee78a1f0eaa1141297a9705297a3bffae339649f670f044c5858dd6b",
}
CLASSES = {
    "Car": "vehicle",
    "Van": "vehicle",
    "Truck": "vehicle",
    "Pedestrian": "person",
    "Cyclist": "person",
    "Person_sitting": "person",
}
BACKGROUND = "background"
NAMES = ("vehicle", "person", BACKGROUND)


class KittiObjectOptions(CloudOptions):
    """How objects and segments are found."""

    least: int = Field(10, ge=1, description="objects and segments with fewer points are left out")
    reach: float = Field(40.0, gt=0, description="metres from the sensor within which segments are sought")
    gap: float = Field(0.4, gt=0, description="metres between points of one segment at most (DBSCAN)")
    cleared: float = Field(0.3, gt=0, description="metres above the ground plane below which points belong to it")
    segments: int = Field(1500, ge=0, description="most unlabelled segments of the KITTI sweeps to pretrain on, drawn once")


def build(options: KittiObjectOptions, context: DataContext) -> CloudData:
    """Vehicle, person or background, frame by frame left out; only unlabelled segments of other drives are trained on."""
    clouds = read_objects(options, context)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.labels is not None  # read_objects gives them
        assert clouds.groups is not None
        labelled = np.flatnonzero(clouds.labels >= 0)
        splits = []
        for frame in np.unique(clouds.groups[labelled]):
            out = clouds.groups[labelled] == frame
            splits.append(Split(labelled[~out], np.empty(0, np.int64), labelled[out]))
        return {"object": object_task(clouds, splits, "each labelled frame left out once")}

    return cloud_data(clouds, tasks, options, context)


def read_objects(options: KittiObjectOptions, context: DataContext) -> CloudSet:
    """Boxes of each frame, its other segments as background, then unlabelled segments of the KITTI sweeps (label -1)."""
    paths = PublishedSet("KITTI object frames", "lidar/kitti_object", FILES).proved(context)
    calibrations, labels, frames = paths[:6], paths[6:12], paths[12:]
    clouds: list[np.ndarray] = []
    classes: list[int] = []
    groups: list[int] = []
    few = other = 0
    for number, (calibration, label, frame) in enumerate(zip(calibrations, labels, frames)):
        sweep = read_sweep(frame)
        to_camera = read_calibration(calibration, "R0_rect") @ read_calibration(calibration, "Tr_velo_to_cam")
        free = np.ones(len(sweep), bool)
        for box in read_boxes(label):
            there = inside(box, sweep, to_camera)
            free &= ~there
            if box.label not in CLASSES:
                other += 1
            elif there.sum() < options.least:
                few += 1
            else:
                clouds.append(standing(sweep[there]))
                classes.append(NAMES.index(CLASSES[box.label]))
                groups.append(number)
        # Beside a labelled box a front view holds unlabelled things: only what the camera sees and no box names is background.
        camera = sweep[:, :3] @ to_camera[:3, :3].T + to_camera[:3, 3]
        seen = camera[:, 2] > np.abs(camera[:, 0])
        for segment in segments(sweep[free & seen], options):
            clouds.append(standing(segment))
            classes.append(NAMES.index(BACKGROUND))
            groups.append(number)
    drives = sweeps(("odometry", "raw"), context)
    found = [
        standing(segment)
        for start, stop in zip(drives.offsets, drives.offsets[1:])
        for segment in segments(np.column_stack([drives.xyz[start:stop], drives.features[start:stop]]), options)
    ]
    chosen = np.sort(Rng.root(context.seed).fork("segments").numpy().permutation(len(found))[: options.segments])
    clouds += [found[place] for place in chosen]
    classes += [-1] * len(chosen)
    groups += list(range(6, 6 + len(chosen)))
    offsets, xyz, features = pack(clouds)
    notes = (
        f"{few} boxes hold fewer than {options.least} points, {other} are of other classes; they are left out",
        f"{len(chosen)} of {len(found)} segments of unlabelled sweeps are trained on",
    )
    return CloudSet(
        "kitti_objects",
        offsets,
        xyz,
        features,
        ("intensity",),
        labels=np.array(classes, np.int64),
        classes=NAMES,
        groups=np.array(groups, np.int64),
        notes=notes,
    )


def segments(sweep: np.ndarray, options: KittiObjectOptions) -> list[np.ndarray]:
    """Clusters (p, 4) of what stands above the ground within reach, neither tiny nor a whole facade (12 m)."""
    near = sweep[np.hypot(sweep[:, 0], sweep[:, 1]) <= options.reach]
    if len(near) < options.least:
        return []
    xyz, offsets = torch.from_numpy(np.ascontiguousarray(near[:, :3])), torch.tensor([0, len(near)])
    low = ground(xyz, offsets, Rng.root(0), within=options.cleared).numpy()
    standing_up = near[~low]
    if len(standing_up) < options.least:
        return []
    kept = torch.from_numpy(np.ascontiguousarray(standing_up[:, :3]))
    name = clusters(kept, torch.tensor([0, len(kept)]), options.gap, 8, most=1000, cell=0.15).numpy()
    found = []
    for number in np.unique(name[name >= 0]):
        part = standing_up[name == number]
        if len(part) >= options.least and np.ptp(part[:, :3], axis=0).max() <= 12.0:
            found.append(part)
    return found


def standing(points: np.ndarray) -> np.ndarray:
    """x, y about the middle of the object, z above the ground under the sensor."""
    middle = (points[:, :2].min(0) + points[:, :2].max(0)) / 2
    moved: np.ndarray = points.astype(np.float64)
    moved[:, :2] -= middle
    moved[:, 2] += MOUNT
    return moved
