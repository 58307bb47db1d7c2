"""A comparison as Markdown with its pictures beside it, for a repository or a report."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

from sslplug.reporting.comparison import Comparison, Entry
from sslplug.reporting.comparison_tables import (
    Field,
    Sheet,
    cell_sheet,
    entry_sheet,
    objective_sheet,
    pair_sheet,
    prediction_sheet,
    rank_sheet,
    task_sheet,
    trees_sheet,
)
from sslplug.reporting.drawing.svg import svg
from sslplug.reporting.pictures import Picture, pictures
from sslplug.reporting.runfolder import write_text
from sslplug.reporting.whole_folder import replace_folder

_INTERVAL = r"\[[-+]?[\d.]+, [-+]?[\d.]+\](?!\()"


def write_markdown(file: Path, comparison: Comparison) -> None:
    """Publishes the text, and its pictures as SVG in ``<name of the file without ending>-figures/``, replaced whole.

    Every number links to its entry in the text, where its run folders, recipe and command stand. Raises RunFolderError where
    something cannot be written, and UsageError where the folder of pictures holds what this function did not write.
    """
    drawn = pictures(comparison)
    figures = file.with_name(f"{file.stem}-figures")

    def fill(folder: Path) -> None:
        for one in drawn:
            write_text(folder / f"{one.name}.svg", svg(one.drawing))

    replace_folder(figures, fill)
    write_text(file, markdown_text(comparison, file.parent, drawn, figures.name))


def markdown_text(comparison: Comparison, folder: Path, drawn: list[Picture], figures: str) -> str:
    """The text, for a file in ``folder`` with its pictures in ``folder/figures``."""
    anchors = {entry.name: f"entry-{number}" for number, entry in enumerate(comparison.entries, 1)}
    ranks, pairs = rank_sheet(comparison), pair_sheet(comparison)
    parts = ["# Does pretraining help?", "## Verdicts"]
    parts += [f"- **{plain(one.task)}: {one.word}.** {plain(one.sentence)}" for one in comparison.verdicts]
    parts += [
        markdown_table(task_sheet(comparison), anchors),
        "## Objectives across domains",
        *_shown(drawn, "objectives", figures),
    ]
    parts += [markdown_table(objective_sheet(comparison), anchors), markdown_table(trees_sheet(comparison), anchors)]
    if ranks is not None:
        parts += ["## Ranks over tasks", *_shown(drawn, "ranks", figures), markdown_table(ranks, anchors)]
    if pairs is not None:
        parts.append(markdown_table(pairs, anchors))
    labels = _shown(drawn, "labels", figures)
    parts += ["## Label efficiency", *labels] if labels else []
    if comparison.predictions:
        parts += ["## Label-free diagnostics", *_shown(drawn, "diagnostics", figures)]
        parts.append(markdown_table(prediction_sheet(comparison), anchors))
    parts += ["## Every number", markdown_table(cell_sheet(comparison), anchors), "## Entries: runs, recipes, commands"]
    for entry in comparison.entries:
        parts += _entry(entry, anchors, folder)
    if comparison.left_out:
        parts += ["## Left out", *(f"- {plain(one)}" for one in comparison.left_out)]
    return _joined(parts)


def markdown_table(found: Sheet, anchors: Mapping[str, str] | None = None) -> str:
    """A table of Markdown below its title in bold; numbers link to ``#anchor`` of their entry where anchors are given."""
    lines = [
        "| " + " | ".join(plain(heading) for heading in found.headings) + " |",
        "|" + "".join("--:|" if number else "---|" for number in found.numbers),
        *("| " + " | ".join(_field(field, anchors or {}) for field in row) + " |" for row in found.rows),
    ]
    note = f"\n\n{plain(found.note)}" if found.note else ""
    return f"**{plain(found.title)}**\n\n" + "\n".join(lines) + note


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no table border, no HTML, one line. Intervals, as they are no links, stay.

    >>> plain("a_b [0.1, +0.2] [x](y)")
    'a\\\\_b [0.1, +0.2] \\\\[x\\\\](y)'
    """

    def literal(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else f"\\{found[1]}"

    return re.sub(rf"{_INTERVAL}|([\\`*_\[\]|~])", literal, " ".join(escape(text, quote=False).split()))


def _field(field: Field, anchors: Mapping[str, str]) -> str:
    text = plain(field.text)
    text = f"**{text}**" if field.strong and text else text
    return f"[{text}](#{anchors[field.entry]})" if text and field.entry in anchors else text


def _shown(drawn: list[Picture], part: str, figures: str) -> list[str]:
    return [
        f"![{plain(one.drawing.title)}]({quote(figures)}/{quote(one.name)}.svg)\n\n{plain(one.caption)}"
        for one in drawn
        if one.part == part
    ]


def _entry(entry: Entry, anchors: Mapping[str, str], folder: Path) -> list[str]:
    runs = [f"- seed {seed}: {_run(run, folder)}" for seed, run in zip(entry.seeds, entry.runs, strict=True)]
    fence = "`" * max(3, 1 + max((len(found) for found in re.findall("`+", entry.command)), default=0))
    collapsed = [f"**Collapsed.** {plain(entry.collapsed.removeprefix('Collapsed: '))}"] if entry.collapsed else []
    parts = [entry.plugin, entry.recipe, entry.data, entry.views, entry.encoder, entry.method, entry.objective]
    return [
        f'<a id="{anchors[entry.name]}"></a>\n\n### {plain(entry.name)}',
        *collapsed,
        f"{fence}sh\n{entry.command}\n{fence}",
        *runs,
        f"Made of: {plain(', '.join(part for part in parts if part))}. Recipe without its seed, sha256: `{entry.digest}`. "
        f"{entry.training_seconds:.1f} s of training a run.",
        markdown_table(entry_sheet(entry)),
    ]


def _run(run: Path, folder: Path) -> str:
    if not run.is_dir():
        return f"{plain(str(run))} (not at this place)"
    way = quote(Path(os.path.relpath(run.resolve(), folder.resolve())).as_posix())
    return f"[{plain(run.name)}]({way}/), [recipe]({way}/recipe.yaml)"


def _joined(parts: list[str]) -> str:
    """Paragraphs apart, items of a list together."""
    text = ""
    for part in parts:
        gap = "" if not text else "\n" if part.startswith("- ") and text.rpartition("\n")[2].startswith("- ") else "\n\n"
        text += gap + part
    return text + "\n"
