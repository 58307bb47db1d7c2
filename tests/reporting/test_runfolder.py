"""Run folders: unique ids, files published whole, damage told apart."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sslplug.errors import RunFolderError
from sslplug.reporting import runfolder


def test_64_creators_at_once_get_64_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(64) as pool:
        folders = list(pool.map(lambda _: runfolder.create_run(tmp_path / "runs", "toy", "first"), range(64)))
    assert len(set(folders)) == 64
    assert all(folder.is_dir() and folder.parent == tmp_path / "runs" / "toy" / "first" for folder in folders)


def test_a_taken_id_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(runfolder.secrets, "token_hex", lambda n: next(draws))
    monkeypatch.setattr(runfolder.time, "strftime", lambda *a: "20260101T000000")
    assert runfolder.create_run(tmp_path, "toy", "first").name == "20260101T000000-aaaaaaaa"
    assert runfolder.create_run(tmp_path, "toy", "first").name == "20260101T000000-bbbbbbbb"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "first").write_text("x")
    with pytest.raises(RunFolderError, match="a file is in the way of this folder; name another one with --runs"):
        runfolder.create_run(tmp_path, "toy", "first")
    with pytest.raises(RunFolderError, match="cannot be made"):
        runfolder.create_run(tmp_path / "toy" / "first", "toy", "first")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    file = tmp_path / "metrics.json"
    runfolder.write_json(file, {"a": 1})

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(runfolder.os, failing, full)
        with pytest.raises(
            RunFolderError, match=r"metrics.json: cannot be written \(No space left on device\); the old content is kept"
        ):
            runfolder.write_json(file, {"a": 2})
    assert json.loads(file.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_update_keeps_other_keys_and_writes_valid_json(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    runfolder.update_json(file, {"a": 1.0, "b": [float("nan"), float("-inf"), 2.5]})
    runfolder.update_json(file, {"a": {"c": (1, 2)}})
    assert json.loads(file.read_text(), parse_constant=pytest.fail) == {"a": {"c": [1, 2]}, "b": [None, None, 2.5]}


def whole_run(folder: Path) -> Path:
    folder.mkdir()
    runfolder.write_text(folder / "recipe.yaml", "plugin: toy\n")
    runfolder.write_environment(folder)
    runfolder.write_json(folder / "metrics.json", {"steps": 3})
    return folder


def test_a_whole_run_reads_back(tmp_path: Path) -> None:
    record = runfolder.read_run(whole_run(tmp_path / "run"))
    assert record.recipe == {"plugin": "toy"}
    assert record.metrics == {"steps": 3}
    assert record.environment["versions"]["torch"]
    assert set(record.environment) == {"python", "system", "cpus", "versions"}


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("recipe.yaml", None, "its recipe cannot be read, so this is no whole run folder"),
        ("recipe.yaml", "a: [", "its recipe cannot be read"),
        ("metrics.json", None, "has no metrics.json, the run did not finish; `sslplug resume"),
        ("metrics.json", '{"a": 1', "metrics.json: is damaged"),
        ("metrics.json", "[1]", "metrics.json: holds a list; expected an object"),
        ("environment.json", None, "environment.json: cannot be read"),
    ],
)
def test_damage_is_told_apart(tmp_path: Path, file: str, content: str | None, sentence: str) -> None:
    folder = whole_run(tmp_path / "run")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(RunFolderError) as caught:
        runfolder.read_run(folder)
    assert sentence in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no such folder; give one that `sslplug train` made"):
        runfolder.read_run(tmp_path / "none")
