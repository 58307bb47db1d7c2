"""Writes a plugin's package from templates: files that are whole but for the domain's name and the kind of batch."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
from importlib import resources
from pathlib import Path

from sslplug.errors import RunFolderError, UsageError

KINDS = {
    "table": "rows of numbers, all of one length",
    "sequence": "ordered steps, a length of its own for each instance",
    "set": "points without order, a number of its own for each instance",
    "graph": "one graph whose nodes are the instances",
}
"""What a batch can look like, {kind: in words}."""

_PARTS = {kind: ("shared", kind) for kind in KINDS} | {kind: ("shared", "ragged", kind) for kind in ("sequence", "set")}
"""Folders of templates that make up each kind."""

_NAME = "newdomain"
"""The word that stands for the domain's name in templates."""


def new_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Writes ``folder/sslplug-NAME``; returns its files. Published by one rename: there is a whole package or none.

    Raises UsageError for a name that cannot be a package's or is one, and where the folder exists; RunFolderError when the disk
    refuses.
    """
    shaped = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and 2 <= len(name) <= 31
    if not shaped or keyword.iskeyword(name) or name == _NAME:
        raise UsageError(
            f"{name!r} cannot name a plugin; expected 2 to 31 lower-case letters and digits, a letter first, single underscores "
            "between words, and no word of Python's, such as 'spectra'."
        )
    if importlib.util.find_spec(f"sslplug_{name}") is not None:
        raise UsageError(
            f"A package sslplug_{name} is installed already; choose another name than {name!r}. Nothing was written."
        )
    if kind not in KINDS:
        raise UsageError(f"--kind {kind!r}; expected one of {', '.join(KINDS)}.")
    target = folder / f"sslplug-{name.replace('_', '-')}"
    if target.exists():
        raise UsageError(f"{target} exists; choose another name or folder, or remove it. Nothing was written.")
    hidden = folder / f".{target.name}.{os.getpid()}"
    try:
        for place, text in _files(name, kind).items():
            file = hidden / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        os.replace(hidden, target)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise RunFolderError(f"{target} could not be written ({error}); free space or choose another folder.") from error
    return sorted(file for file in target.rglob("*") if file.is_file())


def _files(name: str, kind: str) -> dict[str, str]:
    """{path in the package: text}. Templates lie flat; their first line says where each goes."""
    found = {}
    for part in _PARTS[kind]:
        for template in sorted(resources.files("sslplug.scaffold").joinpath(part).iterdir(), key=lambda one: one.name):
            if not template.name.endswith(".in"):
                continue
            place, _, text = template.read_text(encoding="utf-8").partition("\n")
            filled = text.replace("newkind", kind).replace("new-domain", name.replace("_", "-")).replace(_NAME, name)
            found[place.replace(_NAME, name)] = filled
    return found
