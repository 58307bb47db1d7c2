"""LAS and LAZ files through laspy, which is optional."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Refused
from sslplug.errors import UsageError

CHANNELS = ("intensity", "return_number")


def read_las(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """(p, 5) float64 x, y, z about the middle of the file's box, intensity / 65535, return number.

    Coordinates of such files are often metres in a country's grid, too large for float32: the middle is taken away.
    Raises UsageError where laspy is not installed.
    """
    try:
        laspy = importlib.import_module("laspy")
    except ImportError as error:
        raise UsageError(
            f"{path}: .las and .laz need laspy, which is not installed; run `pip install laspy[lazrs]`, or save the points as .npy."
        ) from error
    try:
        found = laspy.read(path)
    except Exception as error:  # laspy raises errors of its own and of its decompressors
        raise Refused(
            Faults("unreadable", str(path), f"what laspy cannot read ({error})", "a .las or .laz file", "Get it again.")
        ) from error
    xyz = np.stack([np.asarray(found.x), np.asarray(found.y), np.asarray(found.z)], 1).astype(np.float64)
    if len(xyz):
        xyz -= (xyz.min(0) + xyz.max(0)) / 2
    channels = [np.asarray(found.intensity, np.float64) / 65535, np.asarray(found.return_number, np.float64)]
    return np.column_stack([xyz, *channels]), CHANNELS
