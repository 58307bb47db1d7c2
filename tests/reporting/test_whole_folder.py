"""Folders replaced whole: old or new, never between, never a stranger's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslplug.errors import RunFolderError, UsageError
from sslplug.reporting.whole_folder import replace_folder


def writes(name: str):  # type: ignore[no-untyped-def]
    return lambda folder: (folder / name).write_text(name)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_the_new_content_replaces_the_old_and_leaves_no_debris(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "out"
    replace_folder(folder, writes("one"))
    replace_folder(folder, writes("two"))
    assert names(folder) == {"two"}
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_failure_keeps_the_old_content(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    replace_folder(folder, writes("one"))

    def fail(place: Path) -> None:
        (place / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFolderError, match="No space left on device.*the old content is kept"):
        replace_folder(folder, fail)
    with pytest.raises(ZeroDivisionError):
        replace_folder(folder, lambda place: 1 / 0)  # type: ignore[arg-type, return-value]
    assert names(folder) == {"one"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_somebody_else_wrote_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    replace_folder(tmp_path / "out", writes("one"))  # an empty folder is nobody's
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for taken in ("mine", "file"):
        with pytest.raises(UsageError, match=f"{taken}: is there already and sslplug did not write it"):
            replace_folder(tmp_path / taken, writes("one"))
    assert names(tmp_path / "mine") == {"thesis.tex"}
    assert (tmp_path / "file").read_text() == "x"
