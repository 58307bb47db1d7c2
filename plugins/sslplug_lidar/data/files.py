"""A user's own clouds: a folder of classes with one file an object, a folder of sweeps in order, or arrays in one file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats import SUFFIXES, read_points
from sslplug_lidar.data.formats.kitti import read_calibration, read_labels, read_poses
from sslplug_lidar.data.formats.points import Cloud
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import in_order, object_task, point_task, shares_by_class, shares_by_group


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
    path = below_root(options.path, context)
    folders = path.is_dir() and any(child.is_dir() and not child.name.startswith(".") for child in path.iterdir())
    sweeps = options.layout == "sweeps" or (options.layout == "auto" and path.is_dir() and not folders)
    if sweeps:
        clouds = read_folder_of_sweeps(path, options, context)
    else:
        clouds = read_folder_of_objects(path) if path.is_dir() else read_file(path)
        if options.centre or options.unit_sphere:
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


def read_folder_of_objects(path: Path) -> CloudSet:
    """One class a folder, named by it; files of any supported kind, in subfolders too. Files of other kinds are left out."""
    kinds = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    clouds: list[Cloud] = []
    labels: list[int] = []
    files: list[Path] = []
    for number, folder in enumerate(kinds):
        found = sorted(file for file in folder.rglob("*") if file.is_file() and _readable(file))
        if not found:
            raise DataError(f"{folder}: no point file; expected {', '.join(SUFFIXES)} in each class's folder.")
        clouds += [read_points(file) for file in found]
        labels += [number] * len(found)
        files += found
    offsets, xyz, features, channels = _one_width(clouds, files)
    return CloudSet(
        path.name,
        offsets,
        xyz,
        features,
        channels,
        labels=np.array(labels, np.int64),
        classes=tuple(folder.name for folder in kinds),
        titles=tuple(map(str, files)),
    )


def read_folder_of_sweeps(path: Path, options: FileOptions, context: DataContext) -> CloudSet:
    """The folder's files by name."""
    files = sorted(file for file in path.iterdir() if file.is_file() and _readable(file)) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no point file; expected {', '.join(SUFFIXES)}.")
    offsets, xyz, features, channels = _one_width([read_points(file) for file in files], files)
    labels, classes = None, tuple[str, ...]()
    if options.labels is not None:
        folder = below_root(options.labels, context)
        labels = np.concatenate([_labels(folder, file, int(count)) for file, count in zip(files, np.diff(offsets))])
        names = np.unique(labels[labels >= 0])
        classes = tuple(f"class {name}" for name in names)
        labels = np.where(labels < 0, -1, np.searchsorted(names, labels))
    poses = None
    if options.poses is not None:
        calibration = None
        if options.calibration is not None:
            calibration = read_calibration(below_root(options.calibration, context), "Tr")
        poses = read_poses(below_root(options.poses, context), calibration, len(files))
    return CloudSet(
        path.name,
        offsets,
        xyz,
        features,
        channels,
        point_labels=labels,
        point_classes=classes,
        before=np.arange(len(files)) - 1 if options.consecutive and len(files) > 1 else None,
        poses=poses,
        titles=tuple(map(str, files)),
    )


def read_file(path: Path) -> CloudSet:
    """A ``.npz`` with ``data`` (n, p, 3 + f) or ``points`` (m, 3 + f) and ``offsets`` (n + 1,), and maybe ``label`` (n,); or a file
    of one cloud; or a ``.npy`` of (n, p, 3 + f)."""
    if path.suffix != ".npz":
        points, channels = _several(path)
        offsets, xyz, features = pack(points)
        return CloudSet(
            path.name, offsets, xyz, features, channels, titles=tuple(f"{path}, {i}" for i in range(len(points)))
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: no readable .npz ({error}); expected data, or points and offsets, and maybe label."
        ) from error
    if "data" in arrays and arrays["data"].ndim == 3:
        parts = list(arrays["data"])
    elif "points" in arrays and "offsets" in arrays and arrays["points"].ndim == 2:
        cuts = arrays["offsets"].astype(np.int64)
        if not len(cuts) or cuts[0] != 0 or cuts[-1] != len(arrays["points"]) or (np.diff(cuts) < 0).any():
            raise DataError(
                f"{path}: offsets do not cut {len(arrays['points'])} points; expected them to rise from 0 to that."
            )
        parts = np.split(arrays["points"], cuts[1:-1])
    else:
        told = ", ".join(f"{key} {value.shape}" for key, value in arrays.items())
        raise DataError(f"{path}: has {told}; expected data (n, p, 3 + f), or points (m, 3 + f) and offsets (n + 1,).")
    return from_arrays(str(path), parts, arrays.get("label"))


def from_arrays(name: str, parts: list[np.ndarray], label: np.ndarray | None) -> CloudSet:
    """Clouds given as arrays (p, 3 + f) of one width, and maybe a label each: whole numbers, or words."""
    for number, part in enumerate(parts):
        if part.ndim != 2 or part.shape[1] < 3 or part.dtype.kind not in "fiu":
            raise DataError(
                f"{name}, cloud {number}: an array {part.shape} {part.dtype}; expected (points, 3 or more) numbers."
            )
        if part.shape[1] != parts[0].shape[1]:
            raise DataError(
                f"{name}, cloud {number}: {part.shape[1]} columns; cloud 0 has {parts[0].shape[1]}. Give all alike."
            )
    offsets, xyz, features = pack(parts)
    labels, classes = None, tuple[str, ...]()
    if label is not None:
        label = np.asarray(label).reshape(-1)
        if len(label) != len(parts):
            raise DataError(f"{name}: {len(label)} labels for {len(parts)} clouds; expected as many.")
        known = label >= 0 if label.dtype.kind in "iu" else label != ""
        names, codes = np.unique(label[known], return_inverse=True)
        labels = np.full(len(label), -1, np.int64)
        labels[known] = codes
        classes = tuple(str(value) for value in names)
    width = features.shape[1]
    channels = ("intensity",) if width == 1 else tuple(f"feature {number}" for number in range(width))
    titles = tuple(f"{name}, cloud {number}" for number in range(len(parts)))
    return CloudSet(name, offsets, xyz, features, channels, labels=labels, classes=classes, titles=titles)


def _several(path: Path) -> tuple[list[np.ndarray], tuple[str, ...]]:
    if path.name.endswith(".npy"):
        try:
            found = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(f"{path}: no readable .npy array ({error}); save one with numpy.save.") from error
        if found.ndim == 3:
            made = from_arrays(str(path), list(found), None)
            return list(found), made.channels
    points, channels = read_points(path)
    return [points], channels


def _one_width(clouds: list[Cloud], files: list[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    channels = clouds[0][1]
    for (_, found), file in zip(clouds, files):
        if found != channels:
            raise DataError(
                f"{file}: columns x, y, z, {', '.join(found) or '(no more)'}; {files[0].name} has x, y, z, "
                f"{', '.join(channels) or '(no more)'}. All files must have the same columns."
            )
    return (*pack([points for points, _ in clouds]), channels)


def _labels(folder: Path, file: Path, points: int) -> np.ndarray:
    stem = file.name
    for suffix in (".xz", ".gz", *SUFFIXES):
        stem = stem.removesuffix(suffix)
    if (folder / f"{stem}.label").is_file():
        return read_labels(folder / f"{stem}.label", points)
    path = folder / f"{stem}.npy"
    if not path.is_file():
        raise UsageError(f"{folder}: no {stem}.label or {stem}.npy for {file.name}; give one file of labels a sweep.")
    found: np.ndarray = np.load(path, allow_pickle=False)
    if found.shape != (points,) or found.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {found.shape} {found.dtype}; expected ({points},) whole numbers, one a point of {file.name}."
        )
    return found.astype(np.int64)


def _readable(file: Path) -> bool:
    name = file.name.removesuffix(".xz").removesuffix(".gz").lower()
    return not name.startswith(".") and name.endswith(SUFFIXES)
