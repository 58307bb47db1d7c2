"""A comparison as JSON and back without loss: what a repository keeps, so that its tables can be made again and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sslplug.errors import RunFolderError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.runfolder import write_text

FORMAT = 1


def write_comparison(file: Path, comparison: Comparison) -> None:
    """Publishes :func:`portable` of a comparison, one entry and one cell a line, so that versions of it can be compared.

    Raises ValueError where it holds a number that is not finite.
    """
    write_text(file, comparison_text(portable(comparison)))


def read_comparison(file: Path) -> Comparison:
    """What :func:`write_comparison` wrote. Raises RunFolderError for a file that is missing, damaged or of another version."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{file}: cannot be read ({error}); expected what `sslplug compare RUNS --json` wrote."
        ) from error
    try:
        return parsed(text)
    except ValueError as error:
        raise RunFolderError(f"{file}: {error}; write it anew with `sslplug compare RUNS --json {file}`.") from error


def comparison_text(comparison: Comparison) -> str:
    """The JSON text; fields that have their default value are left out.

    >>> empty = Comparison((), (), None, (), (), {})
    >>> parsed(comparison_text(empty)) == empty
    True
    """
    content = _plain(comparison)
    try:
        parts = [f'"format": {FORMAT}', *(f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items())]
    except ValueError as error:
        raise ValueError("a comparison holds a number that is not finite; unknown numbers are None") from error
    return "{\n" + ",\n".join(parts) + "\n}\n"


def parsed(text: str) -> Comparison:
    """The comparison of a JSON text. Raises ValueError, with what is wrong, for any other text."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"is no comparison of format {FORMAT}, found {found!r}")
    del content["format"]
    try:
        found = _adapter().validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{error.error_count()} values are not as expected, the first at {where}: {first['msg']}"
        ) from error
    if _plain(found) != content:
        raise ValueError("holds names that this version does not know, or spells out values that are left out")
    return found


def portable(comparison: Comparison) -> Comparison:
    """The same without the place where the runs lie: paths, also inside sentences, start below their common folder."""
    root = _common(comparison)
    if root in ("", "."):
        return comparison
    content = _adapter().dump_python(comparison, mode="json")
    return _adapter().validate_python(_without(content, root + os.sep))


def _common(comparison: Comparison) -> str:
    """The folder that holds ``<plugin>/<recipe>/<id>`` of every run; "" where there is none."""
    roots = [str(run.parents[2]) if len(run.parents) > 2 else "" for entry in comparison.entries for run in entry.runs]
    try:
        return os.path.commonpath(roots) if roots else ""
    except ValueError:  # absolute and relative paths side by side have nothing in common
        return ""


def _without(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if isinstance(value, Mapping):
        return {_without(key, root): _without(item, root) for key, item in value.items()}
    return [_without(item, root) for item in value] if isinstance(value, list | tuple) else value


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value) + "\n]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(comparison: Comparison) -> dict[str, Any]:
    found = _adapter().dump_python(comparison, mode="json", exclude_defaults=True)
    assert isinstance(found, dict)
    return found


@cache
def _adapter() -> TypeAdapter[Comparison]:
    return TypeAdapter(Comparison)
