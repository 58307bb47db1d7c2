"""SHA256SUMS: what was written is proved, whatever else is there is refused; coreutils read the same list."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sslplug.errors import RunFolderError
from sslplug.reporting.sums import NAME, prove, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    record(tmp_path, [tmp_path / "a.bin"])
    record(tmp_path, [tmp_path / "b.bin"])
    return tmp_path


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[250] ^= 1
    file.write_bytes(content)


def test_what_was_recorded_is_proved(folder: Path) -> None:
    for name in ("a.bin", "b.bin"):
        prove(folder / name, "Write it anew.")
    (folder / "a.bin").write_bytes(b"other")
    record(folder, [folder / "a.bin"])
    prove(folder / "a.bin", "Write it anew.")
    assert len((folder / NAME).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (flip, "its sha256 is not the one in"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "its sha256 is not the one in"),
        (lambda file: shutil.copy(file.with_name("b.bin"), file), "its sha256 is not the one in"),
        (lambda file: file.unlink(), "No such file"),
        (lambda file: (file.parent / NAME).unlink(), "no sha256 of it is in"),
        (lambda file: (file.parent / NAME).write_bytes(b"\xff\n\n"), "no sha256 of it is in"),
    ],
)
def test_flipped_truncated_and_swapped_files_are_refused(folder: Path, spoil: Callable[[Path], object], what: str) -> None:
    spoil(folder / "a.bin")
    with pytest.raises(RunFolderError, match=rf"a\.bin: missing or damaged \({what}.*Write it anew\."):
        prove(folder / "a.bin", "Write it anew.")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum of coreutils is not installed")
def test_coreutils_read_the_list(folder: Path) -> None:
    command = ["sha256sum", "--check", "--strict", NAME]
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    flip(folder / "b.bin")
    assert b"b.bin: FAILED" in subprocess.run(command, cwd=folder, capture_output=True).stdout
