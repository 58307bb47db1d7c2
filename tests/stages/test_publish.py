"""Every output that was asked for is written, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_json import read_comparison
from sslplug.reporting.results_block import BEGIN, END
from sslplug.stages.publish import Outputs, publish

EMPTY = Comparison((), (), None, (), (), {}, ("x: left out, it was not judged.",))


def test_every_output_is_written_where_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readmes = [tmp_path / "README.md", tmp_path / "results.md"]
    for file in readmes:
        file.write_text(f"{BEGIN}\n{END}\n")
    out = tmp_path / "new" / "folder"
    publish(EMPTY, Outputs(tmp_path / "log", out / "a.html", out / "a.md", out / "a.json", readmes))
    assert (tmp_path / "log" / "comparison").is_dir()
    assert "x: left out" in (out / "a.html").read_text()
    assert "x: left out" in (out / "a.md").read_text()
    assert read_comparison(out / "a.json") == EMPTY
    assert all("**Every task**" in file.read_text() for file in readmes)
    said = capsys.readouterr().err
    for place in (tmp_path / "log" / "comparison", out / "a.html", out / "a.md", out / "a.json", *readmes):
        assert str(place) in said


def test_nothing_is_written_that_was_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(EMPTY, Outputs())
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a folder; name the file to write"):
        publish(EMPTY, Outputs(logdir=tmp_path / "log", page=tmp_path))
    with pytest.raises(UsageError, match="its folder cannot be made"):
        publish(EMPTY, Outputs(logdir=tmp_path / "log", json=tmp_path / "file" / "x.json"))
    assert not (tmp_path / "log").exists()


def test_more_runs_than_tensorboard_selects_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for runs, announced in ((40, False), (41, True)):
        monkeypatch.setattr("sslplug.stages.publish.write_tensorboard", lambda logdir, comparison, runs=runs: runs)
        publish(EMPTY, Outputs(logdir=tmp_path / "log"))
        assert ("press TOGGLE ALL RUNS" in capsys.readouterr().err) is announced
