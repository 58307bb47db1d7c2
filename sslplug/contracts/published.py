"""Published sets below the data root, proved to be the published ones before a plugin reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sslplug.contracts.data import DataContext
from sslplug.errors import DataError


@dataclass(frozen=True)
class PublishedSet:
    """A set by its files, which a user puts below the data root (or the cache).

    title   what the literature calls it
    folder  below the root
    files   {file name: sha256, or None where no digest is published}
    home    where to get it, after "Get it from"
    """

    title: str
    folder: str
    files: Mapping[str, str | None]
    home: str = ""

    def proved(self, context: DataContext, names: Sequence[str] = ()) -> list[Path]:
        """The set's files (or those of ``names``), in order.

        Raises DataError where one is missing, which says where it belongs, or is another than the published one.
        """
        wanted = tuple(names) or tuple(self.files)
        roots = [root for root in (context.root, context.cache) if root is not None]
        places = [root / self.folder for root in roots]
        place = next((place for place in places if all((place / name).is_file() for name in wanted)), None)
        origin = f" Get it from {self.home}." if self.home else ""
        if place is None:
            raise DataError(
                f"{self.title}: not found in {' or '.join(map(str, places))}; expected the files {', '.join(wanted)}. Put them "
                f"into {self.folder} below the data root (--data-root or SSLPLUG_DATA).{origin}"
            )
        for name in wanted:
            digest = self.files[name]
            if digest is None:
                continue
            with (place / name).open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != digest:
                raise DataError(
                    f"{place / name}: its sha256 is {found}; expected {digest} for {self.title}. The file is not the "
                    f"published one; remove it and get it again.{origin}"
                )
        return [place / name for name in wanted]

    def place(self, context: DataContext, names: Sequence[str] = ()) -> Path:
        """The folder that holds the files, proved likewise."""
        return self.proved(context, names)[0].parent
