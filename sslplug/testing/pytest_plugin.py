"""What ``pip install sslplug`` adds to pytest: the ``toy_plugin`` fixture, and a line on what is held against the contracts.

Imports no torch: other projects pay nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest


def pytest_report_collectionfinish(items: Sequence[pytest.Item]) -> list[str]:
    """ "sslplug: 93 checks of spectra", where a conformance test was collected."""
    found = Counter(getattr(getattr(item, "function", None), "conformance_of", None) for item in items)
    return [f"sslplug: {count} checks of {plugin}" for plugin, count in sorted(found.items(), key=str) if plugin]


@pytest.fixture
def toy_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes discovery find the toy plugin, as if a distribution of its own were installed; returns its name.

    Child processes of the test find it too.
    """
    site = tmp_path / "toy-site"
    info = site / "sslplug_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sslplug-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslplug.plugins]\ntoy = sslplug.testing.toy:TOY\n")
    monkeypatch.syspath_prepend(str(site))
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return "toy"
