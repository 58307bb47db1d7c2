"""Published files below the data root, proved to be the published ones before a plugin reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sslplug.contracts.data import DataContext
from sslplug.errors import DataError


def proved_files(title: str, folder: str, digests: Mapping[str, str], context: DataContext, origin: str = "") -> list[Path]:
    """The files in the order of ``digests`` {name: sha256}, in ``folder`` below the data root or the cache.

    ``origin`` is a sentence on where to get them. Raises DataError where a file is missing or another than the published one.
    """
    roots = [root for root in (context.root, context.cache) if root is not None]
    place = next((root / folder for root in roots if all((root / folder / name).is_file() for name in digests)), None)
    if place is None:
        looked = " or ".join(str(root / folder) for root in roots)
        raise DataError(
            f"{title}: not found in {looked}; expected the files {', '.join(digests)}. Put them into {folder} below the data root "
            f"(--data-root or SSLPLUG_DATA). {origin}".rstrip()
        )
    for name, digest in digests.items():
        with (place / name).open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != digest:
            raise DataError(
                f"{place / name}: its sha256 is {found}; expected {digest} for {title}. The file is not the published one; "
                f"remove it and get it again. {origin}".rstrip()
            )
    return [place / name for name in digests]
