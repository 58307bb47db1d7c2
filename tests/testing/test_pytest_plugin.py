"""The pytest plugin: discovery finds the toy, and other projects do not pay for torch."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from sslplug.testing.checks import cases


def test_toy_plugin_is_found_by_its_entry_point(toy_plugin: str) -> None:
    found = importlib.metadata.entry_points(group="sslplug.plugins")
    assert found[toy_plugin].load().name == toy_plugin


def test_child_processes_find_the_toy_plugin(toy_plugin: str) -> None:
    code = "import importlib.metadata as m; print('toy' in m.entry_points(group='sslplug.plugins').names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


THREE_LINES = """
import sslplug.testing.material as material
from sslplug.testing import conformance

built = []
make = material.Material.new_data


def counted(self, fitted=None):
    built.append(1)
    return make(self, fitted)


material.Material.new_data = counted
test_conformance = conformance("toy")


def test_zz_how_often_data_was_built():
    print("built", len(built))
"""


def test_three_lines_give_readable_ids_in_one_process_and_build_once(toy_plugin: str, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(THREE_LINES)
    command = [sys.executable, "-m", "pytest", "-v", "-s", "-p", "no:randomly", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    count = len(cases("toy"))
    assert f"sslplug: {count} checks of toy" in done.stdout
    assert f"{count + 1} passed" in done.stdout
    assert "test_conformance[views/crops/rates] PASSED" in done.stdout
    # Twice for all checks that read it, and once for each of the four that might edit it or ask how it is built.
    assert "built 6\n" in done.stdout


def test_a_failure_is_a_sentence_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text(
        "from dataclasses import replace\n"
        "from sslplug.testing import conformance\n"
        "from sslplug.testing.toy import TOY\n"
        "test_conformance = conformance(replace(TOY, traits=frozenset({'label'})))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "plugin", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    assert "plugin/traits: the trait 'label' is unknown; expected some of labels" in done.stdout
    assert "Mend: use the words of" in done.stdout
    assert "Traceback" not in done.stdout
    assert "author.py" not in done.stdout


def test_importing_the_pytest_plugin_imports_no_torch() -> None:
    code = "import sslplug.testing.pytest_plugin, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
