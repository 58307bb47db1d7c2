"""ModelNet40 and ScanObjectNN as their releases store them: arrays ``data`` (n, p, 3) and ``label`` (n,) in .h5 or .npz files."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Split, plain_arrays
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.data.published import below_root
from sslplug_lidar.tasks import object_task

SCAN_CLASSES = (
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table", "bed", "pillow", "sink", "sofa", "toilet",
)  # fmt: skip
VARIANTS = {
    "OBJ-BG": ("main_split", ""),
    "OBJ-ONLY": ("main_split_nobg", ""),
    "PB-T50-RS": ("main_split", "_augmentedrot_scale75"),
}
"""ScanObjectNN's three sets: the folder and what the file names end in."""


class ArrayOptions(CloudOptions):
    """Shapes as arrays."""

    first: int = Field(1024, ge=0, description="only the first so many points of each shape, as is usual; 0: all")
    unit_sphere: bool = Field(True, description="scale each shape to the unit sphere")
    val_share: float = Field(0.1, ge=0, lt=1, description="share of the training shapes to choose by, stratified")


class ModelNetOptions(ArrayOptions):
    """ModelNet40."""

    folder: Path = Field(
        Path("lidar/modelnet40_ply_hdf5_2048"), description="folder of ply_data_train*.h5 and ply_data_test*.h5"
    )


class ScanObjectOptions(ArrayOptions):
    """ScanObjectNN."""

    folder: Path = Field(Path("lidar/scanobjectnn/h5_files"), description="folder that holds main_split and main_split_nobg")
    variant: Literal["OBJ-BG", "OBJ-ONLY", "PB-T50-RS"] = Field("PB-T50-RS", description="which of the three sets")
    first: int = Field(2048, ge=0, description="only the first so many points of each shape; 0: all")


def build_modelnet(options: ModelNetOptions, context: DataContext) -> CloudData:
    """40 classes; the published test files test."""
    folder = below_root(options.folder, context)
    train, test = (
        sorted(folder.glob(f"ply_data_{part}*.h5")) or sorted(folder.glob(f"ply_data_{part}*.npz"))
        for part in ("train", "test")
    )
    names = folder / "shape_names.txt"
    classes = tuple(names.read_text().split()) if names.is_file() else tuple(f"class {number}" for number in range(40))
    return _shapes("ModelNet40", train, test, folder, classes, options, context)


def build_scanobject(options: ScanObjectOptions, context: DataContext) -> CloudData:
    """15 classes; the published test file tests."""
    place, end = VARIANTS[options.variant]
    folder = below_root(options.folder, context) / place
    train, test = (
        [path for suffix in (".h5", ".npz") if (path := folder / f"{part}_objectdataset{end}{suffix}").is_file()][:1]
        for part in ("training", "test")
    )
    return _shapes(f"ScanObjectNN {options.variant}", train, test, folder, SCAN_CLASSES, options, context)


def _shapes(
    name: str,
    train: Sequence[Path],
    test: Sequence[Path],
    folder: Path,
    classes: tuple[str, ...],
    options: ArrayOptions,
    context: DataContext,
) -> CloudData:
    if not train or not test:
        raise DataError(
            f"{folder}: {len(train)} training and {len(test)} test files of {name}; expected the published .h5 (or .npz)."
        )
    parts = [[read_arrays(path, len(classes)) for path in files] for files in (train, test)]
    shapes = [cloud[: options.first or None] for files in parts for points, _ in files for cloud in points]
    labels = np.concatenate([label for files in parts for _, label in files])
    count = sum(len(label) for _, label in parts[0])
    offsets, xyz, features = pack(shapes)
    # The files' second axis points up.
    xyz = np.ascontiguousarray(xyz[:, [2, 0, 1]])
    rng = Rng.root(context.seed)
    chosen = [
        rng.fork("val", int(value)).numpy().permutation(np.flatnonzero(labels[:count] == value))
        for value in np.unique(labels[:count])
    ]
    val = np.sort(np.concatenate([rows[: round(options.val_share * len(rows))] for rows in chosen]))
    clouds = CloudSet(
        name,
        offsets,
        xyz,
        features,
        labels=labels,
        classes=classes,
        splits=(Split(np.setdiff1d(np.arange(count), val), val, np.arange(count, len(labels))),),
        protocol=f"published train and test files, first {options.first or 'all'} points",
    )

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"object": object_task(clouds, clouds.splits, clouds.protocol)}

    return cloud_data(centred(clouds, options.unit_sphere), tasks, options, context)


def read_arrays(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, p, 3) points and (n,) int64 labels of a .h5 (through h5py, which is optional) or .npz file."""
    if path.suffix == ".h5":
        try:
            h5py = importlib.import_module("h5py")
        except ImportError as error:
            raise UsageError(
                f"{path}: .h5 needs h5py, which is not installed; run `pip install h5py`, or save data and label as .npz."
            ) from error
        try:
            with h5py.File(path) as file:
                arrays = {key: np.asarray(file[key]) for key in ("data", "label") if key in file}
        except OSError as error:
            raise DataError(f"{path}: no readable .h5 file ({error}); get it again.") from error
    else:
        held = plain_arrays(path, "arrays data and label")
        arrays = {key: held[key] for key in ("data", "label") if key in held}
    if len(arrays) < 2:
        raise DataError(f"{path}: has {', '.join(arrays) or 'neither'} of data and label; expected both.")
    points, label = arrays["data"], arrays["label"].reshape(-1).astype(np.int64)
    if points.ndim != 3 or points.shape[2] < 3 or points.dtype.kind not in "fiu":
        raise DataError(f"{path}: data is {points.shape} {points.dtype}; expected (shapes, points, 3) numbers.")
    if len(label) != len(points):
        raise DataError(f"{path}: {len(label)} labels for {len(points)} shapes; expected as many.")
    bad = np.flatnonzero((label < 0) | (label >= classes))
    if len(bad):
        raise DataError(f"{path}, shape {bad[0]}: label {label[bad[0]]}; expected 0..{classes - 1}.")
    return points[:, :, :3], label
