"""What is wrong with clouds that could be read: points that cannot be used or believed, clouds that do not fit each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading
from sslplug_lidar.data.formats.points import Points

SENSOR = 2000.0
"""Metres that no sensor of a vehicle sees: clouds that reach farther most likely count in another unit."""
GRID = 1e5
"""Coordinates from here on lose centimetres in float32."""
APART = 100.0
"""How many times larger or smaller than the usual cloud is doubtful."""


@dataclass(frozen=True)
class Measures:
    """Of one cloud: the file, its points, the longest side of its box, the largest intensity, a digest of its coordinates."""

    file: str
    points: int
    extent: float
    brightest: float | None
    digest: bytes


def believable(points: Points) -> Reading[Measures]:
    """Tells what is wrong within one cloud; nothing is changed."""
    # Silent where float32 cannot hold a number: it is told as infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(points.values, np.float32)
    usable = np.asarray(np.isfinite(values).all(1))
    names = ("x", "y", "z", *points.channels)
    if not usable.all():
        for column in np.flatnonzero(~np.isfinite(values).all(0)):
            at = np.flatnonzero(~np.isfinite(values[:, column]))
            yield Faults(
                "not-finite",
                points.file,
                _Shown(points.values[at, column]),
                "a finite number that float32 holds",
                "The point is left out.",
                points.rows[at],
                names[column],
                harmless=True,
            )
    xyz, rows = values[usable, :3].astype(np.float64), points.rows[usable]
    brightest = yield from _channels(points, values, usable)
    digest = hashlib.blake2b(values[:, :3].tobytes(), digest_size=16).digest()
    if not len(xyz):
        yield _whole(points.file, "no-point", "no usable point", "points", "The cloud is left out.")
        return Measures(points.file, 0, 0.0, brightest, digest)
    low, high = xyz.min(0), xyz.max(0)
    side = float((high - low).max())
    if len(xyz) == 1 or side == 0:
        found = "one point" if len(xyz) == 1 else f"{len(xyz)} points at one place"
        yield _whole(points.file, "one-place", found, "points that differ", "It is kept, and tells little.")
        return Measures(points.file, len(xyz), side, brightest, digest)
    flat = np.flatnonzero(high == low)
    if len(flat):
        found = f"the same {names[flat[0]]} in all points ({low[flat[0]]:g})"
        yield _whole(points.file, "flat", found, "three dimensions", "Is a column missing, or are they in another order?")
    side = yield from _places(points.file, xyz, rows, low, high)
    return Measures(points.file, len(xyz), side, brightest, digest)


def _places(file: str, xyz: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> Reading[float]:
    """The longest side of the box about the points that are not far out."""
    middle = np.median(xyz, 0)
    away = np.abs(xyz - middle).max(1)
    usual = float(np.quantile(away, 0.9, method="lower")) if len(away) > 9 else float("inf")
    far = away > max(1000.0 * usual, SENSOR)
    if far.any():
        yield Faults(
            "far-out",
            file,
            _Place(xyz[far]),
            f"points within {usual:.3g} m of the middle, as nine in ten are",
            "Does this number mark a missing one? The point is kept; data.farthest leaves it out.",
            rows[far],
            harmless=True,
        )
    side = float((xyz[~far].max(0) - xyz[~far].min(0)).max())
    if side > 2 * SENSOR:
        yield _whole(
            file,
            "implausible-extent",
            f"a cloud {side:.6g} m across",
            f"metres, less than {2 * SENSOR:g} across",
            "Are these millimetres or feet? Divide them.",
        )
    if max(abs(low).max(), abs(high).max()) > GRID and not far.any():
        yield _whole(
            file,
            "grid-coordinates",
            f"coordinates near {np.abs(middle).max():.6g}",
            "coordinates near the sensor or the object",
            "float32 loses digits out there: subtract the middle before writing.",
        )
    zero = (xyz == 0).all(1)
    if zero.sum() > 1:
        yield Faults(
            "origin",
            file,
            "a point at 0, 0, 0",
            "what a beam met",
            "Beams without an answer are often written so. They are kept; data.nearest leaves them out.",
            rows[zero],
            harmless=True,
        )
    _, first = np.unique(xyz.astype(np.float32), axis=0, return_index=True)
    again = np.ones(len(xyz), bool)
    again[first] = False
    again &= ~zero
    if 2 * again.sum() > len(xyz):
        found = f"{int(again.sum())} of {len(xyz)} points at the place of another"
        yield _whole(file, "repeated-points", found, "points that differ", "Was the cloud filled up? They are kept.")
    return side


def _channels(points: Points, values: np.ndarray, usable: np.ndarray) -> Reading[float | None]:
    """The largest intensity, where there is one."""
    for column, name in enumerate(points.channels, 3):
        known = values[usable, column]
        if name == "intensity" and (known < 0).any():
            at = np.flatnonzero(usable)[known < 0]
            yield Faults(
                "negative-intensity",
                points.file,
                _Shown(points.values[at, column]),
                "0 or more",
                "It is taken as it is.",
                points.rows[at],
                name,
                harmless=True,
            )
        if name == "ring" and (known != np.round(known)).any():
            at = np.flatnonzero(usable)[known != np.round(known)]
            yield Faults(
                "broken-ring",
                points.file,
                _Shown(points.values[at, column]),
                "whole numbers of rings in the fifth column",
                "Does the file have another number of columns?",
                points.rows[at],
                name,
                harmless=True,
            )
    if "intensity" not in points.channels or not usable.any():
        return None
    return float(values[usable, 3 + points.channels.index("intensity")].max())


def together(clouds: Sequence[Measures], labels: Sequence[int] | None = None) -> Reading[None]:
    """Tells clouds that do not fit the others: another scale of coordinates or intensities, or the same cloud again."""
    seen: dict[bytes, int] = {}
    for place, cloud in enumerate(clouds):
        first = seen.setdefault(cloud.digest, place)
        if first != place and cloud.points > 1:
            other = labels is not None and labels[first] != labels[place]
            yield _whole(
                cloud.file,
                "repeated-cloud",
                f"the points of {'/'.join(Path(clouds[first].file).parts[-2:])}"
                + (", which is of another class" if other else ""),
                "each cloud once",
                "Copies may lie on both sides of a split; remove one.",
            )
    sized = [cloud for cloud in clouds if cloud.extent > 0]
    if len(sized) > 2:
        usual = float(np.median([cloud.extent for cloud in sized]))
        for cloud in sized:
            if not usual / APART <= cloud.extent <= usual * APART:
                yield _whole(
                    cloud.file,
                    "another-scale",
                    f"a cloud {cloud.extent:.4g} m across",
                    f"about {usual:.3g} m, as the usual one",
                    "Is it in another unit?",
                )
    bright = [cloud for cloud in clouds if cloud.brightest is not None and cloud.brightest > 0]
    dim = [cloud for cloud in bright if cloud.brightest is not None and cloud.brightest <= 1]
    if 0 < len(dim) < len(bright):
        odd = dim if 2 * len(dim) < len(bright) else [cloud for cloud in bright if cloud not in dim]
        for cloud in odd:
            yield _whole(
                cloud.file,
                "another-intensity",
                f"intensities up to {cloud.brightest:g}",
                f"intensities {'above' if cloud in dim else 'up to'} 1, as in most files",
                "Write all on one scale.",
            )


def _whole(file: str, kind: str, found: str, expected: str, mend: str) -> Faults:
    return Faults(kind, file, found, expected, mend, harmless=True)


class _Shown:
    """Shows the k-th of some values."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, k: int) -> str:
        return str(self.values[k])


class _Place:
    """Shows the k-th of some places."""

    def __init__(self, places: np.ndarray) -> None:
        self.places = places

    def __call__(self, k: int) -> str:
        return f"a point at {', '.join(f'{value:g}' for value in self.places[k])}"
