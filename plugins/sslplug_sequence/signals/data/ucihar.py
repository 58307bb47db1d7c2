"""UCI HAR (Anguita et al. 2013): a phone at the waist, 30 people, 6 activities, 50 Hz, windows of 2.56 s; official subject split.

Read from the packed recordings (continuous pieces from which all 10,299 windows are cut again, bit for bit), or from the
published text files. The published windows overlap by half; the split is by subject, so no overlap crosses it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslplug.contracts import DataContext, PublishedSet
from sslplug.errors import DataError
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.window_set import WindowSet

FOLDER = "wearable/ucihar"
DIGESTS = {
    "ucihar_inertial.npz": "efaf482da31879729388289ef1e0b6a087cfe575360a23b289b3a7b822991bce",
    "ucihar_body_acc.npz": "1705a800dc8ed99b325ab5b2179a27f8c1cb4dd0db4e66aac8715c252747e177",
}
HOME = (
    "the UCI repository (set 240) and unpack its folder 'UCI HAR Dataset' there; its licence asks to cite the paper and forbids "
    "commercial use"
)
CLASSES = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")
SENSORS = ("body_acc", "body_gyro", "total_acc")
TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)
LENGTH = 128


def build(options: SignalOptions, context: DataContext) -> SignalData:
    """All nine inertial channels, in g and rad/s."""
    roots = [root for root in (context.root, context.cache) if root is not None]
    texts = next((root / FOLDER / "UCI HAR Dataset" for root in roots if (root / FOLDER / "UCI HAR Dataset").is_dir()), None)
    if texts is not None:
        values, subjects, labels = read_texts(texts)
    else:
        values, subjects, labels = read_packed(*PublishedSet("UCI HAR", FOLDER, DIGESTS, HOME).proved(context))
    windows = WindowSet(
        "UCI HAR",
        values[:, None],
        np.ones((len(values), 1), bool),
        subjects.astype(str),
        tuple(f"{sensor}_{axis}" for sensor in SENSORS for axis in "xyz"),
        ("waist",),
        50.0,
        ((0, 1, 2), (3, 4, 5), (6, 7, 8)),
        labels,
        CLASSES,
        parts=np.where(np.isin(subjects, TEST_SUBJECTS), "test", "train"),
    )
    return signal_data(windows, options, context)


def read_packed(inertial: Path, body: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 9, 128) float32 signals, (n,) subjects 1..30, (n,) classes 0..5 from the packed recordings."""
    with np.load(inertial, allow_pickle=False) as a, np.load(body, allow_pickle=False) as b:
        signal = np.concatenate([b["body_acc"], a["body_gyro"], a["total_acc"]], axis=1).astype(np.float32)
        places = a["start"].astype(np.int64)[:, None] + np.arange(LENGTH)
        return (
            np.ascontiguousarray(signal[places].transpose(0, 2, 1)),
            a["subject"].astype(np.int64),
            a["label"].astype(np.int64),
        )


def read_texts(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same from the published text files, training windows first, in their order."""
    signals, subjects, labels = [], [], []
    for part in ("train", "test"):
        names = [f"{sensor}_{axis}_{part}.txt" for sensor in SENSORS for axis in "xyz"]
        channels = [_numbers(folder / part / "Inertial Signals" / name) for name in names]
        who, what = (_numbers(folder / part / f"{stem}_{part}.txt")[:, 0] for stem in ("subject", "y"))
        for name, table in zip(names, channels, strict=True):
            if table.shape != (len(who), LENGTH):
                raise DataError(f"{folder / part / name}: {table.shape}; expected ({len(who)}, {LENGTH}), a line a window.")
        if len(what) != len(who) or not np.isin(what, range(1, 7)).all():
            raise DataError(f"{folder / part}: y_{part}.txt has {len(what)} lines; expected {len(who)} of 1..6.")
        signals.append(np.stack(channels, 1))
        subjects.append(who)
        labels.append(what - 1)
    values = np.concatenate(signals).astype(np.float32)
    return values, np.concatenate(subjects).astype(np.int64), np.concatenate(labels).astype(np.int64)


def _numbers(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a table of numbers ({error}); get the published file again.") from error
