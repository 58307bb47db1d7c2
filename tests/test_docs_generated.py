"""The reference pages that the documentation makes from the code: every command, component and recipe is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sslplug import discovery, stages
from sslplug.cli import cli
from sslplug.recipe import describe
from sslplug.testing.checks import TABLES, says
from sslplug.testing.plugin_checks import TRAITS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generated_pages", DOCS / "_ext" / "generated_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generator: ModuleType) -> dict[str, str]:
    return generator.pages()


def test_every_command_and_option_is_on_the_page(pages: dict[str, str]) -> None:
    for name, command in cli.commands.items():
        assert f"## sslplug {name}\n" in pages["cli.md"]
        section = pages["cli.md"].partition(f"## sslplug {name}\n")[2].partition("\n## ")[0]
        for option in command.params:
            assert any(word in section for word in (*option.opts, option.human_readable_name)), (name, option)


def test_every_component_is_on_one_page(pages: dict[str, str]) -> None:
    names = [line.found.name for line in discovery.status() if line.state == "ok"]
    assert len(names) >= 6
    for plugin in names:
        both = pages[f"recipes-{plugin}.md"] + pages["recipes-engine.md"]
        for row in describe(stages.schema(plugin)):
            heading = f"### {row.role} `{row.name}`\n" if row.name else f"## {row.role}\n"
            assert both.count(heading) == 1, (plugin, heading)


def test_every_recipe_is_on_its_plugins_page(pages: dict[str, str]) -> None:
    for line in discovery.status():
        if line.state == "ok":
            for recipe in discovery.recipes_of(discovery.load(line.found.name)):
                assert f"| `{recipe}`" in pages[f"recipes-{line.found.name}.md"]


def test_every_check_is_on_the_page_with_its_cure(pages: dict[str, str], generator: ModuleType) -> None:
    for table, checks in TABLES.items():
        section = pages["conformance.md"].partition(f"## {table}: ")[2].partition("\n## ")[0]
        for promise, check in checks.items():
            words, mend = says(check)
            assert words.endswith((".", ")")), (table, promise)
            assert mend.endswith((".", ")")), (table, promise)
            assert f"| `{promise}` | {generator.cell(words)} | {generator.cell(mend)} |" in section
    assert all(f"| `{trait}` |" in pages["conformance.md"] for trait in TRAITS)


def test_writing_removes_pages_that_are_gone_and_keeps_those_that_did_not_change(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "pages", lambda: {"a.md": "one", "b.md": "two"})
    generator.write_pages(tmp_path)
    first = (tmp_path / "a.md").stat().st_mtime_ns
    monkeypatch.setattr(generator, "pages", lambda: {"a.md": "one"})
    generator.write_pages(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.md"]
    assert (tmp_path / "a.md").stat().st_mtime_ns == first


def test_text_inside_tables_breaks_no_table(generator: ModuleType) -> None:
    assert generator.cell("a | b\n<c> *d*") == "a \\| b &lt;c> \\*d\\*"
