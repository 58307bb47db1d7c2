"""Folders that a recipe names, below the data root or anywhere."""

from __future__ import annotations

from pathlib import Path

from sslplug.contracts import DataContext
from sslplug.errors import DataError


def below_root(folder: Path, context: DataContext) -> Path:
    """``folder`` itself, or below the data root. Raises DataError where it is neither."""
    places = [folder, *([context.root / folder] if context.root is not None else [])]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise DataError(f"{' and '.join(map(str, places))}: not there; check the path, or name the data root (--data-root).")
    return found
