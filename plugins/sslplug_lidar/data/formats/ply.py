"""PLY files (Turk 1994): ascii and binary, either byte order; the element ``vertex`` with x, y, z and whatever else is scalar."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslplug.errors import DataError
from sslplug_lidar.data.formats.packed import read_bytes

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip


def read_ply(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """(p, 3 + f) float64 x, y, z and the names of the other f properties. Vertices must be the file's first element."""
    content = read_bytes(path)
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise DataError(f"{path}: no PLY header (ply ... end_header); is it a .ply file?")
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
                raise DataError(f"{path}, line {number}: the first element is {words[1]!r}; expected vertex.")
            element = words[1]
            if element == "vertex":
                count = _whole(path, number, words[2])
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in TYPES:
                raise DataError(f"{path}, line {number}: {line!r}; expected a scalar property of a vertex.")
            fields.append((words[2], TYPES[words[1]]))
    names = [name for name, _ in fields]
    if count < 0 or not {"x", "y", "z"} <= set(names):
        raise DataError(f"{path}: vertices have {', '.join(names) or 'no properties'}; expected at least x, y, z.")
    if style == "ascii":
        values = _ascii(path, body, len(header) + 1, count, len(fields))
    elif style in ("binary_little_endian", "binary_big_endian"):
        order = "<" if style.endswith("little_endian") else ">"
        dtype = np.dtype([(name, order + kind) for name, kind in fields])
        if len(body) < count * dtype.itemsize:
            raise DataError(f"{path}: cut off in vertex {len(body) // dtype.itemsize} of {count}.")
        found = np.frombuffer(body, dtype, count)
        values = np.stack([found[name].astype(np.float64) for name in names], 1)
    else:
        raise DataError(f"{path}: format {style!r}; expected ascii, binary_little_endian or binary_big_endian.")
    first = [names.index(axis) for axis in "xyz"]
    rest = [place for place in range(len(names)) if place not in first]
    return values[:, first + rest], tuple(names[place] for place in rest)


def _whole(path: Path, number: int, word: str) -> int:
    if not word.isdigit():
        raise DataError(f"{path}, line {number}: {word!r} vertices; expected a whole number.")
    return int(word)


def _ascii(path: Path, body: bytes, before: int, count: int, width: int) -> np.ndarray:
    rows = []
    lines = body.decode("ascii", "replace").splitlines()
    if len(lines) < count:
        raise DataError(f"{path}: cut off after vertex {len(lines)} of {count}.")
    for number, line in enumerate(lines[:count], before + 1):
        words = line.split()
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}; expected {width} numbers.") from error
        if len(words) != width:
            raise DataError(f"{path}, line {number}: {len(words)} numbers; expected {width}.")
    return np.array(rows, np.float64).reshape(-1, width)
