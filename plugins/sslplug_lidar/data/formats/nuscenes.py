"""nuScenes (Caesar et al. 2020): key-frame sweeps (.pcd.bin), lidarseg labels, poses and scenes from its JSON tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sslplug.contracts import unpacked
from sslplug.errors import DataError
from sslplug_lidar.data.formats.packed import records
from sslplug_lidar.spec import Sensor

CHANNELS = ("intensity", "ring")
HDL32 = Sensor(32, tuple(float(v) for v in np.deg2rad(np.linspace(-30.67, 10.67, 32))), 1084)
"""Nominal beams of the roof sensor."""
CLASSES = {
    "barrier": ("movable_object.barrier",),
    "bicycle": ("vehicle.bicycle",),
    "bus": ("vehicle.bus.bendy", "vehicle.bus.rigid"),
    "car": ("vehicle.car",),
    "construction vehicle": ("vehicle.construction",),
    "motorcycle": ("vehicle.motorcycle",),
    "pedestrian": (
        "human.pedestrian.adult",
        "human.pedestrian.child",
        "human.pedestrian.construction_worker",
        "human.pedestrian.police_officer",
    ),
    "traffic cone": ("movable_object.trafficcone",),
    "trailer": ("vehicle.trailer",),
    "truck": ("vehicle.truck",),
    "driveable surface": ("flat.driveable_surface",),
    "other flat": ("flat.other",),
    "sidewalk": ("flat.sidewalk",),
    "terrain": ("flat.terrain",),
    "manmade": ("static.manmade",),
    "vegetation": ("static.vegetation",),
}
"""The 16 classes of the lidarseg challenge by the names of its categories; all others are not judged."""


@dataclass(frozen=True)
class KeyFrame:
    """One labelled sweep: files, scene, number in the scene, and pose (4, 4) of the sensor in the city."""

    sweep: Path
    labels: Path | None
    scene: str
    time: int
    pose: np.ndarray


def read_nuscenes(path: Path) -> np.ndarray:
    """(p, 5) float32 x (right), y (forward), z (up), intensity 0..255, ring number."""
    return records(path, np.dtype(("<f4", 5)), "points")


def read_lidarseg(path: Path, points: int) -> np.ndarray:
    """(points,) int64 category numbers, one byte a point."""
    found = records(path, np.dtype("u1"), "labels")
    if len(found) != points:
        raise DataError(f"{path}: {len(found)} labels for {points} points of its sweep; expected as many.")
    return found.astype(np.int64)


def key_frames(root: Path, version: str) -> tuple[list[KeyFrame], np.ndarray]:
    """Key frames by scene and time, and (categories,) int64 number in CLASSES of each lidarseg category, -1: not judged."""
    named = {
        name: _table(root, version, name)
        for name in ("sample_data", "sample", "scene", "ego_pose", "calibrated_sensor", "sensor")
    }
    by_token = {name: {row["token"]: row for row in rows} for name, rows in named.items()}
    labels = {row["sample_data_token"]: root / row["filename"] for row in _table(root, version, "lidarseg", required=False)}
    frames = []
    for row in named["sample_data"]:
        mount = _row(by_token, "calibrated_sensor", row["calibrated_sensor_token"])
        if not row["is_key_frame"] or _row(by_token, "sensor", mount["sensor_token"])["channel"] != "LIDAR_TOP":
            continue
        scene = _row(by_token, "scene", _row(by_token, "sample", row["sample_token"])["scene_token"])["name"]
        pose = _matrix(_row(by_token, "ego_pose", row["ego_pose_token"])) @ _matrix(mount)
        frames.append(KeyFrame(root / row["filename"], labels.get(row["token"]), scene, int(row["timestamp"]), pose))
    if not frames:
        raise DataError(f"{root / version}: no key frame of LIDAR_TOP; is it a nuScenes release?")
    categories = [row for row in _table(root, version, "category") if "index" in row]
    number = np.full(max((row["index"] for row in categories), default=0) + 1, -1, np.int64)
    for place, members in enumerate(CLASSES.values()):
        for row in categories:
            if row["name"] in members:
                number[row["index"]] = place
    return sorted(frames, key=lambda frame: (frame.scene, frame.time)), number


def _table(root: Path, version: str, name: str, required: bool = True) -> list[dict[str, Any]]:
    path = root / version / f"{name}.json"
    if not path.is_file() and not required:
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(unpacked(path))
    except ValueError as error:
        raise DataError(f"{path}: no JSON ({error}); get the file again.") from error
    return rows


def _row(tables: dict[str, dict[str, dict[str, Any]]], name: str, token: str) -> dict[str, Any]:
    if token not in tables[name]:
        raise DataError(f"nuScenes: {name}.json has no row {token}, which another table names; the release is incomplete.")
    return tables[name][token]


def _matrix(row: dict[str, Any]) -> np.ndarray:
    """(4, 4) from a quaternion w, x, y, z and a translation."""
    w, x, y, z = np.array(row["rotation"], np.float64) / np.linalg.norm(row["rotation"])
    whole = np.eye(4)
    whole[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    whole[:3, 3] = row["translation"]
    return whole
