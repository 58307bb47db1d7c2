"""One cloud from one file, by its suffix."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, finished, unpacked
from sslplug.errors import UsageError
from sslplug_lidar.data.formats.las import read_las
from sslplug_lidar.data.formats.nuscenes import CHANNELS
from sslplug_lidar.data.formats.off import read_off, sampled
from sslplug_lidar.data.formats.packed import lines_of, records_of
from sslplug_lidar.data.formats.ply import ply_of

Cloud = tuple[np.ndarray, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Points:
    """(p, 3 + f) x, y, z and features of a file, names of the f channels, and the (p,) row of each point, counted from 1."""

    file: str
    values: np.ndarray
    channels: tuple[str, ...]
    rows: np.ndarray


def read_points(path: Path) -> Cloud:
    """(p, 3 + f) x, y, z and features, and the names of the f channels, see :func:`points_of`. DataError with the first fault."""
    points = finished(points_of(path))
    return points.values, points.channels


def points_of(path: Path) -> Reading[Points]:
    """The cloud of one file.

    ``.bin`` is KITTI's (x, y, z, reflectance), ``.pcd.bin`` nuScenes' (with ring), ``.npy`` holds a (p, 3 + f) array, ``.xyz``,
    ``.txt`` and ``.csv`` are lines of numbers. All may be packed (.xz, .gz). Rows that are damaged are told and left out.
    """
    name = path.name.removesuffix(".xz").removesuffix(".gz").lower()
    for suffix, read in _READERS.items():
        if name.endswith(suffix):
            points = yield from read(path)
            if points.values.ndim != 2 or points.values.shape[1] < 3:
                raise Refused(
                    Faults(
                        "few-columns",
                        str(path),
                        f"an array {points.values.shape}",
                        "(points, 3 or more columns): x, y, z, features",
                        "Write it so.",
                    )
                )
            return points
    raise UsageError(f"{path}: expected one of {', '.join(_READERS)} (maybe .xz or .gz).")


def _counted(path: Path, values: np.ndarray, channels: tuple[str, ...]) -> Points:
    return Points(str(path), values, channels, np.arange(1, len(values) + 1))


def _kitti(path: Path) -> Reading[Points]:
    flat = yield from records_of(path, np.dtype(("<f4", 4)), "points")
    wide = flat.reshape(-1)[: flat.size // 5 * 5].reshape(-1, 5)[:, 4] if flat.size % 5 == 0 else np.empty(0)
    # The fifth of five columns numbers rings: read as four columns such a file is whole, and every number wrong.
    if (
        len(wide) > 15
        and (wide == np.round(wide)).all()
        and wide.min() >= 0
        and wide.max() < 256
        and len(np.unique(wide)) > 1
    ):
        raise Refused(
            Faults(
                "five-columns",
                str(path),
                "five columns, the last of which numbers rings",
                "four columns in .bin: x, y, z, reflectance",
                "Name the file .pcd.bin, or write four columns.",
            )
        )
    return _counted(path, flat, ("intensity",))


def _nuscenes(path: Path) -> Reading[Points]:
    return _counted(path, (yield from records_of(path, np.dtype(("<f4", 5)), "points")), CHANNELS)


def _ply(path: Path) -> Reading[Points]:
    return _counted(path, *(yield from ply_of(path)))


def _array(path: Path) -> Reading[Points]:
    yield from ()
    return _counted(path, *_numbered(array_in(path, unpacked(path))))


def array_in(path: Path, content: bytes) -> np.ndarray:
    """The array of numbers in a ``.npy`` file. DataError where it is none."""
    wanted = ("a .npy array of numbers", "Save one with numpy.save.")
    try:
        points: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise Refused(Faults("unreadable", str(path), f"no readable .npy array ({error})", *wanted)) from error
    if points.dtype.kind not in "fiu":
        raise Refused(Faults("other-type", str(path), f"an array of {points.dtype}", "expected numbers", wanted[1]))
    return points


def _text(path: Path) -> Reading[Points]:
    content = unpacked(path)
    first = next((line for line in content.split(b"\n") if line.strip()), b"").decode("utf-8", "replace")
    width = max(len(first.replace(",", " ").split()), 3)
    values, rows = yield from lines_of(path, width, "x, y, z, features")
    return Points(str(path), *_numbered(values), rows)


def _mesh(path: Path) -> Reading[Points]:
    yield from ()
    corners, triangles = read_off(path)
    return _counted(path, sampled(corners, triangles, 1024, np.random.Generator(np.random.Philox(key=0))), ())


def _las(path: Path) -> Reading[Points]:
    yield from ()
    return _counted(path, *read_las(path))


def _numbered(points: np.ndarray) -> Cloud:
    extra = points.shape[1] - 3 if points.ndim == 2 else 0
    return points, ("intensity",) if extra == 1 else tuple(f"feature {number}" for number in range(extra))


_READERS: dict[str, Callable[[Path], Reading[Points]]] = {
    ".pcd.bin": _nuscenes,
    ".bin": _kitti,
    ".ply": _ply,
    ".npy": _array,
    ".las": _las,
    ".laz": _las,
    ".off": _mesh,
    ".xyz": _text,
    ".txt": _text,
    ".csv": _text,
}
SUFFIXES = tuple(_READERS)
