"""A real outsider: ``docs/examples/sslplug-spectra`` installed from its own folder, then used as a stranger would."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "sslplug-spectra"
Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built and installed into a folder of its own, without the index."""
    folder = tmp_path_factory.mktemp("outsider")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    given = ["--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")]
    done = subprocess.run([*command, *given], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def python(site: Path, *words: str, cwd: Path | None = None) -> Run:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=cwd)


def sslplug(site: Path, *words: str, cwd: Path | None = None) -> Run:
    return python(site, "-c", "from sslplug.cli import main; main()", *words, cwd=cwd)


def test_it_is_listed_with_its_distribution(site: Path) -> None:
    found = sslplug(site, "plugins")
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("spectra")]
    assert "ok" in line
    assert "sslplug-spectra 0.1.0" in line


def test_it_passes_the_kit_as_a_command_and_as_its_own_tests(site: Path) -> None:
    found = sslplug(site, "check", "spectra")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "passes all" in found.stdout
    tests = site.parent / "source"
    own = python(site, "-m", "pytest", "-v", "-p", "no:randomly", "-p", "no:cacheprovider", cwd=tests)
    assert own.returncode == 0, own.stdout
    assert f"rootdir: {tests}" in own.stdout
    assert "tests/test_conformance.py::test_conformance[views/distorted/input-unchanged] PASSED" in own.stdout
    count = found.stdout.count("pass  ")
    assert f"sslplug: {count} checks of spectra" in own.stdout  # said by the pytest plugin that sslplug brings
    assert f"{count} passed" in own.stdout


def test_it_trains_and_embeds_a_file_of_its_user(site: Path, tmp_path: Path) -> None:
    axis = [400.0 + 2.5 * channel for channel in range(32)]
    lines = [",".join([*map(str, axis), "label"])]
    for number in range(60):
        peak = 8 if number % 2 else 20
        cells = [
            f"{(1 if abs(channel - peak) < 3 else 0) + 0.01 * ((number * 7 + channel) % 5):.3f}" for channel in range(32)
        ]
        lines.append(",".join([*cells, "quartz" if number % 2 else "calcite"]))
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    short = ["--set", "train.epochs=2", "--set", "train.batch_size=24", "--set", "evaluate.fractions=[1.0]"]
    found = sslplug(site, "train", "--plugin", "spectra", "--data", "mine.csv", *short, cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "logistic on pretrained" in found.stdout
    run = found.stdout.splitlines()[-1]
    again = sslplug(site, "embed", run, "--data", "mine.csv", "-o", "mine.parquet", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    lines[5] = lines[5].replace(lines[5].split(",")[3], "nan", 1)
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n")
    refused = sslplug(site, "train", "--plugin", "spectra", "--data", "bad.csv", *short, cwd=tmp_path)
    assert refused.returncode == 1
    assert "bad.csv, line 6, column" in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
    (tmp_path / "other.csv").write_text("\n".join(line.split(",", 1)[1] for line in lines) + "\n")
    apart = sslplug(site, "embed", run, "--data", "other.csv", "-o", "x.parquet", cwd=tmp_path)
    assert apart.returncode == 1
    assert "31 channels" in apart.stderr + apart.stdout


def test_it_imports_nothing_of_sslplug_but_what_a_plugin_may() -> None:
    allowed = {"sslplug.contracts", "sslplug.errors", "sslplug.randomness"}
    found = set()
    for file in (SOURCE / "sslplug_spectra").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0].startswith("sslplug"):
                found.add(node.module)
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name.startswith("sslplug")}
    assert {name for name in found if not name.startswith("sslplug_spectra")} == allowed
