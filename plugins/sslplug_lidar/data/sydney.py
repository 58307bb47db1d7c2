"""Sydney Urban Objects (Quadros et al.): single objects of an HDL-64E, 14 classes, four published folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Split, unpacked
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.packed import records
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import object_task

RECORD = np.dtype(
    [
        ("t", "<i8"),
        ("intensity", "u1"),
        ("laser", "u1"),
        *[(name, "<f4") for name in ("x", "y", "z", "azimuth", "range")],
        ("id", "<i4"),
    ]
)
"""34 bytes a point, without padding."""
CLASSES = (
    "4wd", "building", "bus", "car", "pedestrian", "pillar", "pole", "traffic_lights", "traffic_sign", "tree", "truck", "trunk",
    "ute", "van",
)  # fmt: skip
FOLDS = 4


class SydneyOptions(CloudOptions):
    """Which fold."""

    folder: Path = Field(
        Path("lidar/sydney"), description="folder that holds objects/ and folds/, here or below the data root"
    )
    fold: int = Field(0, ge=0, lt=FOLDS, description="the fold that tests; the next one validates, the other two train")


def build(options: SydneyOptions, context: DataContext) -> CloudData:
    """One published fold tests and is never trained on; metric size is kept."""
    clouds = read_folds(below_root(options.folder, context), options.fold)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"object": object_task(clouds, clouds.splits, clouds.protocol)}

    return cloud_data(centred(clouds), tasks, options, context)


def read_folds(root: Path, fold: int) -> CloudSet:
    """The objects of the four folds, in the folds' order. A class is the first word of a file's name."""
    clouds, labels, folds, titles = [], [], [], list[str]()
    for number in range(FOLDS):
        listed = root / "folds" / f"fold{number}.txt"
        for place, line in enumerate(unpacked(listed).decode("utf-8", "replace").splitlines(), 1):
            name = Path(line.strip()).name.removesuffix(".bin").removesuffix(".csv")
            if not name:
                continue
            kind = name.split(".")[0]
            if kind not in CLASSES:
                raise DataError(f"{listed}, line {place}: class {kind!r}; expected one of {', '.join(CLASSES)}.")
            if name in titles:
                raise DataError(f"{listed}, line {place}: {name} is in two folds; each object belongs to one.")
            found = records(root / "objects" / f"{name}.bin", RECORD, "points")
            clouds.append(np.stack([found["x"], found["y"], found["z"], found["intensity"] / np.float32(255)], 1))
            labels.append(CLASSES.index(kind))
            folds.append(number)
            titles.append(name)
    offsets, xyz, features = pack(clouds)
    of = np.array(folds)
    after = (fold + 1) % FOLDS
    parts = (np.flatnonzero((of != fold) & (of != after)), np.flatnonzero(of == after), np.flatnonzero(of == fold))
    return CloudSet(
        "Sydney Urban Objects",
        offsets,
        xyz,
        features,
        ("intensity",),
        labels=np.array(labels, np.int64),
        classes=CLASSES,
        splits=(Split(*parts),),
        protocol=f"published fold {fold} tests, fold {after} validates",
        titles=tuple(titles),
    )
