"""Finds a named set under the data root, or fetches it when that is allowed; proves it before it is used."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_graph.data.catalogue import Source


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
    import pooch  # slow to import, and needed by this line alone

    folder.mkdir(parents=True, exist_ok=True)
    try:
        if source.url.endswith(".zip"):
            archive = Path(pooch.retrieve(source.url, known_hash=None, path=folder, progressbar=False))
            with zipfile.ZipFile(archive) as members:
                inside = {Path(name).name: name for name in members.namelist()}
                for file in source.files:
                    if file not in inside:
                        raise DataError(f"{source.url}: the archive has no {file}; get the set by hand into {folder}.")
                    with members.open(inside[file]) as content, (folder / file).open("wb") as out:
                        shutil.copyfileobj(content, out)
            archive.unlink()
        else:
            for file, digest in source.files.items():
                pooch.retrieve(
                    source.url.format(file=file),
                    known_hash=None if digest is None else f"sha256:{digest}",
                    fname=file,
                    path=folder,
                    progressbar=False,
                )
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{source.title}: download failed ({error}). Put the files into {folder} by hand.") from error
    return folder


def prove(source: Source, found: str, folder: Path) -> None:
    """Compares the parsed content's sha256 with the published content's. Raises DataError if they differ."""
    if source.content is not None and found != source.content:
        raise DataError(
            f"{folder}: the content's sha256 is {found}; expected {source.content} for {source.title}. The files are not "
            f"the published ones; remove them and get them again from {source.url.format(file='<file>')}."
        )
