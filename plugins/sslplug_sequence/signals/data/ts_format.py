"""The ``.ts`` files of the UEA and UCR archives: one series a line, dimensions split by ':', the class last."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.errors import DataError


@dataclass(frozen=True)
class Series:
    """n series. values (n, C, T) float32, zeros after a series' end; lengths (n,) int64; classes (n,) names or None."""

    values: np.ndarray
    lengths: np.ndarray
    classes: np.ndarray | None


def read_ts(path: Path) -> Series:
    """The series of one file, plain or ``.xz``.

    Refused with file and line: no ``@data``, time stamps, cells that are no numbers, missing values ('?'), dimensions of one
    series that differ in length, series that differ in the number of dimensions, a class the header does not name.
    """
    try:
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8")
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable ({error}); expected a .ts or .ts.xz text file.") from error
    lines = text.splitlines()
    header: dict[str, list[str]] = {}
    begin = None
    for number, line in enumerate(lines):
        words = line.split()
        if words and words[0].startswith("@"):
            if words[0].lower() == "@data":
                begin = number + 1
                break
            header[words[0].lower()] = words[1:]
    if begin is None:
        raise DataError(f"{path}: no line '@data'; expected a header with it and one series a line after it.")
    if header.get("@timestamps", ["false"])[0].lower() == "true":
        raise DataError(f"{path}: has time stamps; expected evenly sampled series (@timeStamps false).")
    named = header.get("@classlabel", header.get("@targetlabel", ["false"]))
    labelled = named[0].lower() == "true"
    known = set(named[1:])
    rows, classes = [], []
    for number, line in enumerate(lines[begin:], begin + 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.strip().split(":")
        if labelled:
            classes.append(cells.pop().strip())
            if known and classes[-1] not in known:
                raise DataError(
                    f"{path}, line {number}: class {classes[-1]!r}; the header names {', '.join(sorted(known))}."
                )
        rows.append(_series(path, number, cells))
        if len(rows[-1]) != len(rows[0]):
            raise DataError(f"{path}, line {number}: {len(rows[-1])} dimensions; the first series has {len(rows[0])}.")
    if not rows:
        raise DataError(f"{path}: no series after '@data'; expected one a line.")
    lengths = np.array([row.shape[1] for row in rows], np.int64)
    values = np.zeros((len(rows), len(rows[0]), int(lengths.max())), np.float32)
    for place, row in enumerate(rows):
        values[place, :, : row.shape[1]] = row
    return Series(values, lengths, np.array(classes) if labelled else None)


def _series(path: Path, number: int, cells: list[str]) -> np.ndarray:
    """(C, length) of one line."""
    dimensions = []
    for place, cell in enumerate(cells):
        try:
            dimensions.append(np.array(cell.split(","), np.float32))
        except ValueError as error:
            what = "a missing value ('?')" if "?" in cell else str(error)
            raise DataError(f"{path}, line {number}, dimension {place}: {what}; expected numbers. Fill it first.") from error
        if not np.isfinite(dimensions[-1]).all():
            raise DataError(f"{path}, line {number}, dimension {place}: NaN or infinite; expected finite numbers.")
    if len({len(d) for d in dimensions}) != 1 or not len(dimensions[0]):
        found = ", ".join(str(len(d)) for d in dimensions)
        raise DataError(f"{path}, line {number}: dimensions of {found} samples; expected equal lengths.")
    return np.stack(dimensions)
