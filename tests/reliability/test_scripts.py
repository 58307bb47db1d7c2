"""The scripts beside this file, each with a small budget; and that each finds the fault it is made for.

`make reliability` runs them whole.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RAM = ["--folder", "/dev/shm"] if Path("/dev/shm").is_dir() else []
QUICK_PLUGINS = ["--plugin", "graph", "--plugin", "tabular", "--plugin", "wearable"]


def script(name: str, *words: str) -> tuple[int, str]:
    """Exit code and words of a script in a process of its own: it forks, which a process of tests had better not."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / f"{name}.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    return done.returncode, done.stdout + done.stderr


def test_killed_saves() -> None:
    code, said = script("kill_saves", "--kills", "15", *RAM)
    assert code == 0, said
    assert "15 kills" in said
    assert "unreadable newest checkpoints: 0\nlost checkpoints that had been published: 0\n" in said


def test_killed_saves_of_a_careless_writer_are_found() -> None:
    code, said = script("kill_saves", "--kills", "15", "--careless", *RAM)
    assert code == 1, said
    assert re.search("unreadable newest checkpoints: [1-9]|had been published: [1-9]", said), said


def test_stops_at_random_steps() -> None:
    code, said = script("stop_and_resume", "--sample", "6", *QUICK_PLUGINS)
    assert code == 0, said
    assert re.search(r"seed \d+: [1-6] cases, \d+ steps, 0 not bit-identical", said), said


def test_a_resume_that_loses_state_is_found() -> None:
    code, said = script("stop_and_resume", "--sample", "4", "--plugin", "tabular", "--spoil", "--seed", "1")
    assert code == 1, said
    assert "FAIL" in said
    assert "same" not in said


def test_failing_disks() -> None:
    code, said = script("failing_writes", "--stage", "run", "--sample", "3")
    assert code == 0, said
    assert "run full: 3 of " in said
    assert "run read-only: 3 of " in said
    if "no right to mount" in said:
        pytest.skip("this system lets us mount nothing: real full and read-only disks are left out")
    assert "run small: 3 of " in said


def test_artefacts_that_are_silently_missing_are_found() -> None:
    code, said = script(
        "failing_writes", "--stage", "run", "--kind", "once", "--sample", "24", "--careless", "--seed", "853540"
    )
    assert code == 1, said
    assert "exit 0, but" in said


def test_a_shared_cache() -> None:
    code, said = script("shared_cache")
    assert code == 0, said
    assert "zip, the holder of the lock killed: exits [-9, 0, 0, 0, 0, 0, 0, 0], 2 requests for 1 files" in said
