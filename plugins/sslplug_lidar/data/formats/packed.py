"""Files as bytes, unpacked where they are packed with xz or gzip, and cut into records of one size or lines of numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, finished, unpacked


def records_of(path: Path, dtype: np.dtype, what: str) -> Reading[np.ndarray]:
    """The file as (k,) records of ``dtype``; where it ends within one that is told, and the whole ones are returned."""
    content = unpacked(path)
    rest = len(content) % dtype.itemsize
    if rest:
        yield Faults(
            "cut-off",
            str(path),
            f"{len(content)} bytes, of which {rest} are left over",
            f"whole {what} of {dtype.itemsize} bytes",
            "It is cut off in this row, or of another format; get it again.",
            [len(content) // dtype.itemsize + 1],
        )
    return np.frombuffer(content[: len(content) - rest], dtype).copy()


def records(path: Path, dtype: np.dtype, what: str) -> np.ndarray:
    """The same; DataError where the file ends within a record."""
    return finished(records_of(path, dtype, what))


def lines_of(path: Path, width: int, what: str) -> Reading[tuple[np.ndarray, np.ndarray]]:
    """(k, width) float64 of a text file with ``width`` numbers a line, and the (k,) lines from 1; blank ones are left out.

    Lines that hold anything else are told and left out.
    """
    content = unpacked(path).replace(b",", b" ")
    lines = content.split(b"\n")
    number = np.flatnonzero([bool(line.strip()) for line in lines]) + 1
    if not len(number):
        return np.empty((0, width)), number
    try:
        values = np.loadtxt(io.BytesIO(content), np.float64, comments=None, ndmin=2, encoding="utf-8")
        if values.shape == (len(number), width):
            return values, number
    except (ValueError, UnicodeDecodeError):
        pass  # told line by line below
    rows, kept = [], []
    odd: list[tuple[int, str]] = []
    ragged: list[tuple[int, int]] = []
    for place in number:
        words = lines[place - 1].decode("utf-8", "replace").split()
        try:
            found = [float(word) for word in words]
        except ValueError as error:
            odd.append((int(place), str(error)))
            continue
        if len(found) != width:
            ragged.append((int(place), len(found)))
            continue
        rows.append(found)
        kept.append(int(place))
    if odd:
        yield Faults(
            "not-a-number",
            str(path),
            lambda k: odd[k][1],
            f"{width} numbers ({what}) in each line",
            "Mend the line; a line of names does not belong here.",
            [place for place, _ in odd],
        )
    if ragged:
        yield Faults(
            "ragged-line",
            str(path),
            lambda k: f"{ragged[k][1]} numbers",
            f"{width} numbers ({what}) in each line",
            "Mend the line.",
            [place for place, _ in ragged],
        )
    return np.array(rows, np.float64).reshape(-1, width), np.array(kept, np.int64)


def table(path: Path, width: int, what: str) -> np.ndarray:
    """(k, width) float64 of a text file; DataError with the first line that does not hold ``width`` numbers."""
    return finished(lines_of(path, width, what))[0]
