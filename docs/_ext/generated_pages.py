"""Reference pages made from the code at each build: the command line from click, recipes from the options' models, conformance
from the checks' docstrings.

They are written to ``docs/generated`` before Sphinx reads its sources, and are never committed: page and code cannot part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from sslplug import discovery, stages
from sslplug.cli import cli
from sslplug.evaluation import PROBES
from sslplug.methods import METHODS
from sslplug.objectives import OBJECTIVES
from sslplug.recipe import ComponentRow, describe
from sslplug.recipe_yaml import read_recipe
from sslplug.testing.checks import TABLES, says
from sslplug.testing.plugin_checks import TRAITS

ENGINE = {"method": METHODS, "objective": OBJECTIVES, "probe": PROBES}
ROLES = ("data", "views", "encoder", "decoder", "method", "objective", "probe")


def cell(text: object) -> str:
    """Text inside a Markdown table: one line, no column mark, no HTML."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table; nothing where there are no rows."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    return ["", f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}", *lines, ""] if lines else []


def command_page() -> str:
    """Every command with its arguments and options, as click knows them."""
    lines = [
        "# Command line", "",
        "Exit codes: 0 done, 1 failed, 2 wrong use, 128 + n stopped by signal n. Errors say what was found, what was",
        "expected and what to do next; `--debug`, anywhere on the line, shows the traceback. This page is made from the",
        "program itself.", "",
    ]  # fmt: skip
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=f"sslplug {name}")
        lines += [f"## sslplug {name}", "", "```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
        lines += [(command.help or "").strip(), ""]
        rows = [record for record in (option.get_help_record(context) for option in command.params) if record]
        lines += table(("option", "meaning"), ((f"`{spelled}`".replace("|", "\\|"), said) for spelled, said in rows))
    return "\n".join(lines)


def component_lines(rows: Iterable[ComponentRow]) -> list[str]:
    """Components role by role: summary, tags, a table of options."""
    found = list(rows)
    lines: list[str] = []
    for role in dict.fromkeys(row.role for row in found):
        lines += [f"## {role}", ""]
        for row in (row for row in found if row.role == role):
            if row.name:
                lines += [f"### {role} `{row.name}`", ""]
            lines += [cell(row.summary), ""]
            said = [
                f"{word} {', '.join(f'`{tag}`' for tag in tags)}"
                for word, tags in (("provides", row.provides), ("needs", row.needs))
                if tags
            ]
            if said:
                lines += [f"With its defaults it {' and '.join(said)}.", ""]
            lines += table(
                ("option", "values", "default", "meaning"),
                ((f"`{option.name}`", option.type, f"`{option.default}`", option.meaning) for option in row.options),
            )
    return lines


def engine_page(rows: Sequence[ComponentRow]) -> str:
    """What every plugin's recipes may name: the engine's methods, objectives, probes, and the sections of plain options."""
    own = [row for row in rows if not row.name or row.name in ENGINE.get(row.role, {})]
    return "\n".join(
        [
            "# Recipes: what the engine brings", "",
            "A recipe is one YAML file of flat sections: `plugin, name, about, data, views, encoder, method, objective,",
            "optim, train, evaluate, seed`. A component is its name, or `{name: ..., option: ...}`. An unknown key is refused",
            "with its path and the nearest valid one; `--set a.b=c` overrides one option. Names are registered names, never",
            "import paths: a recipe cannot execute code. This page is made from the options' models.", "",
            *component_lines(own),
        ]
    )  # fmt: skip


def plugin_page(name: str, rows: Sequence[ComponentRow]) -> str:
    """One plugin's shipped recipes and its own components."""
    plugin = discovery.load(name)
    shipped = [
        (f"`{recipe}`" + (" (default)" if recipe == plugin.default_recipe else ""), read_recipe(file).get("about", ""))
        for recipe, file in sorted(discovery.recipes_of(plugin).items())
    ]
    own = [row for row in rows if row.role in ROLES and row.name and row.name not in ENGINE.get(row.role, {})]
    return "\n".join(
        [f"# Recipes: {name}", "", f"{plugin.summary[:1].upper()}{plugin.summary[1:]}.", "", "## Recipes that ship", "",
         *table(("recipe", "what it is"), shipped), *component_lines(own)]
    )  # fmt: skip


HELD_TO = {
    "plugin": "the plugin as a table of contents",
    "recipe": "each recipe that ships",
    "data": "the default recipe's data",
    "views": "each view set",
    "encoder": "each encoder",
    "run": "the default recipe as a run of a few steps",
}


def conformance_page() -> str:
    """Every check of the conformance kit: id, promise, how to mend it."""
    count = sum(len(checks) for checks in TABLES.values())
    lines = [
        "# Conformance", "",
        f"`sslplug check NAME` and `sslplug.testing.conformance` hold a plugin to {count} kinds of promises. A check's id is",
        "`<table>/<promise>`, or `<table>/<component>/<promise>` where it is made for each component. What says nothing about a",
        "plugin passes as \"not applicable\" with its reason. Where a part cannot be made at all, one check fails, and those",
        "that need the part are not applicable. This page is made from the checks' own docstrings.", "",
    ]  # fmt: skip
    for name, checks in TABLES.items():
        lines += [f"## {name}: {HELD_TO[name]}", ""]
        rows = ((f"`{promise}`", *says(check)) for promise, check in checks.items())
        lines += table(("promise", "what is promised", "how to mend it"), rows)
    lines += ["## Traits", "", "What a plugin claims about itself as a whole, in `Plugin.traits`:", ""]
    lines += table(("trait", "what it says"), ((f"`{trait}`", meaning) for trait, meaning in TRAITS.items()))
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """{file name: Markdown} of every generated page."""
    found = {"cli.md": command_page(), "conformance.md": conformance_page()}
    names = [line.found.name for line in discovery.status() if line.state == "ok"]
    rows = {name: describe(stages.schema(name)) for name in names}
    found["recipes-engine.md"] = engine_page(next(iter(rows.values())))
    return found | {f"recipes-{name}.md": plugin_page(name, rows[name]) for name in sorted(rows)}


def write_pages(folder: Path) -> None:
    """Writes those that changed, so that Sphinx reads no page twice; removes what is no longer made."""
    folder.mkdir(exist_ok=True)
    made = pages()
    for file in folder.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's hook."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "generated"))
    return {"parallel_read_safe": True}
