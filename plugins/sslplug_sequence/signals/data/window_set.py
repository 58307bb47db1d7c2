"""What every reader makes: windows of signals with subjects, labels and what is known of them, before scaling and splitting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sslplug.errors import DataError


@dataclass(frozen=True, eq=False)
class WindowSet:
    """n windows of D devices, C channels and T samples.

    values    (n, D, C, T) float32, finite; zeros where a device is absent and after the end of a ragged series
    present   (n, D) bool: the device recorded this window; every window has one device or more
    subjects  (n,) names of the people (or series) the windows are from: windows of one are never on two sides of a split
    labels    (n,) int64 classes, -1 = none; None: no labels at all.  classes: their names
    lengths   (n,) int64 valid samples, or None: all T
    parts     (n,) "train", "val" or "test" where the data comes with a split; None: it does not
    notes     what was found and handled while reading, in sentences
    drawn     the run's seed made these windows and who tests, so runs with other seeds test on others
    titles    (n,) what each window is called, or None: its number
    """

    name: str
    values: np.ndarray
    present: np.ndarray
    subjects: np.ndarray
    channels: tuple[str, ...]
    devices: tuple[str, ...]
    rate: float
    triads: tuple[tuple[int, int, int], ...]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    lengths: np.ndarray | None = None
    parts: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    drawn: bool = False
    titles: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, devices, channels, _ = self.values.shape
        if not n:
            raise DataError(f"{self.name}: no window is left; expected at least one. Shorten the window or mend the data.")
        if (devices, channels) != (len(self.devices), len(self.channels)):
            raise DataError(
                f"{self.name}: values are {self.values.shape} for {len(self.devices)} devices and {len(self.channels)} channels; "
                "expected (windows, devices, channels, time)."
            )
        bad = np.argwhere(~np.isfinite(self.values).all(axis=3))
        if len(bad):
            window, device, channel = (int(v) for v in bad[0])
            raise DataError(
                f"{self.name}, window {window} (subject {self.subjects[window]}), device {self.devices[device]!r}, channel "
                f"{self.channels[channel]!r}: NaN or infinite ({len(bad)} such series); fill the gap or leave the window out."
            )
        if not self.present.any(1).all():
            raise DataError(f"{self.name}, window {int((~self.present.any(1)).argmax())}: no device is present.")
        for triad in self.triads:
            if len(set(triad)) != 3 or not all(0 <= c < channels for c in triad):
                raise DataError(f"{self.name}: triad {triad}; expected three different channel numbers 0..{channels - 1}.")

    @cached_property
    def sha256(self) -> str:
        """Digest of the content: signals, presence, subjects, labels, lengths, parts."""
        digest = hashlib.sha256()
        digest.update(repr((self.values.shape, self.channels, self.devices, self.rate, self.classes)).encode())
        for array in (self.values, self.present, self.labels, self.lengths):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        for names in (self.subjects, self.parts):
            digest.update(b"-" if names is None else "\x1f".join(map(str, names)).encode())
        return digest.hexdigest()
