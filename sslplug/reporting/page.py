"""A comparison as one HTML file: no server, no script, nothing fetched; pictures are inline and run folders linked beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from sslplug.reporting.comparison import Comparison, Entry
from sslplug.reporting.comparison_tables import (
    Sheet,
    cell_sheet,
    entry_sheet,
    objective_sheet,
    pair_sheet,
    prediction_sheet,
    rank_sheet,
    size_text,
    task_sheet,
    trees_sheet,
)
from sslplug.reporting.drawing.svg import svg
from sslplug.reporting.page_style import STYLE
from sslplug.reporting.pictures import Picture, pictures
from sslplug.reporting.runfolder import write_text

_SAFE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_page(file: Path, comparison: Comparison) -> None:
    """Publishes the page. Every number links to its entry on the page, where its run folders, recipe and command stand.

    Run folders are linked by their path from the page's folder; a folder that is not there is named without a link.
    Raises RunFolderError where the file cannot be written.
    """
    write_text(file, page_text(comparison, file.parent))


def page_text(comparison: Comparison, folder: Path) -> str:
    """The page's HTML, for a file in ``folder``."""
    anchors = {entry.name: f"entry-{number}" for number, entry in enumerate(comparison.entries, 1)}
    drawn = pictures(comparison)
    sections = [
        ("verdicts", "Verdicts", _verdicts(comparison, anchors) + _table(task_sheet(comparison), anchors)),
        (
            "objectives",
            "Objectives across domains",
            _drawn(drawn, "objectives")
            + _folded("The same as a table", _table(objective_sheet(comparison), anchors))
            + _table(trees_sheet(comparison), anchors),
        ),
        ("ranks", "Ranks over tasks", _ranks(comparison, drawn, anchors)),
        ("labels", "Label efficiency", _drawn(drawn, "labels")),
        (
            "diagnostics",
            "Label-free diagnostics",
            _drawn(drawn, "diagnostics") + (_table(prediction_sheet(comparison), anchors) if comparison.predictions else ""),
        ),
        ("cells", "Every number", _table(cell_sheet(comparison), anchors) if comparison.cells else ""),
        ("entries", "Entries: runs, recipes, commands", _entries(comparison, anchors, folder)),
        ("left-out", "Left out", _listed(comparison.left_out)),
    ]
    shown = [(name, title, body) for name, title, body in sections if body]
    contents = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in shown)
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>\n{content}</section>\n'
        for name, title, content in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_SAFE}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>sslplug comparison: {escape(size_text(comparison))}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">Skip to the verdicts</a>\n<header><h1>Does pretraining help?</h1>\n'
        f"<p>{escape(size_text(comparison))}, compared by sslplug.</p>\n"
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav></header>\n<main id="main">\n{body}</main>\n</body>\n</html>\n'
    )


def _verdicts(comparison: Comparison, anchors: dict[str, str]) -> str:
    items = []
    for verdict in comparison.verdicts:
        kind = verdict.word.replace(" ", "-")
        linked = _linked(verdict.entry, verdict.entry, anchors)
        items.append(
            f'<li class="verdict {kind}"><p class="task">{escape(verdict.task)} '
            f'<strong class="word">{escape(verdict.word)}</strong></p>'
            f'<p>{escape(verdict.sentence)}</p><p class="quiet">Speaks of {linked}</p></li>'
        )
    return f'<ul class="verdicts">{"".join(items)}</ul>\n' if items else ""


def _ranks(comparison: Comparison, drawn: Sequence[Picture], anchors: dict[str, str]) -> str:
    ranks = rank_sheet(comparison)
    if ranks is None:
        return ""
    pairs = pair_sheet(comparison)
    table = _folded("The same as a table", _table(ranks, anchors))
    return _drawn(drawn, "ranks") + table + ("" if pairs is None else _folded(pairs.title, _table(pairs, anchors)))


def _drawn(drawn: Sequence[Picture], part: str) -> str:
    """The figures of one part, each in a box that scrolls where the window is narrower than a readable picture."""
    return "".join(
        f'<figure><div class="scroll" tabindex="0" role="group" aria-label="{escape(one.drawing.title)}">'
        f"{svg(one.drawing, alone=False)}</div><figcaption>{escape(one.caption)}</figcaption></figure>\n"
        for one in drawn
        if one.part == part
    )


def _table(found: Sheet, anchors: dict[str, str]) -> str:
    """A table with a caption; the first cell of a row heads it, numbers stand at the right."""
    heads = "".join(
        f'<th scope="col"{_right(number)}>{escape(heading)}</th>'
        for heading, number in zip(found.headings, found.numbers, strict=True)
    )
    lines = []
    for row in found.rows:
        cells = []
        for place, (field, number) in enumerate(zip(row, found.numbers, strict=True)):
            inner = _linked(field.text, field.entry, anchors)
            inner = f"<strong>{inner}</strong>" if field.strong else inner
            tag = ("th", ' scope="row"') if place == 0 and field.text else ("td", "")
            cells.append(f"<{tag[0]}{tag[1]}{_right(number)}>{inner}</{tag[0]}>")
        lines.append(f"<tr>{''.join(cells)}</tr>\n")
    note = f'<p class="quiet">{escape(found.note)}</p>\n' if found.note else ""
    title = escape(found.title)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{title}"><table><caption>{title}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table></div>\n{note}"
    )


def _entries(comparison: Comparison, anchors: dict[str, str], folder: Path) -> str:
    return "".join(_entry(entry, anchors, folder) for entry in comparison.entries)


def _entry(entry: Entry, anchors: dict[str, str], folder: Path) -> str:
    made = {
        "plugin": entry.plugin, "recipe": entry.recipe, "data": entry.data, "views": entry.views, "encoder": entry.encoder,
        "method": entry.method, "objective": entry.objective,
    }  # fmt: skip
    parts = "".join(f"<div><dt>{key}</dt><dd>{escape(value)}</dd></div>" for key, value in made.items() if value)
    runs = "".join(f"<li>seed {seed}: {_run(run, folder)}</li>" for seed, run in zip(entry.seeds, entry.runs, strict=True))
    seconds = f"{entry.training_seconds:.1f} s of training a run"
    seconds += "" if entry.evaluation_seconds is None else f", {entry.evaluation_seconds:.1f} s of evaluation"
    looked = ", ".join(f"{name} {value:.4g}" for name, value in sorted(entry.diagnostics.items()))
    collapsed = (
        f'<p class="collapsed"><strong>Collapsed.</strong> {escape(entry.collapsed.removeprefix("Collapsed: "))}</p>'
        if entry.collapsed
        else ""
    )
    return (
        f'<article id="{anchors[entry.name]}"><h3>{escape(entry.name)}</h3>{collapsed}<dl>{parts}</dl>'
        f'<p>Command, a click selects it:</p><pre class="copy" tabindex="0"><code>{escape(entry.command)}</code></pre>'
        f"<p>Runs:</p><ul>{runs}</ul>"
        f'<p class="quiet">Recipe without its seed, sha256: <code>{escape(entry.digest)}</code>. {escape(seconds)}.'
        f"{' At the last look: ' + escape(looked) + '.' if looked else ''}</p>"
        f"{_folded('Results with every control', _table(entry_sheet(entry), anchors))}</article>\n"
    )


def _run(run: Path, folder: Path) -> str:
    """A run folder and its recipe, linked by their way from the page's folder where they are there."""
    if not run.is_dir():
        return f"<code>{escape(str(run))}</code> (not at this place)"
    way = quote(Path(os.path.relpath(run.resolve(), folder.resolve())).as_posix())
    return f'<a href="{way}/">{escape(run.name)}</a>, <a href="{way}/recipe.yaml">recipe</a>'


def _listed(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in sentences)}</ul>\n" if sentences else ""


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n"


def _linked(text: str, entry: str, anchors: dict[str, str]) -> str:
    return f'<a href="#{anchors[entry]}">{escape(text)}</a>' if text and entry in anchors else escape(text)


def _right(number: bool) -> str:
    return ' class="n"' if number else ""
