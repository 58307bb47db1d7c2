"""RadHAR (Singh et al. 2019): sparse millimetre-wave radar points of five activities, as clouds of 60 frames.

Windows of 60 frames, stride 10, within one recording; the published train and test folders (55 test recordings). The time of each
point in its window is a channel, so a cloud holds the motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, PublishedSet, RawFeatures, Split, Task
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.tasks import object_task
from sslplug_lidar.window_features import window_features

DIGESTS = {"radhar_points.npz": "ee3083687aef6800013bf3da324fe089aa0d83a9ff5f272ac2a98c4bf58fb42d"}
FRAMES, STRIDE = 60, 10
"""Frames of a window and from one window to the next, as published."""
FASTEST = 20.0
"""Metres a second beyond which a velocity is damaged and taken for 0."""


class RadharOptions(CloudOptions):
    """RadHAR's windows."""

    points: int = Field(256, ge=0, description="at most so many points of a window, drawn once; 0: all")
    val_share: float = Field(0.2, gt=0, lt=1, description="share of each activity's training recordings for validation")


@dataclass(frozen=True, eq=False)
class Recordings:
    """All frames: points (m, 3), velocity (m,), intensity (m,), the frame of each point and the windows cut from them.

    frames   (w, 2) first and last-but-one frame of each window;  recording (w,) number;  label (w,);  is_test (w,) bool
    """

    xyz: np.ndarray
    velocity: np.ndarray
    intensity: np.ndarray
    frame_ptr: np.ndarray
    frames: np.ndarray
    recording: np.ndarray
    label: np.ndarray
    is_test: np.ndarray
    classes: tuple[str, ...]
    damaged: int


def build(options: RadharOptions, context: DataContext) -> CloudData:
    """Trained and chosen on the published training recordings, validation by whole recordings, tested on the test folder."""
    (path,) = PublishedSet("RadHAR", "lidar/radhar", DIGESTS).proved(context)
    found = read_recordings(path)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        return {"activity": object_task(clouds, clouds.splits, clouds.protocol, "activity")}

    def raw(clouds: CloudSet, task: Task) -> RawFeatures:
        return RawFeatures(window_features(found.xyz, found.velocity, found.intensity, found.frame_ptr, found.frames))

    split = recordings_split(found, options.val_share, Rng.root(context.seed))
    return cloud_data(windows(found, split), tasks, options, context, raw)


def read_recordings(path: Path) -> Recordings:
    """The recordings and their windows; a recording shorter than one window gives none."""
    with np.load(path, allow_pickle=False) as z:
        velocity = z["velocity_values"][z["velocity_code"]].astype(np.float32)
        intensity = z["intensity_values"][z["intensity_code"]].astype(np.float32)
        xyz = (z["xyz_q512"] / np.float32(512)).astype(np.float32)
        frame_ptr, recording_ptr = z["frame_ptr"].astype(np.int64), z["recording_ptr"].astype(np.int64)
        label, is_test = z["recording_label"].astype(np.int64), z["recording_is_test"]
        classes = tuple(str(name) for name in z["class_names"])
    if frame_ptr[-1] != len(xyz) or recording_ptr[-1] != len(frame_ptr) - 1:
        raise DataError(f"{path}: frames end at point {frame_ptr[-1]} of {len(xyz)}; the file is damaged.")
    bad = np.abs(velocity) > FASTEST
    velocity[bad] = 0.0
    begins = [np.arange(a, b - FRAMES + 1, STRIDE) for a, b in zip(recording_ptr, recording_ptr[1:])]
    first = np.concatenate(begins)
    recording = np.repeat(np.arange(len(begins)), [len(b) for b in begins])
    frames = np.stack([first, first + FRAMES], 1)
    return Recordings(
        xyz, velocity, intensity, frame_ptr, frames, recording, label[recording], is_test[recording], classes, int(bad.sum())
    )


def windows(found: Recordings, split: Split) -> CloudSet:
    """Each window as a cloud: x, y, z of the radar in metres, z up; channels time (0 to 1 in the window), velocity, intensity."""
    start, stop = found.frame_ptr[found.frames[:, 0]], found.frame_ptr[found.frames[:, 1]]
    length = stop - start
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
    frame = np.repeat(np.arange(len(found.frame_ptr) - 1), np.diff(found.frame_ptr))[rows]
    time = (frame - np.repeat(found.frames[:, 0], length)) / (FRAMES - 1)
    features = np.stack([time, found.velocity[rows], found.intensity[rows]], 1).astype(np.float32)
    return CloudSet(
        "radhar",
        offsets,
        found.xyz[rows],
        features,
        ("time", "velocity", "intensity"),
        labels=found.label,
        classes=found.classes,
        groups=found.recording,
        splits=(split,),
        protocol="published train and test folders, validation by recording (14 recordings are missing)",
        notes=(f"{found.damaged} damaged velocities are taken for 0", "14 of 200 published recordings are missing"),
    )


def recordings_split(found: Recordings, val_share: float, rng: Rng) -> Split:
    """Published test windows; of each activity, a share of the training recordings validates."""
    held: list[np.ndarray] = []
    for value in np.unique(found.label):
        training = np.unique(found.recording[(found.label == value) & ~found.is_test])
        order = rng.fork("recordings", int(value)).numpy().permutation(training)
        held.append(order[: max(1, round(val_share * len(order)))])
    val = np.isin(found.recording, np.concatenate(held)) & ~found.is_test
    return Split(np.flatnonzero(~val & ~found.is_test), np.flatnonzero(val), np.flatnonzero(found.is_test))
