"""KITTI scene flow as its two usual preparations store it: pairs of clouds with the flow of the first one's points.

``occluded`` (FlowNet3D's, Liu et al. 2019): a folder of .npz files with pos1 (a, 3), pos2 (b, 3) and gt (a, 3).
``matched`` (HPLFlowNet's, Gu et al. 2019): a folder a pair with pc1.npy and pc2.npy (a, 3); point i moves to point i.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, plain_arrays
from sslplug.errors import DataError
from sslplug_lidar.data.assemble import cloud_data, no_tasks
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.points import read_points
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.data.published import below_root

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]


class SceneFlowOptions(SweepOptions):
    """Which preparation."""

    folder: Path = Field(Path("lidar/kitti_scene_flow"), description="folder of the pairs, here or below the data root")
    style: Literal["occluded", "matched"] = Field("occluded", description="FlowNet3D's .npz files or HPLFlowNet's folders")
    ground: float | None = Field(None, description="leave out points lower than this, metres; published: -1.4")


def build(options: SceneFlowOptions, context: DataContext) -> CloudData:
    """The pairs; scene flow is measured, not classified."""
    return cloud_data(read_pairs(below_root(options.folder, context), options), no_tasks, options, context)


def read_pairs(folder: Path, options: SceneFlowOptions) -> CloudSet:
    """Each pair as two clouds, the second naming the first as its predecessor; flow at the first one's points.

    The files' second axis points up and their third forward; here x is forward, z up.
    """
    pattern = "*.npz" if options.style == "occluded" else "*/pc1.npy"
    files = sorted(folder.glob(pattern))
    if not files:
        raise DataError(f"{folder}: no {pattern}; expected the {options.style} preparation of KITTI scene flow.")
    clouds, flows, titles = [], [], list[str]()
    for path in files:
        first, second, flow = _occluded(path) if options.style == "occluded" else _matched(path)
        if options.ground is not None:
            high = first[:, 2] >= options.ground
            first, flow, second = first[high], flow[high], second[second[:, 2] >= options.ground]
        clouds += [first, second]
        flows += [flow, np.full(second.shape, np.nan)]
        titles += [f"{path} (first)", f"{path} (second)"]
    offsets, xyz, features = pack(clouds)
    number = np.arange(len(clouds))
    return CloudSet(
        f"KITTI scene flow ({options.style})",
        offsets,
        xyz,
        features,
        before=np.where(number % 2, number - 1, -1),
        flow=np.concatenate(flows).astype(np.float32),
        groups=number // 2,
        titles=tuple(titles),
    )


def _occluded(path: Path) -> Pair:
    held = plain_arrays(path, "pos1, pos2 and gt")
    arrays = {key: held[key] for key in ("pos1", "pos2", "gt") if key in held}
    if len(arrays) < 3:
        raise DataError(f"{path}: has {', '.join(arrays) or 'none'} of pos1, pos2 and gt; expected all three.")
    first, second, flow = (_upright(path, arrays[key]) for key in ("pos1", "pos2", "gt"))
    if len(flow) != len(first):
        raise DataError(f"{path}: {len(flow)} flow vectors for {len(first)} points of pos1; expected as many.")
    return first, second, flow


def _matched(path: Path) -> Pair:
    first, second = (_upright(path, read_points(path.with_name(name))[0]) for name in ("pc1.npy", "pc2.npy"))
    if len(first) != len(second):
        raise DataError(
            f"{path.parent}: pc1 has {len(first)}, pc2 {len(second)} points; expected as many, point i moves to point i."
        )
    return first, second, second - first


def _upright(path: Path, values: np.ndarray) -> np.ndarray:
    if values.ndim != 2 or values.shape[1] != 3:
        raise DataError(f"{path}: an array {values.shape}; expected (points, 3).")
    return values[:, [2, 0, 1]].astype(np.float64)
