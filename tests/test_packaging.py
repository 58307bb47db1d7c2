"""What is installed: every package folder of the tree, every recipe and every typed marker."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def settings() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def package_folders() -> dict[str, Path]:
    """{package: folder} of every folder with Python files under sslplug, plugins and configs."""
    roots = {"sslplug": ROOT / "sslplug", "sslplug_configs": ROOT / "configs"}
    roots |= {folder.name: folder for folder in sorted((ROOT / "plugins").iterdir()) if folder.is_dir()}
    found = {}
    for name, root in roots.items():
        for folder in [root, *root.rglob("*")]:
            if folder.is_dir() and any(folder.glob("*.py")):
                found[".".join([name, *folder.relative_to(root).parts])] = folder
    return found


def test_every_package_is_installed(settings: Any) -> None:
    assert sorted(settings["packages"]) == sorted(package_folders())


def test_recipes_and_typed_markers_are_installed(settings: Any) -> None:
    folders = package_folders()
    for pattern in ("*.yaml", "py.typed"):
        bringing = {name for name, folder in folders.items() if any(folder.glob(pattern))}
        listed = {name for name, patterns in settings["package-data"].items() if pattern in patterns}
        assert bringing == listed, pattern
