"""A user's own clouds as arrays: in a ``.npz``, a ``.npy`` or in memory. Rows of faults are clouds, counted from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, finished
from sslplug.contracts.archives import arrays_in
from sslplug_lidar.data.cloud_faults import Measures, believable, together
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats.points import Points

KEYS = ("data", "points", "offsets", "label")


def from_arrays(name: str, parts: list[np.ndarray], label: np.ndarray | None) -> CloudSet:
    """See :func:`arrays_of`; DataError with the first fault that is not harmless."""
    return finished(arrays_of(name, parts, label))


def arrays_of(name: str, parts: list[np.ndarray], label: np.ndarray | None) -> Reading[CloudSet]:
    """Clouds given as arrays (p, 3 + f) of one width, and maybe a label each: whole numbers, or words."""
    width = parts[0].shape[1] if parts and parts[0].ndim == 2 else 3
    kept: list[int] = []
    measures: list[Measures] = []
    for number, part in enumerate(parts):
        if part.ndim != 2 or part.shape[1] < 3 or part.dtype.kind not in "fiu":
            yield _cloud(
                name,
                "other-shape",
                number,
                f"an array {part.shape} {part.dtype}",
                "(points, 3 or more) numbers",
                "Give it so.",
            )
        elif part.shape[1] != width:
            yield _cloud(
                name,
                "other-columns",
                number,
                f"{part.shape[1]} columns",
                f"{width}, as cloud 1 has",
                "Give all the same columns.",
            )
        else:
            kept.append(number)
            measures.append((yield from _one(name, number, part)))
    yield from together(measures)
    if not kept:
        raise Refused(Faults("no-cloud", name, "no cloud", "at least one", "Give some."))
    offsets, xyz, features = pack([parts[number] for number in kept])
    labels, classes = None, tuple[str, ...]()
    if label is not None:
        label = np.asarray(label).reshape(-1)
        if len(label) != len(parts):
            yield Faults(
                "other-length",
                name,
                f"{len(label)} labels for {len(parts)} clouds",
                "as many",
                "Give one a cloud.",
                column="label",
            )
        elif label.dtype.kind not in "iuUS":
            yield Faults(
                "other-type",
                name,
                f"labels of {label.dtype}",
                "whole numbers (-1: none) or words",
                "Write classes.",
                column="label",
            )
        else:
            labels, classes = _classes(label[kept])
    channels = ("intensity",) if width == 4 else tuple(f"feature {number}" for number in range(width - 3))
    titles = tuple(f"{name}, cloud {number}" for number in kept)
    return CloudSet(name, offsets, xyz, features, channels, labels=labels, classes=classes, titles=titles)


def _classes(label: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    known = label >= 0 if label.dtype.kind in "iu" else label != ""
    names, codes = np.unique(label[known], return_inverse=True)
    labels = np.full(len(label), -1, np.int64)
    labels[known] = codes
    return labels, tuple(str(value) for value in names)


def _one(name: str, number: int, part: np.ndarray) -> Reading[Measures]:
    """What is wrong within one cloud: its points are the rows, and the cloud, from 1, is named with the file."""
    channels = ("intensity",) if part.shape[1] == 4 else tuple(f"feature {k}" for k in range(part.shape[1] - 3))
    points = Points(f"{name}, cloud {number + 1}", part, channels, np.arange(1, len(part) + 1))
    return (yield from believable(points))


def _cloud(name: str, kind: str, number: int, found: str, expected: str, mend: str) -> Faults:
    return Faults(kind, name, found, expected, mend, [number + 1])


def archive_of(path: Path) -> Reading[CloudSet]:
    """A ``.npz`` with ``data`` (n, p, 3 + f) or ``points`` (m, 3 + f) and ``offsets`` (n + 1,), and maybe ``label`` (n,)."""
    arrays = yield from arrays_in(path, "data, or points and offsets, and maybe label", "Save it again with numpy.savez.")
    others = [key for key in arrays if key not in KEYS]
    if others:
        yield Faults(
            "unknown-key",
            str(path),
            f"arrays {', '.join(others)}",
            ", ".join(KEYS),
            "They are left out.",
            harmless=True,
        )
    if "data" in arrays and arrays["data"].ndim == 3:
        parts = list(arrays["data"])
    elif "points" in arrays and "offsets" in arrays and arrays["points"].ndim == 2:
        cuts = arrays["offsets"]
        if cuts.dtype.kind not in "iu" or not len(cuts) or cuts[0] != 0 or cuts[-1] != len(arrays["points"]):
            raise Refused(_offsets(path, f"offsets that do not cut {len(arrays['points'])} points", len(arrays["points"])))
        falls = np.flatnonzero(np.diff(cuts.astype(np.int64)) < 0)
        if len(falls):
            raise Refused(_offsets(path, f"offsets that fall at cloud {falls[0] + 1}", len(arrays["points"])))
        parts = np.split(arrays["points"], cuts[1:-1])
    else:
        told = ", ".join(f"{key} {value.shape}" for key, value in arrays.items()) or "nothing"
        raise Refused(
            Faults(
                "missing-key",
                str(path),
                told,
                "data (n, p, 3 + f), or points (m, 3 + f) and offsets (n + 1,)",
                "Save them under these names.",
            )
        )
    return (yield from arrays_of(str(path), parts, arrays.get("label")))


def _offsets(path: Path, found: str, points: int) -> Faults:
    return Faults(
        "bad-offsets", str(path), found, f"whole numbers rising from 0 to {points}", "Save them so.", column="offsets"
    )
