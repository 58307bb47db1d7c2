"""``sslplug new-plugin``: what it writes is installed, checked and trained as written, for every kind of batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sslplug.cli import run
from sslplug.errors import RunFolderError, UsageError
from sslplug.scaffold import KINDS, new_plugin

ROOT = Path(__file__).resolve().parents[2]


def python(site: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300, env=environment, cwd=cwd)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_installed_checked_and_trained(kind: str, tmp_path: Path) -> None:
    name = f"my_{kind}"
    assert run(["new-plugin", name, "--kind", kind, "--folder", str(tmp_path)]) == 0
    package, site = tmp_path / f"sslplug-my-{kind}", tmp_path / "site"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    done = python(site, *install, "--no-build-isolation", "--target", str(site), str(package), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # One process: the kit as a user runs it, then a short training with the comparison.
    code = f"""
import sys
from sslplug.cli import run
code = run(["check", "{name}"])
short = ["--set", "train.epochs=2", "--set", "evaluate.splits=1", "--set", "evaluate.fractions=[1.0]"]
sys.exit(code or run(["train", "--plugin", "{name}", *short]))
"""
    used = python(site, "-W", "error", "-c", code, cwd=tmp_path)
    assert used.returncode == 0, used.stdout + used.stderr
    assert "passes all" in used.stdout
    assert "lightgbm on raw" in used.stdout
    assert "newdomain" not in "".join(
        file.read_text() for file in package.rglob("*") if file.suffix in (".py", ".toml", ".yaml")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_clean_code(kind: str, tmp_path: Path) -> None:
    files = new_plugin("tidy", kind, tmp_path)
    five = {"plugin.py", "data.py", "views.py", "encoder.py", "tasks.py"}
    beside = {"pyproject.toml", "README.md", "ci.yml", "first.yaml", "test_conformance.py"}
    assert five | beside <= {file.name for file in files}
    assert len((tmp_path / "sslplug-tidy" / "tests" / "test_conformance.py").read_text().splitlines()) == 3
    judged = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--config",
        str(ROOT / "pyproject.toml"),
        "--ignore",
        "D100,I001",
        str(tmp_path),
    ]
    found = subprocess.run(judged, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout
    shaped = [*judged[:3], "format", "--check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    found = subprocess.run(shaped, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "name",
    ["", "a", "Spectra", "9lives", "two words", "class", "newdomain", "../up", "a/b", "a.b", "ends_", "a__b", "a" * 40],
)
def test_names_that_cannot_be_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a plugin"):
        new_plugin(name, "table", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "said"), [("graph", "a plugin named 'graph'"), ("configs", "A package sslplug_configs")])
def test_names_that_are_taken_are_refused(name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new-plugin", name, "--folder", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_and_a_folder_that_exists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of table, sequence, set, graph"):
        new_plugin("fine", "cube", tmp_path)
    new_plugin("fine", "table", tmp_path)
    (tmp_path / "sslplug-fine" / "mine.txt").write_text("work of days")
    with pytest.raises(UsageError, match="exists"):
        new_plugin("fine", "set", tmp_path)
    assert (tmp_path / "sslplug-fine" / "mine.txt").read_text() == "work of days"


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="could not be written"):
        new_plugin("fine", "table", tmp_path / "file")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
