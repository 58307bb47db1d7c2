"""The lidar plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_lidar.data import (
    files,
    generated,
    kitti_objects,
    kitti_sweeps,
    lsood4,
    memory,
    nuscenes,
    radhar,
    scene_flow,
    semantic_kitti,
    shape_arrays,
    small_sets,
    street_from_kitti,
    sydney,
)
from sslplug_lidar.data.options import CloudOptions, SweepOptions

DATA: Mapping[str, Component] = MappingProxyType(
    {
        "objects": Component(
            generated.ObjectOptions,
            generated.build_objects,
            "generated: single things cut from simulated sweeps, eight classes",
        ),
        "street": Component(
            generated.StreetOptions,
            generated.build_street,
            "generated: drives through a city, consecutive sweeps with per-point classes, poses and flow",
        ),
        "lsood4": Component(CloudOptions, lsood4.build, "650 real objects cut from HDL-32E scans, four classes"),
        "radhar": Component(
            radhar.RadharOptions, radhar.build, "windows of radar points, five activities, published folders"
        ),
        "kitti_sweeps": Component(
            kitti_sweeps.KittiSweepOptions, kitti_sweeps.build, "11 consecutive real sweeps of two drives, poses of one"
        ),
        "kitti_objects": Component(
            kitti_objects.KittiObjectOptions,
            kitti_objects.build,
            "boxes of six labelled frames, segments of the KITTI sweeps to pretrain on",
        ),
        "street_from_kitti": Component(
            generated.StreetOptions,
            street_from_kitti.build,
            "the drives of street to be judged on, the real sweeps of kitti_sweeps alone to pretrain on",
        ),
        "scan_pair": Component(SweepOptions, small_sets.build_scan_pair, "two registered real scans"),
        "modelnet10_voxels": Component(
            small_sets.VoxelOptions, small_sets.build_voxels, "chairs and monitors of ModelNet10 as surface voxels"
        ),
        "geometric_shapes": Component(small_sets.ShapeOptions, small_sets.build_shapes, "synthetic meshes of 40 classes"),
        "semantic_kitti": Component(
            semantic_kitti.SemanticKittiOptions,
            semantic_kitti.build,
            "labelled drives, 19 point classes (published folders)",
        ),
        "nuscenes": Component(
            nuscenes.NuscenesOptions, nuscenes.build, "labelled key frames, 16 point classes (published release)"
        ),
        "modelnet40": Component(
            shape_arrays.ModelNetOptions, shape_arrays.build_modelnet, "sampled meshes of 40 classes (published arrays)"
        ),
        "scanobjectnn": Component(
            shape_arrays.ScanObjectOptions, shape_arrays.build_scanobject, "scanned objects of 15 classes (published arrays)"
        ),
        "sydney": Component(
            sydney.SydneyOptions, sydney.build, "Sydney Urban Objects, 14 classes, four folds (published files)"
        ),
        "kitti_scene_flow": Component(
            scene_flow.SceneFlowOptions, scene_flow.build, "pairs of clouds with flow (the two usual preparations)"
        ),
        "files": Component(
            files.FileOptions,
            files.build,
            "your own clouds: class folders, sweeps in order, or arrays",
            faults=files.faults,
        ),
        "memory": Component(memory.MemoryOptions, memory.build, "clouds in memory: a list of arrays (points, 3 + channels)"),
    }
)

__all__ = ["DATA"]
