"""PLY files (Turk 1994): ascii and binary, either byte order; the element ``vertex`` with x, y, z and whatever else is scalar."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslplug.contracts import Faults, Reading, Refused, finished, unpacked

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip


def read_ply(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """See :func:`ply_of`; DataError with the first fault."""
    return finished(ply_of(path))


def ply_of(path: Path) -> Reading[tuple[np.ndarray, tuple[str, ...]]]:
    """(p, 3 + f) float64 x, y, z and the names of the other f properties. Vertices must be the file's first element.

    Rows of faults are vertices, counted from 1. Vertices that are missing or no numbers are told and left out.
    """
    content = unpacked(path)
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise _header(path, "no-header", "no PLY header (ply ... end_header)", "a .ply file")
    header = content[:end].decode("ascii", "replace").splitlines()
    body = content[content.index(b"\n", end) + 1 :]
    style, count, fields = "", -1, list[tuple[str, str]]()
    element = ""
    for number, line in enumerate(header, 1):
        words = line.split()
        if words[:1] == ["format"] and len(words) >= 2:
            style = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            if element == "" and words[1] != "vertex":
                raise _header(path, "other-element", f"in header line {number} the first element {words[1]!r}", "vertex")
            element = words[1]
            if element == "vertex":
                if not words[2].isdigit():
                    raise _header(path, "bad-count", f"in header line {number} {words[2]!r} vertices", "a whole number")
                count = int(words[2])
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in TYPES:
                raise _header(path, "other-property", f"in header line {number} {line!r}", "a scalar property of a vertex")
            fields.append((words[2], TYPES[words[1]]))
    names = [name for name, _ in fields]
    if count < 0 or not {"x", "y", "z"} <= set(names):
        raise _header(path, "no-coordinates", f"vertices with {', '.join(names) or 'no properties'}", "at least x, y, z")
    if style == "ascii":
        values = yield from _ascii(path, body, count, len(fields))
    elif style in ("binary_little_endian", "binary_big_endian"):
        order = "<" if style.endswith("little_endian") else ">"
        dtype = np.dtype([(name, order + kind) for name, kind in fields])
        if len(body) < count * dtype.itemsize:
            yield _fewer(path, len(body) // dtype.itemsize, count)
            count = len(body) // dtype.itemsize
        found = np.frombuffer(body, dtype, count)
        values = np.stack([found[name].astype(np.float64) for name in names], 1)
    else:
        raise _header(path, "other-style", f"the format {style!r}", "ascii, binary_little_endian or binary_big_endian")
    first = [names.index(axis) for axis in "xyz"]
    rest = [place for place in range(len(names)) if place not in first]
    return values[:, first + rest], tuple(names[place] for place in rest)


def _header(path: Path, kind: str, found: str, expected: str) -> Refused:
    return Refused(Faults(kind, str(path), found, expected, "Write the file again."))


def _fewer(path: Path, there: int, count: int) -> Faults:
    return Faults(
        "fewer-vertices",
        str(path),
        f"the end of the file after {there} vertices",
        f"{count} vertices, as its header says",
        "It is cut off in this vertex, or its header lies; write it again.",
        [there + 1],
    )


def _ascii(path: Path, body: bytes, count: int, width: int) -> Reading[np.ndarray]:
    lines = body.decode("ascii", "replace").splitlines()
    if len(lines) < count:
        yield _fewer(path, len(lines), count)
    lines = lines[:count]
    try:
        values = np.loadtxt(lines, np.float64, comments=None, ndmin=2) if lines else np.empty((0, width))
        if values.shape == (len(lines), width):
            return values
    except ValueError:
        pass  # told line by line below
    rows, odd = [], list[tuple[int, str]]()
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            row = [float(word) for word in words]
        except ValueError as error:
            odd.append((number, str(error)))
            continue
        if len(row) == width:
            rows.append(row)
        else:
            odd.append((number, f"{len(words)} numbers"))
    if odd:
        yield Faults(
            "bad-vertex",
            str(path),
            lambda k: odd[k][1],
            f"{width} numbers, one a property",
            "Mend the line or write the file again.",
            [number for number, _ in odd],
        )
    return np.array(rows, np.float64).reshape(-1, width)
