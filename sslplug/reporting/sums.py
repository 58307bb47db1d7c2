"""``SHA256SUMS`` of a run folder: what its tables and fitted values were when they were written, as ``sha256sum -c`` reads it.

A checkpoint has its own manifest; logs and metrics grow, and are read by people. What is listed here is read by commands that would
take a changed number for the true one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sslplug.errors import RunFolderError
from sslplug.reporting.runfolder import write_text

NAME = "SHA256SUMS"


def record(folder: Path, files: Iterable[Path]) -> None:
    """Lists files of the folder with their digests, in place of what was listed of them. RunFolderError where the disk refuses."""
    listed = _listed(folder)
    try:
        listed |= {file.name: _digest(file) for file in files}
    except OSError as error:
        raise RunFolderError(f"{error.filename}: cannot be read again ({error.strerror}) after it was written.") from error
    write_text(folder / NAME, "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items())))


def prove(file: Path, remedy: str) -> None:
    """RunFolderError, ending in ``remedy``, where a file is missing, not listed, or not the one that was written."""
    wanted = _listed(file.parent).get(file.name)
    try:
        found = _digest(file)
    except OSError as error:
        raise RunFolderError(f"{file}: missing or damaged ({error.strerror}); {remedy}") from error
    if found != wanted:
        what = f"no sha256 of it is in {NAME}" if wanted is None else f"its sha256 is not the one in {NAME}"
        raise RunFolderError(f"{file}: missing or damaged ({what}); {remedy}")


def _listed(folder: Path) -> dict[str, str]:
    """{name: digest}; a damaged line lists nothing."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunFolderError(f"{folder / NAME}: cannot be read ({error.strerror}); mend the folder's rights.") from error
    return {name: digest for digest, gap, name in (line.partition("  ") for line in lines) if gap}


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
