"""The HTML page: whole, escaped, offline, small, and every number one step from its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from sslplug.reporting.comparison import Comparison
from sslplug.reporting.page import page_text, write_page

Make = Callable[..., Comparison]
HOSTILE = "</p><script>alert('x')</script><img src=//example.org/x onerror=alert(1)> & \" ' {{7*7}}"
VOID = {"meta", "rect", "line", "circle", "polygon", "polyline", "br", "img"}


class Parsed(HTMLParser):
    """Tags with their attributes, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.tags if found == tag]


def test_every_number_leads_to_runs_recipe_and_command(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    file = tmp_path / "deep" / "page.html"
    file.parent.mkdir()
    write_page(file, comparison)
    page = Parsed(file.read_text())
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    for number, entry in enumerate(comparison.entries, 1):
        assert f"#entry-{number}" in links
        assert entry.command in page.words
    outside = [link for link in links if not link.startswith("#")]
    runs = [run for entry in comparison.entries for run in entry.runs]
    found = [(file.parent / unquote(link)).resolve() for link in outside]
    assert found == [path.resolve() for run in runs for path in (run, run / "recipe.yaml")]
    assert all(path.exists() for path in found)
    # Each score on the page is a link or stands in a picture.
    score = f"{comparison.cells[0].mean:.4f} ["
    text = file.read_text()
    places = [place for place in range(len(text)) if text.startswith(score, place)]
    assert places
    linked = [
        p
        for p in places
        if (text[:p].endswith('">') and "<a href=" in text[p - 25 : p]) or "<title>" in text[max(0, p - 90) : p]
    ]
    assert linked == places


def test_verdicts_come_first_and_headings_descend(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    page = Parsed(page_text(comparison, tmp_path))
    text = "".join(page.words)
    assert text.index(comparison.verdicts[0].sentence) < text.index("Objectives across domains\n")
    headings = [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert page.all("html")[0]["lang"] == "en"
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes["role"] == "img" for attributes in page.all("svg"))
    assert len({a["id"] for _, a in page.tags if "id" in a} - {"hatch"}) == sum(
        "id" in a and a["id"] != "hatch" for _, a in page.tags
    )


def test_nothing_hostile_becomes_markup_and_nothing_is_fetched(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    entry, cell = comparison.entries[0], comparison.cells[0]
    bad = replace(
        entry, name=HOSTILE, recipe=HOSTILE, data=HOSTILE, command=HOSTILE, objective=HOSTILE, collapsed=HOSTILE,
        runs=(tmp_path / HOSTILE.replace("/", "_"), *entry.runs[1:]), diagnostics={HOSTILE: 1.0},
        rows=tuple(replace(row, task=HOSTILE, probe=HOSTILE, metric=HOSTILE) for row in entry.rows),
    )  # fmt: skip
    bad.runs[0].mkdir()
    changed = replace(
        comparison,
        entries=(bad, *comparison.entries[1:]),
        cells=(replace(cell, task=HOSTILE, entry=HOSTILE, metric=HOSTILE, note=HOSTILE), *comparison.cells[1:]),
        verdicts=(replace(comparison.verdicts[0], task=HOSTILE, entry=HOSTILE, sentence=HOSTILE),),
        left_out=(HOSTILE,),
        against_trees={HOSTILE: (1, 2, 3)},
    )
    page = Parsed(page_text(changed, tmp_path))
    assert not page.all("script")
    assert not page.all("img")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.words
    assert not page.all("link")
    outside = [v for _, a in page.tags for k, v in a.items() if k in ("src", "href", "action") and ("//" in v or ":" in v)]
    assert outside == []
    assert "default-src 'none'" in page.all("meta")[1]["content"]


def test_a_folder_that_is_not_there_is_named_without_a_link(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison()
    away = replace(comparison, entries=tuple(replace(e, runs=(Path("gone/run"),), seeds=(0,)) for e in comparison.entries))
    page = Parsed(page_text(away, tmp_path))
    assert "gone/run" in page.words
    assert not [link for link in page.all("a") if not link["href"].startswith("#")]


def test_a_large_comparison_stays_under_five_megabytes(make_comparison: Make, tmp_path: Path) -> None:
    """Seven plugins with two tasks' worth of data and a dozen objectives: 168 entries, about four times the small bench."""
    domains = tuple((f"plugin{n % 7}", f"dataset-{n}", "a-task-with-a-name") for n in range(14))
    large = make_comparison(objectives=tuple(f"objective-{n}" for n in range(12)), domains=domains)
    file = tmp_path / "large.html"
    write_page(file, large)
    assert 1_000_000 < file.stat().st_size < 5_000_000


def test_an_empty_comparison_is_a_page_too(tmp_path: Path) -> None:
    page = Parsed(page_text(Comparison((), (), None, (), (), {}, ("x: left out, not judged.",)), tmp_path))
    assert "x: left out, not judged." in page.words
