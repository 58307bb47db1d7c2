"""Finds the files of a named set below the data root (or the cache) and proves them by sha256 before they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sslplug.contracts import DataContext
from sslplug.errors import DataError


def proved_files(title: str, folder: str, digests: Mapping[str, str], origin: str, context: DataContext) -> list[Path]:
    """The files in the order of ``digests`` {name: sha256}. Raises DataError that says where they belong and come from."""
    roots = [root for root in (context.root, context.cache) if root is not None]
    place = next((root / folder for root in roots if all((root / folder / name).is_file() for name in digests)), None)
    if place is None:
        looked = " or ".join(str(root / folder) for root in roots)
        raise DataError(
            f"{title}: not found in {looked}; expected the files {', '.join(digests)}. Name the data root (--data-root or "
            f"SSLPLUG_DATA) that holds {folder}. {origin}"
        )
    for name, digest in digests.items():
        found = hashlib.sha256((place / name).read_bytes()).hexdigest()
        if found != digest:
            raise DataError(
                f"{place / name}: its sha256 is {found}; expected {digest} for {title}. The file is damaged or another version; "
                "remove it and get it again."
            )
    return [place / name for name in digests]
