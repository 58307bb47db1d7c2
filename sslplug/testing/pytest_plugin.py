"""What ``pip install sslplug`` adds to pytest: the ``toy_plugin`` fixture. Imports no torch: other projects pay nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
