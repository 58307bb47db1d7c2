"""Series of the UEA and UCR archives with their given train and test files (Bagnall et al. 2018, Dau et al. 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Faults, PublishedSet, Reading, Refused, finished
from sslplug.contracts.classes import codes
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.ts_format import Series, read_ts
from sslplug_sequence.signals.data.window_set import WindowSet

FOLDER = "wearable/uea"
HOME = "timeseriesclassification.com, and compress the files with xz"
Name = Literal["BasicMotions", "JapaneseVowels", "PickupGestureWiimoteZ", "GunPoint", "ItalyPowerDemand", "ArrowHead"]
DIGESTS: dict[str, tuple[str, str]] = {  # train, test
    "ArrowHead": (
        "8bbd0f7f0f0ec4ad416c5632980e31b0e6676b77d977b25b980f53e2edeceb0c",
        "866b9a71353067ebc0c68f107ac81e1e661f5ae04e1bf2a412d0744934dd1ade",
    ),
    "BasicMotions": (
        "04e5a8cc415439957cad9898972e79af030ce69f267c84e0c33ac472c34f6271",
        "1b6ed915b259b03374cb37f572e17e6bac84fb43082f767e537827aa921d583a",
    ),
    "GunPoint": (
        "886fad5fff025a6a92e836b1e37b5c491ff8dd7263a7bb0a536913f93c2deee5",
        "42b1590aa8e5415fccf392036360914b7bcffe609fb3b4ba968aebf837561253",
    ),
    "ItalyPowerDemand": (
        "7a220009da255dcaf95f45e1776e00236b1f24b173c5674949981725bb0e720c",
        "42eb1af35111440871e0c283a61f5ae33f224710d72d9d78e07a316989f9e3ca",
    ),
    "JapaneseVowels": (
        "54eedcaea118cd7c5517b2937dd36dab85174ff29d967ee163694a3456575d51",
        "1b2e51722075efdf5cd0514417ee5288c3a484c749f41a070b21c8fb4d3b24bf",
    ),
    "PickupGestureWiimoteZ": (
        "3a50b1053f2e6158276d06417009bff4c2b017fc2ca1b9ffc5f85e3a50653f63",
        "d71adae97f065e8042e325c66394f33a65ff2cf5aec1df61d7fd37f800521e7a",
    ),
}
RATES = {"BasicMotions": 10.0}
TRIADS: dict[str, tuple[tuple[int, int, int], ...]] = {"BasicMotions": ((0, 1, 2), (3, 4, 5))}
"""A watch's accelerometer and gyroscope, 10 Hz; the other sets are no motion in three axes."""


class UeaOptions(SignalOptions):
    """Which set."""

    dataset: Name = Field("BasicMotions", description="name in the archive")
    val_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the training series for validation; 0: the probe chooses by inner cross-validation"
    )


def build(options: UeaOptions, context: DataContext) -> SignalData:
    """The given files; each series is a subject of its own, for the archive does not name people."""
    name = options.dataset
    digests = dict(zip((f"{name}_TRAIN.ts.xz", f"{name}_TEST.ts.xz"), DIGESTS[name], strict=True))
    train, test = PublishedSet(name, FOLDER, digests, HOME).proved(context)
    windows = finished(ts_windows(name, train, test, RATES.get(name, 1.0), TRIADS.get(name, ())))
    return signal_data(windows, options, context)


def ts_windows(
    name: str,
    train: Path,
    test: Path | None,
    rate: float,
    triads: tuple[tuple[int, int, int], ...] = (),
    labelled: bool = True,
) -> Reading[WindowSet]:
    """Windows of a training file and, where there is one, a test file: a split that comes with the data."""
    files = [train] if test is None else [train, test]
    series = []
    for path in files:
        series.append((yield from read_ts(path)))
    widths = [part.values.shape[1] for part in series]
    if len(set(widths)) > 1:
        found = f"{widths[1]} dimensions; {files[0].name} has {widths[0]}"
        raise Refused(Faults("dimension-count", str(files[1]), found, "as many in both files", "Are they of one set?"))
    if len({part.classes is None for part in series}) > 1:
        found = f"only one of {files[0].name} and {files[1].name} has classes"
        raise Refused(Faults("missing-classes", str(files[1]), found, "expected both or neither", "Mend the header."))
    longest = max(part.values.shape[2] for part in series)
    values = np.concatenate([_padded(part, longest) for part in series])
    lengths = np.concatenate([part.lengths for part in series])
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if labelled and series[0].classes is not None:
        every = np.concatenate([part.classes for part in series if part.classes is not None])
        labels, classes = yield from codes(str(train), "class", every, np.ones(len(every), bool))
    ragged = int(lengths.min()) < longest
    titles = [f"{path.name.partition('.')[0]}/{k + 1}" for path, part in zip(files, series) for k in range(len(part.values))]
    return WindowSet(
        name,
        values[:, None],
        np.ones((len(values), 1), bool),
        np.array([f"series {number}" for number in range(len(values))]),
        tuple(f"dimension {number}" for number in range(widths[0])),
        ("series",),
        rate,
        triads,
        labels,
        classes,
        lengths if ragged else None,
        None if test is None else np.repeat(["train", "test"], [len(part.values) for part in series]),
        (f"series of {int(lengths.min())} to {longest} samples",) if ragged else (),
        titles=np.array(titles),
    )


def _padded(part: Series, longest: int) -> np.ndarray:
    return np.pad(part.values, ((0, 0), (0, 0), (0, longest - part.values.shape[2])))
