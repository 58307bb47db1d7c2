"""The comparison as Markdown: the same tables, pictures beside it, words that stay words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_tables import sheet
from sslplug.reporting.markdown import markdown_table, plain, write_markdown

Make = Callable[..., Comparison]


def test_pictures_runs_and_anchors_are_there(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    file = tmp_path / "out.md"
    write_markdown(file, comparison)
    text = file.read_text()
    links = re.findall(r"\]\(([^)#][^)]*)\)", text)
    assert all((tmp_path / unquote(link)).exists() for link in links)
    assert len([link for link in links if link.endswith(".svg")]) == 7
    assert sum(link.endswith("recipe.yaml") for link in links) == sum(len(entry.runs) for entry in comparison.entries)
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    assert len(anchors) == len(comparison.entries)
    assert comparison.entries[0].command in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) > 100


def test_pictures_are_replaced_and_a_strangers_folder_is_left_alone(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    write_markdown(tmp_path / "out.md", comparison)
    write_markdown(tmp_path / "out.md", replace(comparison, predictions=(), ranking=None))
    left = {file.name for file in (tmp_path / "out-figures").glob("*.svg")}
    assert "critical-difference.svg" not in left
    assert "heat-map.svg" in left
    (tmp_path / "mine-figures").mkdir()
    (tmp_path / "mine-figures" / "photo.png").write_text("precious")
    with pytest.raises(UsageError, match="mine-figures: is there already and sslplug did not write it"):
        write_markdown(tmp_path / "mine.md", comparison)
    assert (tmp_path / "mine-figures" / "photo.png").read_text() == "precious"


def test_words_stay_words() -> None:
    assert plain("a|b *c* [d](e) <f> `g`\nh_i") == r"a\|b \*c\* \[d\](e) &lt;f&gt; \`g\` h\_i"
    table = markdown_table(sheet("t", [("a|b", False), ("n", True)], [("x\ny", "1|2")]))
    assert table.splitlines()[2:] == [r"| a\|b | n |", "|---|--:|", r"| x y | 1\|2 |"]


def test_a_command_with_backticks_stays_inside_its_fence(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    entry = replace(comparison.entries[0], command="sslplug ```\n# x")
    write_markdown(tmp_path / "x.md", replace(comparison, entries=(entry, *comparison.entries[1:])))
    assert "````sh\nsslplug ```\n# x\n````" in (tmp_path / "x.md").read_text()
