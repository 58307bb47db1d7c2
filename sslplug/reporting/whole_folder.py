"""A folder that a command writes is replaced whole: readers see the old files or the new, and nothing piles up."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from sslplug.errors import RunFolderError, UsageError
from sslplug.reporting.runfolder import write_text

_MARK = ".written-by-sslplug"


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fills a new folder beside ``folder`` and puts it in its place by renaming; what an earlier call wrote is removed.

    A mark inside says that the folder is this function's. Raises UsageError for one with files but without the mark: it is
    somebody's, and stays. Raises RunFolderError where the disk refuses; the old folder is then back in its place.
    """
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder}: is there already and sslplug did not write it; move it away or choose another place for the output."
        )
    token = secrets.token_hex(4)
    new, old = folder.with_name(f".{folder.name}.{token}"), folder.with_name(f".{folder.name}.{token}.old")
    try:
        new.mkdir(parents=True)
        fill(new)
        write_text(
            new / _MARK, "This folder is replaced whole by the command that wrote it; keep nothing of your own in it.\n"
        )
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise RunFolderError(
            f"{folder}: cannot be written ({error.strerror}); the old content is kept. Free space or mend the folder's rights."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
