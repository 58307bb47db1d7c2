"""A user's own clouds: a folder of classes with one file an object, a folder of sweeps in order, or arrays in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Fault, Reading, finished, listed, unpacked
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.formats.points import array_in
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.data.own_arrays import archive_of, arrays_of
from sslplug_lidar.data.own_folders import folder_of_objects, folder_of_sweeps
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import in_order, object_task, point_task, shares_by_class, shares_by_group

SAID_LATER = ("not-finite", "no-point", "one-place")
"""Kinds of faults that :mod:`sslplug_lidar.data.prepare` says of every set."""


class FileOptions(SweepOptions):
    """Where the clouds are and how they lie there."""

    path: Path = Field(description="folder of class folders, folder of sweeps, one point file, or a .npz / .npy of arrays")
    layout: Literal["auto", "objects", "sweeps"] = Field(
        "auto", description="objects: a folder a class; sweeps: files in order; auto: by whether there are folders"
    )
    consecutive: bool = Field(True, description="sweeps: each file follows the one before; false: they are strangers")
    labels: Path | None = Field(
        None, description="sweeps: folder of .label or .npy files named as the sweeps; none: no task"
    )
    poses: Path | None = Field(None, description="sweeps: a text file, 12 numbers a sweep (3 x 4 by rows); none: unknown")
    calibration: Path | None = Field(None, description="sweeps: KITTI's calib.txt, where the poses are the camera's")
    centre: bool = Field(True, description="objects and arrays: each cloud about its own centroid")
    unit_sphere: bool = Field(False, description="objects and arrays: also scaled to the unit sphere")
    val_share: float = Field(0.2, ge=0, lt=1, description="share of the labelled clouds for validation")
    test_share: float = Field(0.2, gt=0, lt=1, description="share of the labelled clouds held out for test")


def build(options: FileOptions, context: DataContext) -> CloudData:
    """The clouds at ``path``. Where an earlier run's ``fitted`` is given, they are only encoded: no task is made."""
    notes: list[str] = []
    clouds = finished(_said_once(reading(options, context)), notes)
    clouds = replace(clouds, notes=(*notes, *clouds.notes))
    if not _sweeps(options, below_root(options.path, context)) and (options.centre or options.unit_sphere):
        clouds = centred(clouds, options.unit_sphere)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        if context.fitted is not None:
            return {}
        shares, told = (options.val_share, options.test_share), f"random {options.test_share:.0%} test"
        if clouds.labels is not None and (clouds.labels >= 0).any():
            split = shares_by_class(clouds.labels, *shares, rng)
            return {"object": object_task(clouds, [split], f"{told}, stratified", drawn=True)}
        if clouds.point_labels is not None:
            if clouds.before is not None:
                split, told = in_order(len(clouds.lengths), *shares), f"the last {options.test_share:.0%} of the drive test"
                return {"point": point_task(clouds, [split], options.judged, told, rng)}
            split = shares_by_group(np.arange(len(clouds.lengths)), *shares, rng)
            return {"point": point_task(clouds, [split], options.judged, f"{told} of the sweeps", rng, drawn=True)}
        return {}

    return cloud_data(clouds, tasks, options, context)


def faults(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a user's own clouds."""
    return listed(reading(options, context))


def reading(options: FileOptions, context: DataContext) -> Reading[CloudSet]:
    """The clouds at ``path``, as they lie there."""
    path = below_root(options.path, context)
    if _sweeps(options, path):
        beside = (options.labels, options.poses, options.calibration)
        labels, poses, calibration = (None if one is None else below_root(one, context) for one in beside)
        return (yield from folder_of_sweeps(path, labels, poses, calibration, options.consecutive))
    if path.is_dir():
        return (yield from folder_of_objects(path))
    if path.suffix == ".npz":
        return (yield from archive_of(path))
    if path.suffix == ".npy" and (several := array_in(path, unpacked(path))).ndim == 3:
        return (yield from arrays_of(str(path), list(several), None))
    return (yield from folder_of_sweeps(path, None, None, None, consecutive=False))


def _said_once(whole: Reading[CloudSet]) -> Reading[CloudSet]:
    """The reading without the harmless faults that the preparation of every set counts and says."""
    while True:
        try:
            found = next(whole)
        except StopIteration as end:
            clouds: CloudSet = end.value
            return clouds
        if found.kind not in SAID_LATER:
            yield found


def _sweeps(options: FileOptions, path: Path) -> bool:
    if options.layout != "auto":
        return options.layout == "sweeps"
    return path.is_dir() and not any(child.is_dir() and not child.name.startswith(".") for child in path.iterdir())
