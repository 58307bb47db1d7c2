"""Tables inside somebody's Markdown, between two markers: written by the command, and the same again from the same comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_tables import (
    Sheet,
    cell_sheet,
    objective_sheet,
    pair_sheet,
    rank_sheet,
    summary_sheet,
    task_sheet,
    trees_sheet,
)
from sslplug.reporting.markdown import markdown_table, plain
from sslplug.reporting.runfolder import write_text

BEGIN, END = "<!-- sslplug compare: begin -->", "<!-- sslplug compare: end -->"
"""The markers. ``begin tasks``, ``begin objectives`` ... name one table; ``begin`` alone is the one of tasks."""

_BLOCK = re.compile(
    r"<!-- sslplug compare: begin(?: (?P<name>[\w-]+))? -->\n(?P<inner>.*?)(?P<end><!-- sslplug compare: end -->)", re.S
)


def _verdicts(comparison: Comparison) -> str:
    return "\n".join(f"- **{plain(one.task)}: {one.word}.** {plain(one.sentence)}" for one in comparison.verdicts)


def _table(make: Callable[[Comparison], Sheet | None]) -> Callable[[Comparison], str]:
    def text(comparison: Comparison) -> str:
        found = make(comparison)
        return "" if found is None else markdown_table(found)

    return text


BLOCKS: Mapping[str, Callable[[Comparison], str]] = {
    "tasks": _table(task_sheet),
    "summary": _table(summary_sheet),
    "objectives": _table(objective_sheet),
    "ranks": _table(rank_sheet),
    "pairs": _table(pair_sheet),
    "trees": _table(trees_sheet),
    "cells": _table(cell_sheet),
    "verdicts": _verdicts,
}
"""What may stand between markers."""


def write_into(file: Path, comparison: Comparison) -> None:
    """Replaces what stands between the markers of a Markdown file, and nothing else.

    Raises UsageError for a file without markers, with one marker alone, or with a name that is no block.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({error}); --into needs a Markdown file with the markers.") from error
    try:
        write_text(file, filled(text, comparison))
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error


def filled(text: str, comparison: Comparison) -> str:
    """The text with its blocks as this comparison says. Raises ValueError where markers are missing, torn or of no known name.

    >>> empty = Comparison((), (), None, (), (), {})
    >>> filled(f"a\\n{BEGIN}\\nold\\n{END}\\nb\\n", empty).splitlines()[3]
    '**Every task**'
    """
    blocks = list(_BLOCK.finditer(text))
    if not blocks:
        raise ValueError(f"has no block to fill; put a line {BEGIN} and a line {END} where the table belongs.")
    if len(re.findall(r"<!-- sslplug compare: begin\b", text)) != len(blocks) or text.count(END) != len(blocks):
        raise ValueError(f"has a marker without its partner; every begin needs an end, as in {BEGIN} ... {END}.")
    for block in blocks:
        name = block["name"] or "tasks"
        if name not in BLOCKS:
            raise ValueError(f"has a block named {name!r}; known are {', '.join(BLOCKS)}.")
    return _BLOCK.sub(lambda found: _block(found, comparison), text)


def _block(found: re.Match[str], comparison: Comparison) -> str:
    head = found[0].partition("\n")[0]
    return f"{head}\n\n{BLOCKS[found['name'] or 'tasks'](comparison)}\n\n{found['end']}"
