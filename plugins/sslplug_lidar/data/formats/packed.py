"""Files as bytes, unpacked where they are packed with xz or gzip, and cut into records of one size."""

from __future__ import annotations

import gzip
import lzma
import zlib
from pathlib import Path

import numpy as np

from sslplug.errors import DataError


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises DataError where it is missing or its packing is damaged."""
    try:
        content = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(content)
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path.") from error
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise DataError(f"{path}: damaged or cut off ({error}); get the file again.") from error


def records(path: Path, dtype: np.dtype, what: str) -> np.ndarray:
    """The file as (k,) records of ``dtype``. Raises DataError where it ends within one."""
    content = read_bytes(path)
    rest = len(content) % dtype.itemsize
    if rest:
        raise DataError(
            f"{path}: {len(content)} bytes are no whole number of {what} of {dtype.itemsize} bytes; the file is cut off in row "
            f"{len(content) // dtype.itemsize}, or of another format."
        )
    return np.frombuffer(content, dtype).copy()


def table(path: Path, width: int, what: str) -> np.ndarray:
    """(k, width) float64 of a text file with ``width`` numbers a line; blank lines are left out."""
    rows = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}; expected {width} numbers ({what}).") from error
        if len(values) != width:
            raise DataError(f"{path}, line {number}: {len(values)} numbers; expected {width} ({what}).")
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, width)
