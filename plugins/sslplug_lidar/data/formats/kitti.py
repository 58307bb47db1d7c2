"""KITTI and SemanticKITTI: sweeps (.bin), point labels (.label), calibration, poses, and boxes (label_2).

Geiger et al. 2012; Behley et al. 2019. Sensor axes: x forward, y left, z up; camera axes: x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, finished, unpacked
from sslplug.errors import DataError
from sslplug_lidar.data.formats.packed import lines_of, records, records_of
from sslplug_lidar.spec import Sensor

HDL64 = Sensor(
    64,
    tuple(float(v) for v in np.deg2rad(np.concatenate([np.linspace(-24.33, -8.83, 32), np.linspace(-8.33, 2.0, 32)]))),
    2048,
)
"""Nominal beams of the sensor on KITTI's car: the upper half a third, the lower half of a degree apart."""
MOUNT = 1.73
"""Metres from the ground to that sensor."""
ROTATION = 0.02
"""How far R R^T of a pose may be from the unit matrix: published poses have few digits."""
JUMP = 100.0
"""Metres from one sweep to the next that no vehicle drives."""


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
    """See :func:`labels_of`; DataError with the first fault."""
    return finished(labels_of(path, points))


def labels_of(path: Path, points: int) -> Reading[np.ndarray]:
    """(points,) int64 semantic numbers: the lower half of each 32-bit word; the upper half numbers instances.

    Refused where there are more or fewer than points.
    """
    words = yield from records_of(path, np.dtype("<u4"), "labels")
    if len(words) != points:
        raise Refused(other_length(path, len(words), points))
    return (words & 0xFFFF).astype(np.int64)


def other_length(path: Path, labels: int, points: int) -> Faults:
    """The fault of labels that are not as many as points."""
    return Faults(
        "other-length",
        str(path),
        f"{labels} labels for {points} points of its sweep",
        "as many",
        "Are they of one sweep? Get both again.",
    )


def read_calibration(path: Path, name: str) -> np.ndarray:
    """(4, 4) float64 matrix ``name`` ("Tr", "Tr_velo_to_cam", "R0_rect"), with its last row added. DataError where it is none."""
    for number, line in enumerate(unpacked(path).decode("utf-8", "replace").splitlines(), 1):
        key, _, values = line.partition(":")
        if key.strip() == name:
            words = values.split()
            try:
                numbers = np.array(words, np.float64)
            except ValueError as error:
                raise Refused(_matrix(path, "not-a-number", str(error), name, number)) from error
            if len(numbers) not in (9, 12):
                raise Refused(_matrix(path, "other-size", f"{name} has {len(numbers)} numbers", name, number))
            if not np.isfinite(numbers).all():
                raise Refused(_matrix(path, "not-finite", f"{name} with NaN or infinity", name, number))
            whole = np.eye(4)
            whole[:3, : len(numbers) // 3] = numbers.reshape(3, -1)
            return whole
    raise Refused(_matrix(path, "no-matrix", f"no line {name}:", name, None))


def _matrix(path: Path, kind: str, found: str, name: str, line: int | None) -> Faults:
    return Faults(
        kind,
        str(path),
        found,
        f"12 numbers (3 x 4) or 9 (3 x 3) after {name}:",
        "Is it the calibration of this sequence?",
        None if line is None else [line],
        name,
    )


def read_poses(path: Path, calibration: np.ndarray | None, sweeps: int) -> np.ndarray:
    """See :func:`poses_of`; DataError with the first fault that is not harmless."""
    return finished(poses_of(path, calibration, sweeps))


def poses_of(path: Path, calibration: np.ndarray | None, sweeps: int) -> Reading[np.ndarray]:
    """(sweeps, 4, 4) float64: each sweep's coordinates into the first one's world; NaN where unknown.

    calibration  sensor to camera (``Tr``): the file's poses are the camera's; None: they are the sensor's own
    """
    rows, lines = yield from lines_of(path, 12, "a 3 x 4 matrix by rows")
    poses = np.tile(np.eye(4), (sweeps, 1, 1))
    there = min(len(rows), sweeps)
    poses[there:, :3] = np.nan
    poses[:there, :3] = rows[:there].reshape(-1, 3, 4)
    if len(rows) < sweeps:
        yield Faults(
            "missing-pose",
            str(path),
            f"{len(rows)} poses for {sweeps} sweeps",
            "one a sweep, in their order",
            f"The pose of sweep {len(rows)} is missing.",
            [len(rows) + 1],
        )
    elif len(rows) > sweeps:
        yield Faults(
            "more-poses",
            str(path),
            f"{len(rows)} poses for {sweeps} sweeps",
            "one a sweep, in their order",
            "The first ones are taken; are all sweeps there?",
            harmless=True,
        )
    lines = lines[:there]
    known = np.asarray(np.isfinite(poses[:there]).all((1, 2)))
    turn = poses[:there, :3, :3]
    with np.errstate(invalid="ignore"):
        apart = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
        mirrored = np.linalg.det(np.where(known[:, None, None], turn, 0.0)) < 0
        bent = np.asarray(known & ((apart > ROTATION) | mirrored))
    for kind, places, expected, mend, harmless in (
        ("unknown-pose", ~known, "12 finite numbers", "The sweep's motion counts as unknown.", True),
        ("not-a-rotation", bent, "a rotation in the first three columns", "Are they 3 x 4 by rows, in metres?", False),
    ):
        if places.any():
            yield Faults(
                kind,
                str(path),
                _shown(turn[places], poses[:there, :3, 3][places]),
                expected,
                mend,
                lines[places],
                harmless=harmless,
            )
    step = np.linalg.norm(np.diff(poses[:there, :3, 3], axis=0), axis=1)
    jump = np.concatenate([[False], step > JUMP]) if there else np.zeros(0, bool)
    if jump.any():
        yield Faults(
            "jump",
            str(path),
            lambda k: f"a step of {step[np.flatnonzero(jump)[k] - 1]:.6g} m",
            f"less than {JUMP:g} m from sweep to sweep",
            "Is a sweep missing, or another unit meant?",
            lines[jump],
            harmless=True,
        )
    if there > 1 and (step == 0).all():
        yield Faults(
            "no-motion", str(path), "one place for all sweeps", "poses that move", "Motion counts as none.", harmless=True
        )
    if calibration is None:
        return poses
    moved: np.ndarray = np.linalg.inv(calibration) @ poses @ calibration
    return moved


def _shown(turn: np.ndarray, shift: np.ndarray) -> Callable[[int], str]:
    def found(k: int) -> str:
        if not (np.isfinite(turn[k]).all() and np.isfinite(shift[k]).all()):
            return "NaN or infinity"
        return f"rows of length {np.round(np.linalg.norm(turn[k], axis=1), 3).tolist()}, determinant {np.linalg.det(turn[k]):.3g}"

    return found


def read_boxes(path: Path) -> list[Box]:
    """The boxes of a frame, "DontCare" left out."""
    boxes = []
    for number, line in enumerate(unpacked(path).decode("utf-8", "replace").splitlines(), 1):
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
