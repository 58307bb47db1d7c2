"""Packed files of a user's own, read with suspicion: no pickled object is loaded, and what would fill the memory is refused."""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np

from sslplug.contracts.reading import Faults, Reading, Refused, finished

_ROOM = 2**30
"""Bytes that any file may unpack to."""
_RATIO = 500
"""Beyond them: so many times the packed size. Measurements stay far below; a file made to fill a memory does not."""
_DAMAGED = (
    OSError, ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, AttributeError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError,
)  # fmt: skip


def arrays_in(path: Path, expected: str, mend: str) -> Reading[dict[str, np.ndarray]]:
    """The plain arrays of a ``.npz`` by name; one that is damaged or holds objects is told and left out.

    ``expected`` and ``mend`` are halves of sentences, as :class:`Fault` has them. Refused where the file is missing, empty, no
    archive, or unpacks beyond all measure.
    """
    file = str(path)
    try:
        if not path.is_file():
            raise Refused(Faults("unreadable", file, "no such file", expected, mend))
        if not path.stat().st_size:
            raise Refused(Faults("empty-file", file, "an empty file", expected, mend))
        if not zipfile.is_zipfile(path):
            raise Refused(Faults("no-archive", file, "no .npz archive", expected, mend))
        with zipfile.ZipFile(path) as members:
            _measured(path, sum(member.file_size for member in members.infolist()))
        found: dict[str, np.ndarray] = {}
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    member = archive[name]
                except _DAMAGED as error:
                    yield Faults("damaged-array", file, f"{name} cannot be read ({error})", expected, mend, column=name)
                    continue
                if isinstance(member, np.ndarray):
                    found[name] = member
                else:  # numpy hands a member without its own header out as bytes
                    yield Faults("damaged-array", file, f"{name} is no array", expected, mend, column=name)
    except _DAMAGED as error:
        raise Refused(Faults("unreadable", file, f"no readable .npz ({error})", expected, mend)) from error
    return found


def plain_arrays(path: Path, expected: str) -> dict[str, np.ndarray]:
    """The same for a file that must be whole: DataError names the first fault."""
    return finished(arrays_in(path, expected, "Get or write it again."))


def unpacked(path: Path) -> bytes:
    """A file's content, unpacked where it ends in ``.xz`` or ``.gz``. Refused where it is missing, damaged, or unpacks too far."""
    try:
        if path.suffix not in (".xz", ".gz"):
            return path.read_bytes()
        most = max(_ROOM, _RATIO * path.stat().st_size)
        with lzma.open(path, "rb") if path.suffix == ".xz" else gzip.open(path, "rb") as file:
            content: bytes = file.read(most + 1)
        _measured(path, len(content))
    except (EOFError, MemoryError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        found = f"packed data that is damaged or cut off ({error})"
        raise Refused(
            Faults("damaged-packing", str(path), found, f"a whole {path.suffix} file", "Get the file again.")
        ) from error
    except OSError as error:
        found = f"a file that cannot be read ({error})"
        raise Refused(Faults("unreadable", str(path), found, "a file that can", "Check the path.")) from error
    return content


def _measured(path: Path, size: int) -> None:
    """Refused where ``size`` unpacked bytes are beyond all measure."""
    most = max(_ROOM, _RATIO * path.stat().st_size)
    if size > most:
        found = f"{path.stat().st_size} bytes that unpack to more than {most}"
        mend = "Do not trust the file; if it is right, hand it over unpacked."
        raise Refused(Faults("unpacks-too-far", str(path), found, "measured data, which never do", mend))
