"""Every example in a docstring of the engine and the plugins gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def with_examples() -> list[str]:
    """Modules whose source holds an example."""
    files = [
        file.relative_to(base).with_suffix("")
        for base, folder in ((ROOT, "sslplug"), (ROOT / "plugins", "."))
        for file in sorted((base / folder).rglob("*.py"))
        if ">>> " in file.read_text(encoding="utf-8")
    ]
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


def test_there_are_examples() -> None:
    assert len(with_examples()) >= 10


@pytest.mark.parametrize("module", with_examples())
def test_examples(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted, f"{module}: its examples are not found; are they in a public docstring?"
    assert not found.failed, f"{module}: {found.failed} of {found.attempted} examples are wrong; see the output above."
