"""The pytest plugin: discovery finds the toy, and other projects do not pay for torch."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys


def test_toy_plugin_is_found_by_its_entry_point(toy_plugin: str) -> None:
    found = importlib.metadata.entry_points(group="sslplug.plugins")
    assert found[toy_plugin].load().name == toy_plugin


def test_child_processes_find_the_toy_plugin(toy_plugin: str) -> None:
    code = "import importlib.metadata as m; print('toy' in m.entry_points(group='sslplug.plugins').names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_importing_the_pytest_plugin_imports_no_torch() -> None:
    code = "import sslplug.testing.pytest_plugin, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
