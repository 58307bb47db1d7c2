"""A comparison as JSON: nothing is lost, nothing foreign is taken, no machine's paths are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sslplug.errors import RunFolderError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_json import comparison_text, parsed, portable, read_comparison, write_comparison

Make = Callable[..., Comparison]


def test_the_round_trip_loses_nothing(make_comparison: Make) -> None:
    comparison = make_comparison()
    assert parsed(comparison_text(comparison)) == comparison
    odd = replace(comparison.cells[0], mean=0.1 + 0.2, low=-1e-300, note='"\n\u2028é|')
    changed = replace(comparison, cells=(odd, *comparison.cells[1:]), ranking=None)
    assert parsed(comparison_text(changed)) == changed


def test_a_file_keeps_runs_below_their_common_folder(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    file = tmp_path / "kept.json"
    write_comparison(file, comparison)
    text = file.read_text()
    assert str(tmp_path) not in text
    found = read_comparison(file)
    assert found == portable(comparison)
    assert found.entries[0].runs[0] == Path("graph/default-digits/infonce-0")
    assert found.left_out == ("graph/broken/1: left out, it was not judged.",)
    assert replace(found, entries=(), left_out=()) == replace(comparison, entries=(), left_out=())
    write_comparison(file, found)
    assert file.read_text() == text


def test_runs_without_a_common_folder_stay_as_they_are(make_comparison: Make) -> None:
    comparison = make_comparison()
    mixed = replace(comparison, entries=(replace(comparison.entries[0], runs=(Path("a/b/c/d"),)), comparison.entries[1]))
    assert portable(mixed) == mixed


def test_one_entry_is_one_line(make_comparison: Make) -> None:
    comparison = make_comparison()
    lines = comparison_text(comparison).splitlines()
    assert sum(line.startswith('{"name":') for line in lines) == len(comparison.entries)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content | {"format": 2}, "no comparison of format 1, found 2"),
        (lambda content: [content], "no comparison of format 1, found 'list'"),
        (lambda content: content | {"cells": [{"task": "t"}]}, "values are not as expected, the first at cells.0"),
        (lambda content: content | {"shares": 3}, "holds names that this version does not know"),
        (lambda content: content | {"entries": [content["entries"][0] | {"colour": 3}]}, "holds names that this version"),
    ],
)
def test_other_files_are_refused_with_the_reason(
    change: Callable[[object], object], said: str, make_comparison: Make, tmp_path: Path
) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(change(json.loads(comparison_text(make_comparison())))))
    with pytest.raises(RunFolderError, match=f"x.json: .*{said}.*; write it anew with `sslplug compare"):
        read_comparison(file)


def test_missing_and_torn_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_comparison(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"format": 1, "entries": [')
    with pytest.raises(RunFolderError, match=r"torn.json: .*write it anew"):
        read_comparison(tmp_path / "torn.json")


def test_a_number_that_is_not_finite_is_refused(make_comparison: Make) -> None:
    comparison = make_comparison()
    broken = replace(comparison, cells=(replace(comparison.cells[0], mean=float("nan")),))
    with pytest.raises(ValueError, match="not finite; unknown numbers are None"):
        comparison_text(broken)
