"""The ``.ts`` files of the UEA and UCR archives: one series a line, dimensions split by ':', the class last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, unpacked


@dataclass(frozen=True)
class Series:
    """n series. values (n, C, T) float32, zeros after a series' end; lengths (n,) int64; classes (n,) names or None."""

    values: np.ndarray
    lengths: np.ndarray
    classes: np.ndarray | None


def read_ts(path: Path) -> Reading[Series]:
    """The series of one file, plain or ``.xz``; rows are series, counted from 1.

    Refused: no ``@data``, time stamps, no series. Told, and the series left out: cells that are no numbers, missing values ('?'),
    dimensions that differ in length or number, a class the header does not name.
    """
    file = str(path)
    try:
        text = unpacked(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            Faults("unreadable", file, f"not readable ({error})", "a .ts or .ts.xz text file", "Get or write it again.")
        ) from error
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
        raise Refused(
            Faults("no-data-line", file, "no line '@data'", "a header with it and one series a line after it", "Add it.")
        )
    if header.get("@timestamps", ["false"])[0].lower() == "true":
        raise Refused(
            Faults("time-stamps", file, "has time stamps", "evenly sampled series (@timeStamps false)", "Resample.")
        )
    named = header.get("@classlabel", header.get("@targetlabel", ["false"]))
    known = set(named[1:])
    rows, classes = yield from _rows(file, lines[begin:], known, named[0].lower() == "true")
    if not rows:
        raise Refused(Faults("no-rows", file, "no series after '@data'", "one a line", "Get or write it again."))
    lengths = np.array([row.shape[1] for row in rows], np.int64)
    values = np.zeros((len(rows), len(rows[0]), int(lengths.max())), np.float32)
    for place, row in enumerate(rows):
        values[place, :, : row.shape[1]] = row
    return Series(values, lengths, None if classes is None else np.array(classes))


def _rows(
    file: str, lines: Sequence[str], known: set[str], labelled: bool
) -> Reading[tuple[list[np.ndarray], list[str] | None]]:
    """(C, length) of each sound line, and its class."""
    rows: list[np.ndarray] = []
    classes: list[str] = []
    number = 0
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        number += 1
        cells = line.strip().split(":")
        word = cells.pop().strip() if labelled else ""
        if labelled and known and word not in known:
            expected = f"one that the header names: {', '.join(sorted(known))}"
            yield Faults("unknown-class", file, f"class {word!r}", expected, "Mend the class or the header.", [number])
            continue
        row = yield from _series(file, number, cells)
        if row is None:
            continue
        if rows and len(row) != len(rows[0]):
            found = f"{len(row)} dimensions; the first series has {len(rows[0])}"
            yield Faults("dimension-count", file, found, "as many in each series", "Mend the series.", [number])
            continue
        rows.append(row)
        classes.append(word)
    return rows, classes if labelled else None


def _series(file: str, number: int, cells: list[str]) -> Reading[np.ndarray | None]:
    """(C, length) of one line, or None."""
    dimensions = []
    sound = True
    for place, cell in enumerate(cells):
        name = f"dimension {place}"
        try:
            values = np.array(cell.split(","), np.float32)
        except ValueError as error:
            kind, found = ("missing-value", "a missing value ('?')") if "?" in cell else ("not-a-number", str(error))
            yield Faults(kind, file, found, "numbers", "Fill it first.", [number], name)
            sound = False
            continue
        if not np.isfinite(values).all():
            yield Faults("not-finite", file, "NaN or infinite", "finite numbers", "Fill it first.", [number], name)
            sound = False
        dimensions.append(values)
    if sound and (len({len(d) for d in dimensions}) != 1 or not len(dimensions[0])):
        found = f"dimensions of {', '.join(str(len(d)) for d in dimensions)} samples"
        yield Faults("unequal-dimensions", file, found, "equal lengths", "Mend the series.", [number])
        sound = False
    return np.stack(dimensions) if sound else None
