"""LSOOD, four classes of objects cut from real HDL-32E scans (Tian et al. 2020), in the order in which they were recorded."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sslplug.contracts import DataContext, PublishedSet, unpacked
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.tasks import in_order_within_class, object_task

DIGESTS = {"lsood4.csv.xz": "12c64e31f1e8d00679ca158d0f86fd8e1435b9959c164be1181ae21b52636c7a"}
CLASSES = {"Bush": "bush", "Car": "car", "Pedestrian": "pedestrian", "Trunk": "pole"}
UNIT = 0.2
"""Metres of the files' unit, which is not documented: with it pedestrians are 1.7 m, cars 1.5 m tall, the sensor 1.8 m up."""
HEAD = ["file", "origin_x", "origin_y", "origin_z", "relative_x", "relative_y", "relative_z"]


def build(options: CloudOptions, context: DataContext) -> CloudData:
    """Split by order within each class, as neighbours are often one thing in two frames: 60 % train, 10 % val, 30 % test."""
    (path,) = PublishedSet("LSOOD, 4 classes", "lidar/lsood4", DIGESTS).proved(context)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.labels is not None  # read_objects gives them
        split = in_order_within_class(clouds.labels, 0.6, 0.1)
        return {"object": object_task(clouds, [split], "60/10/30 % by order within class, duplicates dropped")}

    return cloud_data(read_objects(path), tasks, options, context)


def read_objects(path: Path) -> CloudSet:
    """Objects by class and number. x, y are about the middle of the object, z counts from its lowest point, up.

    An object whose points repeat an earlier one's is left out, and noted: 74 do, half of them under another note of how complex
    they are, and one of them under another class, where the first in order of class and number stays.
    """
    lines = csv.reader(io.StringIO(unpacked(path).decode()))
    head = next(lines, [])
    if head[: len(HEAD)] != HEAD:
        raise DataError(f"{path}: columns {', '.join(head)}; expected {', '.join(HEAD)}, ...")
    rows: dict[str, list[list[str]]] = {}
    for number, row in enumerate(lines, 2):
        if len(row) < len(HEAD) or row[0].split("/")[0] not in CLASSES:
            raise DataError(
                f"{path}, line {number}: {row[:1]}; expected a file of {', '.join(CLASSES)} and six coordinates."
            )
        rows.setdefault(row[0], []).append(row[4:7])
    names = sorted(rows, key=lambda name: (name.split("/")[0], int("".join(filter(str.isdigit, name.split("/")[1])))))
    seen: set[str] = set()
    kept, clouds = [], []
    for name in names:
        x, y, z = np.array(rows[name], np.float64).T * UNIT
        points = np.stack([z, x, y], 1)  # the files' second axis points up
        points -= [*((points[:, :2].min(0) + points[:, :2].max(0)) / 2), points[:, 2].min()]
        digest = hashlib.sha256(np.round(points, 6).tobytes()).hexdigest()
        if digest not in seen:
            seen.add(digest)
            kept.append(name)
            clouds.append(points)
    offsets, xyz, features = pack(clouds)
    labels = np.array([list(CLASSES).index(name.split("/")[0]) for name in kept], np.int64)
    notes = (
        f"{len(names) - len(kept)} of {len(names)} objects repeat an earlier one and are left out",
        f"the files' unit is taken for {UNIT} m",
    )
    return CloudSet(
        "lsood4", offsets, xyz, features, labels=labels, classes=tuple(CLASSES.values()), titles=tuple(kept), notes=notes
    )
