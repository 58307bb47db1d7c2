"""Run folders: ``<runs>/<plugin>/<recipe>/<id>/``, files published whole or not at all, and reading them back."""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sslplug.errors import RecipeError, RunFolderError
from sslplug.recipe_yaml import read_recipe

_PACKAGES = ("sslplug", "torch", "torch-geometric", "pytorch-metric-learning", "lightgbm", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says: its resolved recipe, environment and metrics, as plain data."""

    path: Path
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: Mapping[str, Any]


def create_run(runs: Path, plugin: str, recipe: str) -> Path:
    """A new, empty run folder. Its id is the UTC time and 32 random bits; ``mkdir`` itself decides who owns it.

    Raises RunFolderError where the folder cannot be made.
    """
    parent = runs / plugin / recipe
    while True:
        folder = parent / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError as error:
            if not parent.is_dir():
                raise RunFolderError(
                    f"{parent}: a file is in the way of this folder; name another one with --runs."
                ) from error
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be made ({error.strerror}); name another folder with --runs.") from error
        else:
            return folder


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Holds a run folder: one process at a time writes it. The lock goes with the process, however that ends.

    Raises RunFolderError where another process is at work there, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunFolderError(f"{folder}: another process is at work in this run; wait for it, or stop it.") from error
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written ({error.strerror}); mend the folder's rights.") from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process is at work in a run folder, this one included."""
    if not (folder / ".lock").exists():
        return False
    try:
        with at_work(folder):
            return False
    except RunFolderError:
        return True


def write_text(file: Path, text: str) -> None:
    """Publishes a file by one rename: readers see the old content or the new, also after a power cut or on a full disk.

    Raises RunFolderError, leaving the old file and no debris.
    """
    hidden = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with hidden.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(hidden, file)
    except OSError as error:
        with suppress(OSError):  # a disk that turned read-only keeps the debris too
            hidden.unlink(missing_ok=True)
        raise RunFolderError(
            f"{file}: cannot be written ({error.strerror}); the old content is kept. Free space or mend the folder's rights."
        ) from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Publishes JSON like :func:`write_text`. Numbers that are not finite become null, which every reader understands."""
    write_text(file, json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def update_json(file: Path, changes: Mapping[str, Any]) -> None:
    """Sets top-level keys of a JSON file, which need not exist yet."""
    write_json(file, {**(_read_json(file) if file.exists() else {}), **changes})


def write_environment(folder: Path) -> None:
    """``environment.json``: which versions ran, on what kind of machine."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a distribution"
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} on {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    write_json(folder / "environment.json", {**machine, "versions": versions})


def read_metrics(folder: Path) -> dict[str, Any]:
    """The content of a run's ``metrics.json``. Raises RunFolderError where it is missing or damaged."""
    return _read_json(folder / "metrics.json")


def read_run(folder: Path) -> RunRecord:
    """A finished run's record.

    Raises RunFolderError for a folder that is no run, has no metrics yet, or holds a damaged file.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: there is no such folder; give one that `sslplug train` made.")
    try:
        recipe = read_recipe(folder / "recipe.yaml")
    except RecipeError as error:
        raise RunFolderError(f"{folder}: its recipe cannot be read, so this is no whole run folder. {error}") from error
    if not (folder / "metrics.json").is_file():
        raise RunFolderError(
            f"{folder}: has no metrics.json, the run did not finish; `sslplug resume {folder}` goes on with it."
        )
    return RunRecord(folder, recipe, _read_json(folder / "environment.json"), read_metrics(folder))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{file}: cannot be read ({error.strerror}); expected a file of a whole run folder.") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{file}: is damaged ({error}); restore it, or evaluate the run anew.") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{file}: holds a {type(content).__name__}; expected an object of named values.")
    return content


def finite(value: Any) -> Any:
    """Plain data with None for every number that is not finite, as JSON has none."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value
