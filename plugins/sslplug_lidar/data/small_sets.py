"""Small published sets: a registered pair of scans, ModelNet10's voxels of two classes, 40 geometric shapes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, PublishedSet, Split, unpacked
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data, no_tasks
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.off import parse_off, sampled
from sslplug_lidar.data.formats.packed import table
from sslplug_lidar.data.formats.ply import read_ply
from sslplug_lidar.data.formats.points import array_in
from sslplug_lidar.data.options import CloudOptions, SweepOptions
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.tasks import object_task, shares_by_class

SCAN_PAIR = {
    "T_target_source.txt": "2c053402ed7b40d6da353395e4ccb4e40ee5e7d44397ef06e4c61cd674204add",
    "source.ply.xz": "17f13cfc555f43dd0758c629dcc48fbbdc1985d37f1950e8fe78c0aec5145253",
    "target.ply.xz": "f6536ad11e5d74db61ce705fd8e28899a2d748621a27f6195dcdbaa68825c190",
}
VOXELS = {
    "chair.npy.gz": "cb33b51e8a5d65db881783fa19016d88e356ca33a7ca419e139520d086e38b69",
    "monitor.npy.gz": "c7b5028678ce848ec98ca5d36a8a1f1786420de119b0532f53972ac093d08230",
}
SHAPES = {"raw.zip": "fb5e5d132db7f871b415b6d9cb6e0fd258192ccb1aa64a172839146527c082dd"}


class VoxelOptions(CloudOptions):
    """ModelNet10's voxels."""

    points: int = Field(512, ge=0, description="at most so many surface voxels of a shape, drawn once; 0: all")
    val_share: float = Field(0.1, ge=0, lt=1, description="share of shapes for validation")
    test_share: float = Field(0.4, gt=0, lt=1, description="share of shapes held out for test")


class ShapeOptions(CloudOptions):
    """Geometric shapes."""

    samples: int = Field(1024, ge=8, description="points drawn on each mesh")
    copies: int = Field(4, ge=2, description="samplings of each mesh; the last one of a training mesh is for validation")


def build_scan_pair(options: SweepOptions, context: DataContext) -> CloudData:
    """Two scans and the motion between them: the source is the target's predecessor. Nothing is labelled."""
    motion, source, target = PublishedSet("registered scan pair", "lidar/scan_pair", SCAN_PAIR).proved(context)
    points = [read_ply(path)[0] for path in (source, target)]
    offsets, xyz, features = pack(points)
    poses = np.stack([table(motion, 4, "a 4 x 4 matrix"), np.eye(4)])
    clouds = CloudSet(
        "scan_pair",
        offsets,
        xyz,
        features,
        ("intensity",),
        before=np.array([-1, 0]),
        poses=poses,
        groups=np.zeros(2, np.int64),
    )
    return cloud_data(clouds, no_tasks, options, context)


def build_voxels(options: VoxelOptions, context: DataContext) -> CloudData:
    """Chairs and monitors as the surface voxels of 32^3 grids, unit sphere."""
    paths = PublishedSet("ModelNet10 voxels", "lidar/modelnet10_voxels", VOXELS).proved(context)
    shapes: list[np.ndarray] = []
    labels: list[int] = []
    for number, path in enumerate(paths):
        # Row 0 of each file is padding.
        grids = array_in(path, unpacked(path))[1:, 0] > 0
        shapes += [surface(grid) for grid in grids]
        labels += [number] * len(grids)
    offsets, xyz, features = pack(shapes)
    clouds = CloudSet(
        "modelnet10_voxels", offsets, xyz, features, labels=np.array(labels, np.int64), classes=("chair", "monitor")
    )

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.labels is not None  # made above
        split = shares_by_class(clouds.labels, options.val_share, options.test_share, rng)
        protocol = f"random {options.test_share:.0%} test of the published training shapes, two classes"
        return {"object": object_task(clouds, [split], protocol, drawn=True)}

    return cloud_data(centred(clouds, unit_sphere=True), tasks, options, context)


def surface(grid: np.ndarray) -> np.ndarray:
    """(p, 3) float64 places of the occupied voxels of a grid that touch an empty one by a face, or the border."""
    padded = np.pad(grid, 1)
    inner = padded[:-2, 1:-1, 1:-1] & padded[2:, 1:-1, 1:-1] & padded[1:-1, :-2, 1:-1]
    inner &= padded[1:-1, 2:, 1:-1] & padded[1:-1, 1:-1, :-2] & padded[1:-1, 1:-1, 2:]
    return np.argwhere(grid & ~inner).astype(np.float64)


def build_shapes(options: ShapeOptions, context: DataContext) -> CloudData:
    """40 classes of synthetic meshes, one to train and one to test each, sampled on the surface; unit sphere."""
    (path,) = PublishedSet("geometric shapes", "lidar/geometric_shapes", SHAPES).proved(context)
    rng = Rng.root(context.seed).fork("surface")
    made, labels, parts, classes = [], [], [], list[str]()
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".off"))
        for number, name in enumerate(names):
            _, kind, part, _ = name.split("/")
            if kind not in classes:
                classes.append(kind)
            corners, triangles = parse_off(f"{path}:{name}", archive.read(name).decode("ascii", "replace"))
            for copy in range(options.copies):
                made.append(sampled(corners, triangles, options.samples, rng.fork(number, copy).numpy()))
                labels.append(classes.index(kind))
                parts.append("test" if part == "test" else "val" if copy == options.copies - 1 else "train")
    offsets, xyz, features = pack(made)
    part_of = np.array(parts)
    clouds = CloudSet(
        "geometric_shapes",
        offsets,
        xyz,
        features,
        labels=np.array(labels, np.int64),
        classes=tuple(classes),
        splits=(Split(*(np.flatnonzero(part_of == part) for part in ("train", "val", "test"))),),
        protocol=f"published train and test meshes, {options.copies} samplings each, the last of a training mesh validates",
    )

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"object": object_task(clouds, clouds.splits, clouds.protocol)}

    return cloud_data(centred(clouds, unit_sphere=True), tasks, options, context)
