"""Where the named sets lie below the data root, and proof that the files are the published ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sslplug.contracts import DataContext
from sslplug.errors import DataError


def proved_files(title: str, folder: str, digests: Mapping[str, str], context: DataContext) -> list[Path]:
    """The files in the order of ``digests`` {name: sha256}, below the data root or the cache.

    Raises DataError where a file is missing or another than the published one.
    """
    roots = [root for root in (context.root, context.cache) if root is not None]
    place = next((root / folder for root in roots if all((root / folder / name).is_file() for name in digests)), None)
    if place is None:
        looked = " or ".join(str(root / folder) for root in roots)
        raise DataError(
            f"{title}: not found in {looked}; expected the files {', '.join(digests)}. Name the data root (--data-root or "
            f"SSLPLUG_DATA) that holds {folder}."
        )
    for name, digest in digests.items():
        with (place / name).open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != digest:
            raise DataError(
                f"{place / name}: its sha256 is {found}; expected {digest} for {title}. The file is damaged or another version; "
                "remove it and get it again."
            )
    return [place / name for name in digests]


def below_root(folder: Path, context: DataContext) -> Path:
    """``folder`` itself, or below the data root. Raises DataError where it is neither."""
    places = [folder, *([context.root / folder] if context.root is not None else [])]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise DataError(f"{' and '.join(map(str, places))}: not there; check the path, or name the data root (--data-root).")
    return found
