"""From windows as read to the data of a run: choose devices, split by subject, scale, make the tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sslplug.contracts import DataContext, Task
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.scaling import (
    channel_statistics,
    log_spectrogram,
    standardise,
    stated_statistics,
    valid_samples,
)
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.window_set import WindowSet
from sslplug_sequence.signals.spec import Scale, SignalSpec
from sslplug_sequence.signals.tasks import Parts, subject_parts, window_task


def signal_data(windows: WindowSet, options: SignalOptions, context: DataContext) -> SignalData:
    """The data of a run. Statistics are of the windows that may be learnt from; of new data (``context.fitted``), the run's."""
    windows = _with_devices(windows, options.devices)
    notes = list(windows.notes)
    rng = Rng.root(context.seed)
    if context.fitted is None:
        parts, protocol, drawn = _parts(windows, options, rng)
        allowed = _allowed(windows, parts, options, notes)
        tasks = _tasks(windows, parts, protocol, drawn or windows.drawn, options)
    else:  # new data for a trained encoder: every window is encoded, none is judged
        protocol, allowed, tasks = "none", np.arange(len(windows.values)), {}
    values, lengths, channels, bins = windows.values, windows.lengths, windows.channels, 1
    if options.spectrogram is not None:
        size, hop = options.spectrogram.window, options.spectrogram.hop
        values, lengths = log_spectrogram(values, lengths, size, hop)
        bins = size // 2 + 1
        channels = tuple(f"{channel}@{f * windows.rate / size:.3g}Hz" for channel in channels for f in range(bins))
    valid = valid_samples(windows.present, lengths, values.shape[3])
    mean, std = channel_statistics(values[allowed], valid[allowed])
    if context.fitted is not None:
        mean, std = stated_statistics(context.fitted, channels, windows.rate)
    elif (std <= 1e-8).any():
        constant = [channel for channel, deviation in zip(channels, std, strict=True) if deviation <= 1e-8]
        notes.append(f"channels without variation, never divided by it: {', '.join(constant)}")
        std = np.where(std > 1e-8, std, 1.0)
    if options.scaling == "standardised":
        values = standardise(values, valid, mean, std)
    fitted = {"channels": list(channels), "mean": mean.tolist(), "std": std.tolist(), "rate": windows.rate}
    rate = windows.rate if options.spectrogram is None else windows.rate / options.spectrogram.hop
    spec = SignalSpec(
        channels,
        windows.devices,
        values.shape[3],
        rate,
        windows.triads if bins == 1 else (),
        Scale(tuple(mean.tolist()), tuple(std.tolist()), options.scaling == "standardised"),
        ragged=lengths is not None,
        bins=bins,
    )
    description = {
        "name": windows.name,
        "windows": len(values),
        "rows": int(windows.present.sum()),
        "subjects": len(np.unique(windows.subjects)),
        "devices": list(windows.devices),
        "channels": len(channels),
        "samples": values.shape[3],
        "rate": windows.rate,
        "learnt_from": len(allowed),
        "preprocessing": {"scaling": options.scaling, "spectrogram": options.spectrogram is not None, "split": protocol},
        "notes": notes,
        "sha256": windows.sha256,
    }
    weights = _motion(windows, allowed) if options.weighting == "motion" else None
    return SignalData(
        spec,
        tasks,
        description,
        fitted,
        values,
        windows.present,
        windows.values,
        windows.triads,
        windows.rate,
        allowed,
        lengths,
        weights,
        options.epoch_share,
        raw_lengths=windows.lengths,
        titles=windows.titles,
    )


def _with_devices(windows: WindowSet, wanted: tuple[str, ...]) -> WindowSet:
    """The windows of some devices alone; windows that none of them recorded are left out, and it is noted."""
    if not wanted:
        return windows
    unknown = [name for name in wanted if name not in windows.devices]
    if unknown:
        raise UsageError(f"data.devices: {', '.join(unknown)} unknown; {windows.name} has {', '.join(windows.devices)}.")
    numbers = [windows.devices.index(name) for name in wanted]
    present = windows.present[:, numbers]
    kept = present.any(1)
    gone = int((~kept).sum())

    def at(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[kept]

    return replace(
        windows,
        values=windows.values[kept][:, numbers],
        present=present[kept],
        subjects=windows.subjects[kept],
        devices=tuple(wanted),
        labels=at(windows.labels),
        lengths=at(windows.lengths),
        parts=at(windows.parts),
        titles=at(windows.titles),
        notes=(*windows.notes, *([f"{gone} windows that no used device recorded left out"] if gone else [])),
    )


def _parts(windows: WindowSet, options: SignalOptions, rng: Rng) -> tuple[list[Parts], str, bool]:
    """The splits of the windows and whether ``rng`` drew them; none where there are no labels and no split was asked for."""
    unlabelled = windows.labels is None and windows.parts is None and not options.test_subjects
    if unlabelled or len(np.unique(windows.subjects)) < 2:
        if options.split not in ("auto", "folds") or options.test_subjects or windows.parts is not None:
            raise UsageError(
                f"data.split needs windows of two subjects or more with labels; {windows.name} has "
                f"{len(np.unique(windows.subjects))} subject(s) and {'no' if windows.labels is None else 'some'} labels."
            )
        if windows.labels is None:
            return [], "none", False
    o = options
    return subject_parts(windows.subjects, windows.parts, o.split, o.folds, o.val_share, o.test_subjects, rng)


def _allowed(windows: WindowSet, parts: list[Parts], options: SignalOptions, notes: list[str]) -> np.ndarray:
    """Numbers of the windows that training batches may hold."""
    keep = np.ones(len(windows.values), bool)
    if options.pretrain == "train" and len(parts) == 1:
        keep &= np.isin(parts[0], ("train", "val"))
    elif len(parts) > 1:
        notes.append("several splits: training learns from all windows without labels, those of test subjects among them")
    elif parts:
        notes.append("training learns from the windows of test subjects too, without labels")
    if options.normal:
        if len(parts) > 1 or (parts and options.pretrain == "all"):
            raise UsageError(
                f"data.normal picks the windows to learn from by their labels, and with {len(parts)} splits and data.pretrain "
                f"{options.pretrain!r} these are labels of test subjects too. Name data.test_subjects; leave pretrain at 'train'."
            )
        keep &= _is_normal(windows, options.normal) == 0
    if not keep.any():
        raise UsageError("No window may be learnt from; look at data.normal, data.pretrain and the split.")
    return np.flatnonzero(keep)


def _is_normal(windows: WindowSet, normal: tuple[str, ...]) -> np.ndarray:
    """(n,) 0 where the class is normal, 1 where it is not, -1 without label."""
    unknown = [name for name in normal if name not in windows.classes]
    if windows.labels is None or unknown or len(set(normal)) == len(windows.classes):
        raise UsageError(
            f"data.normal: {', '.join(unknown or normal)}; expected some, not all, of the classes "
            f"{', '.join(windows.classes) or '(there are no labels)'}."
        )
    numbers = [windows.classes.index(name) for name in normal]
    return np.where(windows.labels < 0, -1, (~np.isin(windows.labels, numbers)).astype(np.int64))


def _tasks(windows: WindowSet, parts: list[Parts], protocol: str, drawn: bool, options: SignalOptions) -> dict[str, Task]:
    """ "activity", or "activity-<device>" for each of several devices; and "anomaly" likewise where classes are normal."""
    if windows.labels is None:
        return {}
    window, device = np.nonzero(windows.present)
    unknown = sorted(set(options.judged) - set(windows.devices))
    if unknown:
        raise UsageError(f"data.judged: {', '.join(unknown)} unknown; the devices used are {', '.join(windows.devices)}.")
    judged = options.judged or windows.devices
    questions: list[tuple[Any, np.ndarray, tuple[str, ...]]] = [("activity", windows.labels, windows.classes)]
    if options.normal:
        questions.append(("anomaly", _is_normal(windows, options.normal), ("normal", "anomaly")))
    tasks = {}
    for question, labels, classes in questions:
        for number, name in enumerate(windows.devices):
            if name not in judged:
                continue
            title = question if len(windows.devices) == 1 else f"{question}-{name}"
            rows = np.where(device == number, labels[window], -1)
            kind: Any = "anomaly" if question == "anomaly" else "classification"
            each = [part[window] for part in parts]
            tasks[title] = window_task(title, kind, rows, windows.subjects[window], each, protocol, classes, drawn)
    return tasks


def _motion(windows: WindowSet, allowed: np.ndarray) -> np.ndarray:
    """(a,) deviation of the samples of each window, averaged over channels and present devices (Yuan et al. 2024)."""
    values, present = windows.values[allowed], windows.present[allowed]
    lengths = None if windows.lengths is None else windows.lengths[allowed]
    valid = valid_samples(present, lengths, values.shape[3])[:, :, None, :]
    count = np.maximum(valid.sum(3), 1)
    mean = (values * valid).sum(3) / count
    deviation = np.sqrt(((values - mean[..., None]) ** 2 * valid).sum(3) / count).mean(2)
    weights: np.ndarray = (deviation * present).sum(1) / present.sum(1)
    return weights
