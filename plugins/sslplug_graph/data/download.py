"""Finds a named set under the data root, or fetches it when that is allowed; proves it before it is used."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_graph.data.catalogue import Source

_LARGEST = 2**30
"""Bytes of one file of an archive; the largest of the catalogue has a few million."""


def locate(source: Source, context: DataContext) -> Path:
    """The folder with the set's files: below the data root, else below the cache, else fetched into the cache.

    Raises DataError that says where the files belong and how to get them.
    """
    places = [root / source.folder for root in (context.root, context.cache) if root is not None]
    for folder in places:
        if all((folder / file).is_file() for file in source.files):
            return folder
    if not context.download:
        looked = " or ".join(str(folder) for folder in places)
        root = "the data root (--data-root or SSLPLUG_DATA)" if context.root is None else str(context.root)
        raise DataError(
            f"{source.title}: not found in {looked}; expected the files {', '.join(source.files)}. Allow the download "
            f"(--download), or get them from {source.url.format(file='<file>')} and put them into {source.folder} below "
            f"{root}."
        )
    return _fetch(source, context.cache / source.folder)


def _fetch(source: Source, folder: Path) -> Path:
    """Fetches the set once for all processes that want it: the others wait and find it. A dead one's lock is free.

    Each file is published by a rename: whoever looks in meanwhile sees a whole file or none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if all((folder / file).is_file() for file in source.files):
                return folder
            for debris in folder.glob(".fetched-*"):  # of a process that was killed
                shutil.rmtree(debris, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetched-") as place:
                (_unpack if source.url.endswith(".zip") else _retrieve)(source, Path(place))
                for file in source.files:
                    (Path(place) / file).replace(folder / file)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{source.title}: download failed ({error}). Put the files into {folder} by hand.") from error
    return folder


def _retrieve(source: Source, place: Path) -> None:
    """Each file by itself, its digest checked where one is published."""
    import pooch  # slow to import, and needed here alone

    for file, digest in source.files.items():
        known = None if digest is None else f"sha256:{digest}"
        pooch.retrieve(source.url.format(file=file), known_hash=known, fname=file, path=place, progressbar=False)


def _unpack(source: Source, place: Path) -> None:
    """The set's files out of one archive; whatever else lies in it, and wherever it would go, stays inside."""
    import pooch  # slow to import, and needed here alone

    archive = pooch.retrieve(source.url, known_hash=None, path=place, progressbar=False)
    with zipfile.ZipFile(archive) as members:
        inside = {Path(member.filename).name: member for member in members.infolist()}
        for file in source.files:
            if file not in inside:
                raise DataError(f"{source.url}: the archive has no {file}; get the set by hand.")
            if inside[file].file_size > _LARGEST:
                raise DataError(
                    f"{source.url}: {file} would take {inside[file].file_size} bytes; expected at most {_LARGEST}. This is not the "
                    "published archive; get the set by hand."
                )
            with members.open(inside[file]) as content, (place / file).open("wb") as out:
                shutil.copyfileobj(content, out)


def prove(source: Source, found: str, folder: Path) -> None:
    """Compares the parsed content's sha256 with the published content's. Raises DataError if they differ."""
    if source.content is not None and found != source.content:
        raise DataError(
            f"{folder}: the content's sha256 is {found}; expected {source.content} for {source.title}. The files are not "
            f"the published ones; remove them and get them again from {source.url.format(file='<file>')}."
        )
