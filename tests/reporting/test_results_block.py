"""Tables between markers: only they change, the same comparison gives the same bytes, torn markers are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.results_block import BEGIN, BLOCKS, END, filled, write_into

Make = Callable[..., Comparison]


def test_only_what_stands_between_markers_changes(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    file = tmp_path / "README.md"
    file.write_text(
        f"# Mine\n\n{BEGIN}\nformer words\n{END}\ntext *kept*\n<!-- sslplug compare: begin ranks -->\n{END}\nend"
    )
    write_into(file, comparison)
    text = file.read_text()
    assert text.startswith(f"# Mine\n\n{BEGIN}\n\n**Every task**\n\n| task |")
    assert f"\n\n{END}\ntext *kept*\n<!-- sslplug compare: begin ranks -->\n\n**Mean ranks**" in text
    assert text.endswith(f"\n\n{END}\nend")
    assert "former words" not in text
    write_into(file, comparison)
    assert file.read_text() == text


def test_an_edit_by_hand_is_seen(make_comparison: Make) -> None:
    comparison = make_comparison()
    text = filled(f"{BEGIN}\n{END}", comparison)
    edited = text.replace("helps", "HELPS", 1)
    assert edited != text
    assert filled(edited, comparison) == text


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_has_numbers_or_sentences_and_no_links(name: str, make_comparison: Make) -> None:
    text = filled(f"<!-- sslplug compare: begin {name} -->\n{END}", make_comparison())
    assert len(text.splitlines()) > 5
    assert "](#" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "has no block to fill; put a line <!-- sslplug compare: begin -->"),
        (f"{BEGIN}\nx", "has no block to fill"),
        (f"{BEGIN}\n{BEGIN}\n{END}", "a marker without its partner"),
        (f"{BEGIN}\n{END}\n{END}", "a marker without its partner"),
        (f"<!-- sslplug compare: begin taks -->\n{END}", "a block named 'taks'; known are tasks, summary, objectives"),
    ],
)
def test_markers_that_do_not_fit_are_refused_and_the_file_stays(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text(text)
    with pytest.raises(UsageError, match=f"x.md: .*{said}"):
        write_into(file, Comparison((), (), None, (), (), {}))
    assert file.read_text() == text


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.md: cannot be read .* needs a Markdown file with the markers"):
        write_into(tmp_path / "none.md", Comparison((), (), None, (), (), {}))
