"""Packed files: read whole, or refused with their name."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import archives, plain_arrays, unpacked
from sslplug.contracts.reading import collected
from sslplug.errors import DataError


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    given = {"a": np.arange(6).reshape(2, 3), "b": np.array(["x", "yy"])}
    np.savez_compressed(tmp_path / "a.npz", **given)
    found = plain_arrays(tmp_path / "a.npz", "a and b")
    assert found.keys() == given.keys()
    assert all(np.array_equal(found[name], given[name]) for name in given)


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress), (".txt", bytes)])
def test_content_is_unpacked_by_its_suffix(tmp_path: Path, suffix: str, pack: type) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(pack(b"some lines"))
    assert unpacked(file) == b"some lines"


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress)])
def test_what_unpacks_beyond_all_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack: type
) -> None:
    monkeypatch.setattr(archives, "_ROOM", 1000)
    file = tmp_path / f"a{suffix}"
    file.write_bytes(pack(bytes(4_000_000)))
    assert 4_000_000 / file.stat().st_size > 500
    with pytest.raises(DataError, match=rf"a\{suffix}: found {file.stat().st_size} bytes that unpack to more than"):
        unpacked(file)
    file.write_bytes(pack(np.random.default_rng(0).bytes(40_000)))  # beyond the room too, and honest
    assert len(unpacked(file)) == 40_000


def test_an_archive_that_unpacks_beyond_all_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_ROOM", 1000)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10**6))
    with pytest.raises(DataError, match="Do not trust the file"):
        plain_arrays(tmp_path / "a.npz", "a")


def test_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("notes.txt", "words")
    with pytest.raises(DataError, match=r"a\.npz, column 'notes\.txt': found notes\.txt is no array; expected a\."):
        plain_arrays(tmp_path / "a.npz", "a")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.xz: found a file that cannot be read"):
        unpacked(tmp_path / "none.xz")
    with pytest.raises(DataError, match="none.npz: found no such file"):
        plain_arrays(tmp_path / "none.npz", "a")


def test_one_damaged_array_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.array([object()]))
    faults, found = collected(archives.arrays_in(tmp_path / "a.npz", "a and b", "Save it again."))
    assert [(one.kind, one.column) for one in faults] == [("damaged-array", "b")]
    assert found["a"].tolist() == [0, 1, 2]
