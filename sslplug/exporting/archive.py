"""torch's program archive (pt2) as a file that may be opened: without pickles inside.

The archive is a zip of JSON and raw tensors, with three places for pickles: sample inputs, tensor subclasses, custom objects.
``torch.export.load`` unpickles what it finds there, at last without restriction, so a strange file could run code. A program
of ours has none of the three.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import torch
from torch.export import ExportedProgram

from sslplug.errors import RunFolderError
from sslplug.exporting.program import quiet


def load_program(file: Path) -> ExportedProgram:
    """The program in a file. RunFolderError where it is none, or holds a pickle, which is then not opened."""
    try:
        found = pickled(file)
        if found:
            raise RunFolderError(
                f"{file}: holds pickled data ({found}), which could run code; sslplug writes none. Not opened."
            )
        with quiet():
            return torch.export.load(file)
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"{file}: is no program that torch {torch.__version__} reads ({error}).") from error


def pickled(file: Path) -> str:
    """The first part of an archive that loading it would unpickle, or ""."""
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            place = part.filename.partition("/")[2]
            if place.startswith("data/sample_inputs/") and part.file_size:
                return part.filename
            # Older archives hold weights and constants as one pickle each, newer ones as raw files beside a JSON.
            if place.startswith(("data/weights/", "data/constants/")):
                if place.endswith(".pt") or "obj" in Path(place).name:
                    return part.filename
                if place.endswith(".json"):
                    config = json.loads(archive.read(part))["config"]
                    hidden = [name for name, one in config.items() if one["use_pickle"]]
                    if hidden:
                        return f"{part.filename}: {hidden[0]}"
    return ""
