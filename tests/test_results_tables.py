"""The tables of README and results page are what ``sslplug compare`` writes from the comparison that the repository keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sslplug.reporting.comparison_json import comparison_text, portable, read_comparison
from sslplug.reporting.results_block import filled

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "docs/results/own-objective.json", "docs/results.md": "docs/results/bench-small.json"}
"""{page: the comparison that its tables are written from}."""


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_neither_stale_nor_edited_by_hand(page: str) -> None:
    text, kept = (ROOT / page).read_text(encoding="utf-8"), PAGES[page]
    command = f"sslplug compare {kept} --into {page}"
    assert filled(text, read_comparison(ROOT / kept)) == text, (
        f"{page}: its tables differ from the comparison; run `{command}`"
    )


@pytest.mark.parametrize("kept", PAGES.values())
def test_what_is_kept_is_as_the_command_writes_it_and_names_no_machine(kept: str) -> None:
    text = (ROOT / kept).read_text(encoding="utf-8")
    comparison = read_comparison(ROOT / kept)
    assert comparison_text(portable(comparison)) == text
    assert not re.findall(r'(?:^|[\s"\'=(])(?:/|[A-Z]:\\)[\w.-]+[/\\]', text), "paths of a machine"
    assert len(text) < 1_500_000


def test_no_other_page_has_tables_that_nobody_checks() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]]
    marked = [page for page in pages if re.search(r"^<!-- sslplug compare: begin", (ROOT / page).read_text("utf-8"), re.M)]
    assert sorted(marked) == sorted(PAGES)
