"""KITTI and SemanticKITTI: sweeps (.bin), point labels (.label), calibration, poses, and boxes (label_2).

Geiger et al. 2012; Behley et al. 2019. Sensor axes: x forward, y left, z up; camera axes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.errors import DataError
from sslplug_lidar.data.formats.packed import read_bytes, records, table
from sslplug_lidar.spec import Sensor

HDL64 = Sensor(
    64,
    tuple(float(v) for v in np.deg2rad(np.concatenate([np.linspace(-24.33, -8.83, 32), np.linspace(-8.33, 2.0, 32)]))),
    2048,
)
"""Nominal beams of the sensor on KITTI's car: the upper half a third, the lower half of a degree apart."""
MOUNT = 1.73
"""Metres from the ground to that sensor."""


@dataclass(frozen=True)
class Box:
    """A labelled box: class, (x, y, z) of its bottom's middle in camera axes, height, width, length, turn about camera y."""

    label: str
    bottom: np.ndarray
    size: np.ndarray
    turn: float


def read_sweep(path: Path) -> np.ndarray:
    """(p, 4) float32 x, y, z, reflectance."""
    return records(path, np.dtype(("<f4", 4)), "points")


def read_labels(path: Path, points: int) -> np.ndarray:
    """(points,) int64 semantic numbers: the lower half of each 32-bit word; the upper half numbers instances."""
    words = records(path, np.dtype("<u4"), "labels")
    if len(words) != points:
        raise DataError(
            f"{path}: {len(words)} labels for {points} points of its sweep; expected as many. Are they of one sweep?"
        )
    return (words & 0xFFFF).astype(np.int64)


def read_calibration(path: Path, name: str) -> np.ndarray:
    """(4, 4) float64 matrix ``name`` ("Tr", "Tr_velo_to_cam", "R0_rect"), with its last row added."""
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        key, _, values = line.partition(":")
        if key.strip() == name:
            numbers = np.array(values.split(), np.float64)
            if len(numbers) not in (9, 12):
                raise DataError(f"{path}: {name} has {len(numbers)} numbers; expected 12 (3 x 4) or 9 (3 x 3).")
            whole = np.eye(4)
            whole[:3, : len(numbers) // 3] = numbers.reshape(3, -1)
            return whole
    raise DataError(f"{path}: no line {name}:; is it the calibration of this sequence?")


def read_poses(path: Path, calibration: np.ndarray | None, sweeps: int) -> np.ndarray:
    """(sweeps, 4, 4) float64: each sweep's coordinates into the first one's world.

    calibration  sensor to camera (``Tr``): the file's poses are the camera's; None: they are the sensor's own
    """
    rows = table(path, 12, "a 3 x 4 matrix by rows")
    if len(rows) < sweeps:
        raise DataError(f"{path}: {len(rows)} poses for {sweeps} sweeps; the pose of sweep {len(rows)} is missing.")
    poses = np.tile(np.eye(4), (sweeps, 1, 1))
    poses[:, :3] = rows[:sweeps].reshape(-1, 3, 4)
    if calibration is None:
        return poses
    moved: np.ndarray = np.linalg.inv(calibration) @ poses @ calibration
    return moved


def read_boxes(path: Path) -> list[Box]:
    """The boxes of a frame, "DontCare" left out."""
    boxes = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words or words[0] == "DontCare":
            continue
        if len(words) < 15:
            raise DataError(f"{path}, line {number}: {len(words)} words; expected 15 (type ... rotation_y).")
        try:
            values = np.array(words[8:15], np.float64)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}; expected numbers after the type.") from error
        boxes.append(Box(words[0], values[3:6], values[:3], float(values[6])))
    return boxes


def inside(box: Box, sweep: np.ndarray, to_camera: np.ndarray, room: float = 0.1) -> np.ndarray:
    """(p,) bool: which points of a sweep are within a box, ``room`` metres wider on each side."""
    camera = sweep[:, :3].astype(np.float64) @ to_camera[:3, :3].T + to_camera[:3, 3] - box.bottom
    cos, sin = np.cos(box.turn), np.sin(box.turn)
    along, across = cos * camera[:, 0] - sin * camera[:, 2], sin * camera[:, 0] + cos * camera[:, 2]
    height, width, length = box.size
    up = -camera[:, 1]
    found: np.ndarray = (
        (np.abs(along) <= length / 2 + room) & (np.abs(across) <= width / 2 + room) & (up >= -room) & (up <= height + room)
    )
    return found
