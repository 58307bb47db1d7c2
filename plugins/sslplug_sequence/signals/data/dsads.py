"""Daily and Sports Activities (Barshan and Yuksek 2014): five body units record accelerations and turns at once, 25 Hz.

A subset: 8 of 19 activities, 8 people, 30 segments of 5 s each, accelerometer (m/s²) and gyroscope (rad/s).
"""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np

from sslplug.contracts import DataContext, PublishedSet
from sslplug.errors import DataError
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.window_set import WindowSet

FOLDER = "wearable/dsads"
DIGESTS = {
    "dsads8_acc.npy.xz": "aeae4b78f1b3b57832f82e214f8336aec4b7c2193d65703bfabd863e23a98bf7",
    "dsads8_gyro.npy.xz": "be3209dec63c0307e19fd8c23f0c98ac330c168031a6e6fb4fb8087cd5b3086e",
}
HOME = "the UCI repository, set 256 (CC BY 4.0)"
DEVICES = ("torso", "right-arm", "left-arm", "right-leg", "left-leg")
CLASSES = ("sitting", "standing", "lying", "upstairs", "downstairs", "walking", "running", "jumping")
SHAPE = (8, 8, 5, 3, 30, 125)
"""Activity, subject, unit, axis, segment, time."""


def build(options: SignalOptions, context: DataContext) -> SignalData:
    """1,920 windows of five devices; leave one subject out."""
    acc, gyro = (_array(path) for path in PublishedSet("DSADS", FOLDER, DIGESTS, HOME).proved(context))
    both = np.concatenate([acc, gyro], axis=3)  # six channels
    ordered = both.transpose(1, 0, 4, 2, 3, 5)  # subject, activity, segment, unit, channel, time
    subject, activity, _ = np.indices(ordered.shape[:3]).reshape(3, -1)
    values = np.ascontiguousarray(ordered.reshape(-1, *ordered.shape[3:]), np.float32)
    windows = WindowSet(
        "DSADS, 8 activities",
        values,
        np.ones(values.shape[:2], bool),
        np.char.add("p", (subject + 1).astype(str)),
        tuple(f"{sensor}_{axis}" for sensor in ("acc", "gyro") for axis in "xyz"),
        DEVICES,
        25.0,
        ((0, 1, 2), (3, 4, 5)),
        activity.astype(np.int64),
        CLASSES,
    )
    return signal_data(windows, options, context)


def _array(path: Path) -> np.ndarray:
    with lzma.open(path) as file:
        array = np.load(io.BytesIO(file.read()), allow_pickle=False)
    if array.shape != SHAPE:
        raise DataError(f"{path}: {array.shape}; expected {SHAPE} (activity, subject, unit, axis, segment, time).")
    return np.asarray(array, np.float32)
