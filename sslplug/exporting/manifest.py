"""``manifest.json`` of an exported encoder: the sha256 of every file, and how each program is called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslplug.errors import RunFolderError

NAME = "manifest.json"
FORMAT = 1


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """{file: its sha256 and bytes} of every file in a folder."""
    return {file.name: _digest(file) for file in sorted(folder.iterdir()) if file.name != NAME}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose files are those that it lists.

    Raises RunFolderError for a folder without manifest, and for a file that is missing or not the one that was written.
    """
    file = folder / NAME
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        listed: Mapping[str, Any] = manifest["files"]
        if manifest["format"] != FORMAT:
            raise RunFolderError(f"{file}: has format {manifest['format']}; this version of sslplug reads {FORMAT}.")
        for name, wanted in listed.items():
            if not (folder / name).is_file() or _digest(folder / name) != wanted:
                raise RunFolderError(
                    f"{folder / name}: missing, or not the file that was exported (its sha256 or size differs). "
                    "Export the run anew; do not use this folder."
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{file}: missing or damaged ({type(error).__name__}: {error}); expected a folder that `sslplug export` wrote."
        ) from error
    return manifest


def _digest(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
