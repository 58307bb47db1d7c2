"""Broken distributions, really installed beside whole ones: each is one line with its reason, and none hurts another."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug import discovery
from sslplug.cli import run
from tests.isolation.wheels import BROKEN, CLASHES, SLOW, UNVERSIONED, WORKING, Stranger, install

ROOT = Path(__file__).parents[2]
OWN = ("graph", "tabular", "wearable", "events", "recsys", "lidar")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed distributions."""
    place = tmp_path_factory.mktemp("installed")
    install(
        [*BROKEN, *(one for one in CLASHES if one.distribution != "second-twice"), UNVERSIONED, *WORKING],
        place / "site",
        place / "wheels",
    )
    # pip keeps one distribution of a name; the second "twice" has another.
    install([one for one in CLASHES if one.distribution == "second-twice"], place / "site", place / "wheels")
    metadata = place / "site" / f"{UNVERSIONED.module}-1.5.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.5\n", ""))
    assert len(list((place / "site").glob("*.dist-info/INSTALLER"))) == len(BROKEN) + len(CLASHES) + 1 + len(WORKING)
    return place / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """They are on this process's path, and what the engine itself imports late is there."""
    importlib.import_module("sslplug.stages")
    monkeypatch.delenv("SSLPLUG_DISABLE", raising=False)
    monkeypatch.setenv("SSLPLUG_IMPORT_SECONDS", "20")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(site))
    yield
    discovery._passed.clear()
    for name in set(sys.modules) - before:
        if name.startswith(("stranger", "first_twice", "second_twice")):
            del sys.modules[name]


def test_the_list_names_distribution_version_entry_point_and_reason(site: Path) -> None:
    paths = os.pathsep.join([str(site), str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "SSLPLUG_IMPORT_SECONDS": "15"}
    environment.pop("SSLPLUG_DISABLE", None)
    done = subprocess.run(
        [sys.executable, "-m", "sslplug", "plugins"], capture_output=True, text=True, env=environment, check=True
    )
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()

    def line(stranger: Stranger) -> str:
        (found,) = [one for one in lines if one.split()[2] == stranger.title]
        return found

    for stranger in BROKEN:
        said = line(stranger)
        value = stranger.value or f"{stranger.module}:PLUGIN"
        assert said.split()[:2] == [stranger.name, "broken"], said
        assert f"({stranger.title} 1.5, entry point {stranger.name} = {value}) cannot be used: " in said
        assert stranger.reason in said
    assert "its distribution gives no version; reinstall stranger-unversioned" in line(UNVERSIONED)
    for stranger in WORKING:
        assert line(stranger).split()[:2] == [stranger.name, "ok"], line(stranger)
    assert line(SLOW).endswith(" s)")
    assert "(its import takes 2." in line(SLOW)
    first, second, impostor = CLASHES
    assert f"the name is also used by {second.title} 1.5" in line(first)
    assert f"the name is also used by {first.title} 1.5" in line(second)
    assert "the name belongs to sslplug " in line(impostor)
    for name in OWN:
        assert any(one.split()[:3] == [name, "ok", "sslplug"] for one in lines), name
    assert len(lines) == len(BROKEN) + len(CLASHES) + 1 + len(WORKING) + len(OWN), "a stranger printed among the lines"


@pytest.mark.parametrize("stranger", [*BROKEN, UNVERSIONED], ids=lambda stranger: stranger.name)
def test_asking_for_a_broken_one_exits_2_with_its_reason(
    installed: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stranger: Stranger
) -> None:
    if stranger.name == "hangs":
        monkeypatch.setenv("SSLPLUG_IMPORT_SECONDS", "0.5")
    before = shared()
    assert run(["info", stranger.name]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert f"Plugin '{stranger.name}' ({stranger.title} " in said.err
    assert stranger.reason in said.err
    assert shared() == before
    assert stranger.module not in sys.modules, "it was imported here"


def shared() -> list[object]:
    """What an import could change for everybody."""
    return [
        random.getstate(), str(np.random.get_state()), torch.random.get_rng_state().tolist(), torch.get_default_dtype(),
        torch.get_num_threads(), torch.is_grad_enabled(), signal.getsignal(signal.SIGTERM), os.getcwd(), sys.stdout, sys.stderr,
    ]  # fmt: skip


@pytest.mark.parametrize("stranger", [one for one in WORKING if one is not SLOW], ids=lambda stranger: stranger.name)
def test_the_others_keep_working_and_leave_no_trace(installed: None, stranger: Stranger) -> None:
    before = shared()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert discovery.load(stranger.name).name == stranger.name
    assert shared() == before


def test_our_own_keep_their_names(installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert discovery.load("graph").recipes == "sslplug_configs.graph"
    assert run(["info", "twice"]) == 2
    said = capsys.readouterr().err
    assert "The plugin name 'twice' is announced by first-twice 1.5" in said
    assert "SSLPLUG_DISABLE=second-twice" in said


def test_the_off_switch_takes_distributions(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLPLUG_DISABLE", "second-twice")
    assert discovery.load("twice").recipes == "first_twice"


def test_a_limit_that_is_no_number_is_refused(
    installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSLPLUG_IMPORT_SECONDS", "soon")
    assert run(["info", "good"]) == 2
    assert "SSLPLUG_IMPORT_SECONDS='soon' is no number of seconds" in capsys.readouterr().err


def test_help_imports_neither_torch_nor_any_of_them(site: Path) -> None:
    names = sorted(path.parent.name for path in site.glob("*/__init__.py"))
    assert len(names) > 30
    code = (
        "import sys; from sslplug.cli import run; codes = [run(words) for words in (['--help'], ['train', '--help'], ['plugins', '--help'])]; "
        f"heavy = [name for name in ['torch', 'numpy', 'pydantic', 'importlib.metadata', 'sslplug_graph', *{names!r}] if name in sys.modules]; "
        "print(codes, heavy)"
    )
    paths = os.pathsep.join([str(site), str(ROOT), str(ROOT / "plugins")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=True
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] []"
