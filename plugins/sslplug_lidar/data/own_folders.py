"""A user's own clouds in folders: a folder of classes with one file an object, or a folder of sweeps in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, attempt, unpacked
from sslplug_lidar.data.cloud_faults import Measures, believable, together
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.formats import SUFFIXES
from sslplug_lidar.data.formats.kitti import labels_of, other_length, poses_of, read_calibration
from sslplug_lidar.data.formats.points import Points, array_in, points_of


def folder_of_objects(path: Path) -> Reading[CloudSet]:
    """One class a folder, named by it; files of any supported kind, in subfolders too. Files of other kinds are left out."""
    kinds = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    files: list[Path] = []
    numbers: list[int] = []
    yield from _loose(path)
    for number, folder in enumerate(kinds):
        there = sorted(file for file in folder.rglob("*") if file.is_file())
        found = [file for file in there if readable(file)]
        yield from _left_out(folder, there)
        if not found:
            yield Faults(
                "empty-class",
                str(folder),
                "no point file",
                f"{', '.join(SUFFIXES)} in each class's folder",
                "Add its files, or remove the folder.",
            )
        files += found
        numbers += [number] * len(found)
    yield from _classes(path, kinds, numbers)
    clouds, kept, measures = yield from _read(files)
    labels = [numbers[place] for place in kept]
    yield from together(measures, labels)
    offsets, xyz, features, channels = _packed(path, clouds)
    return CloudSet(
        path.name,
        offsets,
        xyz,
        features,
        channels,
        labels=np.array(labels, np.int64),
        classes=tuple(folder.name for folder in kinds),
        titles=tuple(str(files[place]) for place in kept),
    )


def folder_of_sweeps(
    path: Path, labels: Path | None, poses: Path | None, calibration: Path | None, consecutive: bool
) -> Reading[CloudSet]:
    """The folder's files by name, with labels a point and poses where they are named."""
    there = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    files = [file for file in there if readable(file)]
    yield from _left_out(path, there)
    if not files:
        raise Refused(Faults("no-file", str(path), "no point file", ", ".join(SUFFIXES), "Put the sweeps there."))
    yield from _order(path, files, consecutive)
    clouds, kept, measures = yield from _read(files)
    yield from together(measures)
    of_points, classes = None, tuple[str, ...]()
    if labels is not None:
        of_points, classes = yield from _labels(labels, [files[place] for place in kept], clouds)
    where = None
    if poses is not None:
        matrix = None if calibration is None else read_calibration(calibration, "Tr")
        where = yield from attempt(poses_of(poses, matrix, len(files)))
        where = None if where is None else where[kept]
    offsets, xyz, features, channels = _packed(path, clouds)
    return CloudSet(
        path.name,
        offsets,
        xyz,
        features,
        channels,
        point_labels=of_points,
        point_classes=classes,
        before=np.arange(len(kept)) - 1 if consecutive and len(kept) > 1 else None,
        poses=where,
        titles=tuple(str(files[place]) for place in kept),
    )


def readable(file: Path) -> bool:
    """Whether the file's name says that it holds points."""
    name = file.name.removesuffix(".xz").removesuffix(".gz").lower()
    return not name.startswith(".") and name.endswith(SUFFIXES)


def _read(files: Sequence[Path]) -> Reading[tuple[list[Points], list[int], list[Measures]]]:
    """The clouds that could be read, with the columns of the first, their places in ``files``, and what they measure."""
    clouds: list[Points] = []
    kept: list[int] = []
    measures: list[Measures] = []
    for place, file in enumerate(files):
        points = yield from attempt(points_of(file))
        if points is None:
            continue
        if clouds and points.channels != clouds[0].channels:
            yield Faults(
                "other-columns",
                str(file),
                f"columns x, y, z, {', '.join(points.channels) or '(no more)'}",
                f"those of {Path(clouds[0].file).name}: x, y, z, {', '.join(clouds[0].channels) or '(no more)'}",
                "All files must have the same columns.",
            )
            continue
        measures.append((yield from believable(points)))
        clouds.append(points)
        kept.append(place)
    return clouds, kept, measures


def _packed(path: Path, clouds: list[Points]) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    if not clouds:
        raise Refused(Faults("no-cloud", str(path), "no file that can be read", "at least one", "Mend the faults above."))
    with np.errstate(over="ignore"):  # what float32 cannot hold is told, and left out as infinite
        return (*pack([points.values for points in clouds]), clouds[0].channels)


def _left_out(folder: Path, there: Sequence[Path]) -> Reading[None]:
    for file in there:
        if not readable(file) and not file.name.startswith("."):
            yield Faults(
                "left-out-file", str(file), file.suffix or "no suffix", ", ".join(SUFFIXES), "It is left out.", harmless=True
            )
    stems: dict[Path, Path] = {}
    for file in there:
        if readable(file):
            first = stems.setdefault(file.with_name(stem_of(file)), file)
            if first != file:
                yield Faults(
                    "repeated-name",
                    str(file),
                    f"the name of {first.name} with another suffix",
                    "one file a cloud",
                    "Both are read; remove one if they are the same.",
                    harmless=True,
                )


def _loose(path: Path) -> Reading[None]:
    for file in sorted(path.iterdir()):
        if file.is_file() and readable(file):
            yield Faults(
                "loose-file",
                str(file),
                "a point file beside the folders of classes",
                "each in the folder of its class",
                "It is left out.",
                harmless=True,
            )


def _classes(path: Path, kinds: Sequence[Path], numbers: Sequence[int]) -> Reading[None]:
    counts = np.bincount(numbers, minlength=len(kinds)) if numbers else np.zeros(len(kinds), np.int64)
    if len(kinds) == 1:
        yield Faults(
            "one-class",
            str(path),
            f"only the class {kinds[0].name}",
            "two classes or more",
            "Every cloud is of it, so there is nothing to tell apart.",
            harmless=True,
        )
    for folder, count in zip(kinds, counts, strict=True):
        if 0 < count < 3:
            yield Faults(
                "rare-class",
                str(folder),
                f"{count} clouds",
                "three or more, for training, validation and test",
                "They are kept.",
                harmless=True,
            )
    seen: dict[str, Path] = {}
    for folder in kinds:
        first = seen.setdefault(folder.name.strip().casefold(), folder)
        if first != folder:
            yield Faults(
                "classes-alike",
                str(folder),
                f"a class that is called like {first.name}",
                "one folder a class",
                "They are kept apart; join them if they are one.",
                harmless=True,
            )


def _order(path: Path, files: Sequence[Path], consecutive: bool) -> Reading[None]:
    """Names by which consecutive sweeps cannot be in order, or one is missing."""
    if not consecutive or len(files) < 2:
        return
    found = [re.findall(r"\d+", stem_of(file)) for file in files]
    if not all(found):
        return
    number = np.array([int(words[-1]) for words in found])
    falls = np.flatnonzero(np.diff(number) < 0)
    same = len({re.sub(r"\d+", "", stem_of(file)) for file in files}) == 1 and all(len(words) == 1 for words in found)
    if same and len(falls):
        at = int(falls[0])
        yield Faults(
            "order-of-names",
            str(path),
            f"{files[at].name} before {files[at + 1].name}",
            "names that sort in the order of time",
            "Write numbers with as many digits (000009, 000010), or set data.consecutive: false.",
        )
    elif same:
        for at in np.flatnonzero(np.diff(number) > 1).tolist():
            if np.median(np.diff(number)) == 1:
                yield Faults(
                    "missing-sweep",
                    str(files[at + 1]),
                    f"{files[at].name} before it",
                    "the next number",
                    "It is taken to follow the one before.",
                    harmless=True,
                )


def stem_of(file: Path) -> str:
    """A point file's name without what says how it is written."""
    stem = file.name
    for suffix in (".xz", ".gz", *SUFFIXES):
        stem = stem.removesuffix(suffix)
    return stem


def _labels(
    folder: Path, files: Sequence[Path], clouds: Sequence[Points]
) -> Reading[tuple[np.ndarray | None, tuple[str, ...]]]:
    """(m,) classes of points, -1 where none; the classes' names."""
    found: list[np.ndarray] = []
    whole = True
    for file, points in zip(files, clouds, strict=True):
        labels = yield from attempt(_of_sweep(folder, file, len(points.values)))
        whole &= labels is not None
        found.append(np.full(len(points.values), -1) if labels is None else labels)
    stems = {stem_of(file) for file in files}
    for file in sorted(folder.iterdir()):
        if file.suffix in (".label", ".npy") and file.stem not in stems:
            yield Faults(
                "labels-without-sweep",
                str(file),
                "labels of no sweep",
                "a sweep of the same name",
                "They are left out.",
                harmless=True,
            )
    joined = np.concatenate(found)
    names, place, counts = np.unique(joined[joined >= 0], return_inverse=True, return_counts=True)
    if not len(names) and whole:
        yield Faults("no-label", str(folder), "no label at all", "labels from 0 on", "Nothing is asked.", harmless=True)
        return None, ()
    sweeps = np.zeros(len(names), np.int64)
    for labels in found:
        sweeps += np.isin(names, labels)
    for name, count, number in zip(names, counts, sweeps, strict=True):
        if number == 1 and len(files) > 2:
            yield Faults(
                "class-of-one-sweep",
                str(folder),
                f"label {name} in one sweep alone ({count} points)",
                "classes of several sweeps",
                "It cannot be trained on and tested; is it a slip?",
                harmless=True,
            )
    codes = np.full(len(joined), -1, np.int64)
    codes[joined >= 0] = place
    return codes, tuple(f"class {name}" for name in names)


def _of_sweep(folder: Path, file: Path, points: int) -> Reading[np.ndarray]:
    stem = stem_of(file)
    if (folder / f"{stem}.label").is_file():
        return (yield from labels_of(folder / f"{stem}.label", points))
    path = folder / f"{stem}.npy"
    if not path.is_file():
        raise Refused(
            Faults(
                "missing-labels",
                str(folder),
                f"no {stem}.label or {stem}.npy for {file.name}",
                "one file of labels a sweep",
                "Add it.",
            )
        )
    found = array_in(path, unpacked(path))
    if found.shape != (points,):
        raise Refused(other_length(path, found.shape[0] if found.ndim == 1 else found.size, points))
    if found.dtype.kind not in "iu":
        raise Refused(
            Faults("other-type", str(path), f"labels of {found.dtype}", "whole numbers, -1 for none", "Save them so.")
        )
    below = found.astype(np.int64) < -1
    if below.any():
        at = np.flatnonzero(below)
        yield Faults(
            "negative-label",
            str(path),
            lambda k: f"label {found[at[k]]}",
            "0 or more, or -1 for none",
            "It counts as none.",
            at + 1,
            harmless=True,
        )
    return found.astype(np.int64)
