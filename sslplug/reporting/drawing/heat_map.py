"""A heat map of shares: one row a task, one column a model, a number in each cell, what is missing hatched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sslplug.reporting.drawing.shapes import Box, Drawing, Shape, Words, room, shortened

STOPS = ((-1.0, "#a8450a"), (-0.5, "#eda766"), (0.0, "#f3f3f1"), (0.5, "#7fb5de"), (1.0, "#0b559f"))
"""From orange (worse than the untrained encoder) over white (as good) to blue (the best known); the two hues stay apart for
colour-blind readers, and the number stands in every cell."""

_CELL, _HIGH, _TOP, _LONGEST = 78, 42, 56, 40


@dataclass(frozen=True)
class Heat:
    """One cell: its share (None: hatched), a short word below it, and what is read out when it is pointed at."""

    share: float | None
    word: str = ""
    tip: str = ""


def heat_map(
    rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Heat], title: str, missing: str
) -> Drawing:
    """A drawing with the cell of each (row, column); ``missing`` is the tip of a place without one.

    Shares are clipped to -1 and 1 for their colour, never for their number. Raises ValueError without a row or a column.
    """
    if not rows or not columns:
        raise ValueError(f"a heat map needs rows and columns, found {len(rows)} and {len(columns)}")
    names = [shortened(row, _LONGEST) for row in rows]
    left = math.ceil(max(room(name) for name in names)) + 24
    heads = [shortened(column, _LONGEST) for column in columns]
    slope = math.sin(math.radians(35))
    top = _TOP + math.ceil(max(room(head) for head in heads) * slope) + 8
    beyond = math.ceil(room(heads[-1]) * math.cos(math.radians(35))) - _CELL // 2
    width = max(left + _CELL * len(columns) + max(beyond, 0) + 16, 16 + room(title, 14) + 12, left + 360)
    shapes: list[Shape] = [Words(16, 26, title, size=14, bold=True)]
    for number, (column, head) in enumerate(zip(columns, heads, strict=True)):
        place = left + _CELL * (number + 0.5)
        shapes.append(Words(place, top - 8, head, turn=-35, tip=column if head != column else ""))
    for line, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + _HIGH * line
        shapes.append(Words(left - 10, y + _HIGH / 2 + 4, name, "end", tip=row if name != row else ""))
        for number, column in enumerate(columns):
            heat = cells.get((row, column), Heat(None, "", missing))
            shapes += _cell(heat, left + _CELL * number, y, f"{row}, {column}: {heat.tip}")
    bottom = top + _HIGH * len(rows)
    known = sum(heat.share is not None for heat in cells.values())
    return Drawing(
        math.ceil(width),
        bottom + 58,
        title,
        (*shapes, *_key(left, bottom + 22)),
        f"{len(rows)} tasks by {len(columns)} models; {known} cells hold a number. The same numbers stand in the tables.",
    )


def _cell(heat: Heat, x: float, y: float, tip: str) -> list[Shape]:
    if heat.share is None:
        box: list[Shape] = [Box(x + 1, y + 1, _CELL - 2, _HIGH - 2, "grid", hatched=True, tip=tip)]
        return [*box, Words(x + _CELL / 2, y + _HIGH / 2 + 4, heat.word, "middle", 11, tip=tip)] if heat.word else box
    fill = colour(heat.share)
    ink = readable(fill)
    number = Words(x + _CELL / 2, y + (19 if heat.word else 26), percent(heat.share), "middle", 14, ink, bold=True, tip=tip)
    word = [Words(x + _CELL / 2, y + 34, heat.word, "middle", 10, ink, tip=tip)] if heat.word else []
    return [Box(x + 1, y + 1, _CELL - 2, _HIGH - 2, fill, tip=tip), number, *word]


def _key(x: float, y: float) -> list[Shape]:
    """What the colours stand for."""
    steps = 41
    shapes: list[Shape] = [Box(x + 6 * step, y, 6.4, 10, colour(-1 + 2 * step / (steps - 1))) for step in range(steps)]
    for share in (-1.0, 0.0, 1.0):
        words = {-1.0: "-100", 0.0: "0, untrained", 1.0: "100, best known"}[share]
        shapes.append(Words(x + 6 * steps * (share + 1) / 2, y + 25, words, "middle", 11, "quiet"))
    return shapes


def percent(share: float) -> str:
    """A share as whole percent, without a negative nought.

    >>> percent(0.874), percent(-0.001)
    ('87', '0')
    """
    return f"{round(100 * share) + 0:d}"


def colour(share: float) -> str:
    """The colour of a share, between those of :data:`STOPS`."""
    inside = min(max(share, -1.0), 1.0)
    for (low, first), (high, second) in zip(STOPS, STOPS[1:], strict=False):
        if inside <= high:
            part = (inside - low) / (high - low)
            mixed = [a + (b - a) * part for a, b in zip(_rgb(first), _rgb(second), strict=True)]
            return "#" + "".join(f"{round(value):02x}" for value in mixed)
    raise AssertionError("the last stop is 1")


def readable(fill: str) -> str:
    """Black or white, whichever stands out more on a colour: WCAG 2's contrast, of at least 4.5 on every colour here."""
    light = luminance(fill)
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#ffffff"


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2, from 0 for black to 1 for white."""
    parts = [value / 255 for value in _rgb(colour)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
