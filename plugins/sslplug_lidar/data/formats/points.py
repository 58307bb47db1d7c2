"""One cloud from one file, by its suffix."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sslplug.errors import DataError, UsageError
from sslplug_lidar.data.formats.kitti import read_sweep
from sslplug_lidar.data.formats.las import read_las
from sslplug_lidar.data.formats.nuscenes import CHANNELS, read_nuscenes
from sslplug_lidar.data.formats.off import read_off, sampled
from sslplug_lidar.data.formats.packed import read_bytes, table
from sslplug_lidar.data.formats.ply import read_ply

Cloud = tuple[np.ndarray, tuple[str, ...]]


def read_points(path: Path) -> Cloud:
    """(p, 3 + f) x, y, z and features, and the names of the f channels.

    ``.bin`` is KITTI's (x, y, z, reflectance), ``.pcd.bin`` nuScenes' (with ring), ``.npy`` holds a (p, 3 + f) array, ``.xyz``,
    ``.txt`` and ``.csv`` are lines of numbers. All may be packed (.xz, .gz).
    """
    name = path.name.removesuffix(".xz").removesuffix(".gz").lower()
    for suffix, read in _READERS.items():
        if name.endswith(suffix):
            points, channels = read(path)
            if points.ndim != 2 or points.shape[1] < 3:
                raise DataError(f"{path}: an array {points.shape}; expected (points, 3 or more columns): x, y, z, features.")
            return points, channels
    raise UsageError(f"{path}: expected one of {', '.join(_READERS)} (maybe .xz or .gz).")


def _kitti(path: Path) -> Cloud:
    return read_sweep(path), ("intensity",)


def _nuscenes(path: Path) -> Cloud:
    return read_nuscenes(path), CHANNELS


def _array(path: Path) -> Cloud:
    try:
        points = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: no readable .npy array ({error}); save one with numpy.save.") from error
    if points.dtype.kind not in "fiu":
        raise DataError(f"{path}: an array of {points.dtype}; expected numbers.")
    return points, _numbered(points)


def _text(path: Path) -> Cloud:
    first = next((line for line in read_bytes(path).decode("utf-8", "replace").splitlines() if line.strip()), "")
    points = table(path, max(len(first.replace(",", " ").split()), 3), "x, y, z, features")
    return points, _numbered(points)


def _mesh(path: Path) -> Cloud:
    corners, triangles = read_off(path)
    return sampled(corners, triangles, 1024, np.random.Generator(np.random.Philox(key=0))), ()


def _numbered(points: np.ndarray) -> tuple[str, ...]:
    extra = points.shape[1] - 3 if points.ndim == 2 else 0
    return ("intensity",) if extra == 1 else tuple(f"feature {number}" for number in range(extra))


_READERS: dict[str, Callable[[Path], Cloud]] = {
    ".pcd.bin": _nuscenes,
    ".bin": _kitti,
    ".ply": read_ply,
    ".npy": _array,
    ".las": read_las,
    ".laz": read_las,
    ".off": _mesh,
    ".xyz": _text,
    ".txt": _text,
    ".csv": _text,
}
SUFFIXES = tuple(_READERS)
