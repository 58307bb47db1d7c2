"""Line charts with bands: what models reach against a share of the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from sslplug.reporting.drawing.axes import Scale, axes, nice_ticks
from sslplug.reporting.drawing.shapes import SERIES, Area, Drawing, Mark, Shape, Stroke, Words, room, series, shortened

WIDTH, HEIGHT = 440, 300
"""Of the part inside the axes' labels; the legend stands to its right."""

LEFT, TOP, BOTTOM = 68, 48, 52
_LONGEST = 44


@dataclass(frozen=True)
class Point:
    """One place of a line: mean ``y`` at ``x``, with an interval where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A named line.

    strong  drawn thicker;  band: shows its intervals (which every dot's tip names anyhow)
    bar     what others are measured against: drawn in ink, dashed, and takes none of the colours
    colour  the number of its colour, so that it looks the same in several charts; None: the next one
    """

    name: str
    points: tuple[Point, ...]
    strong: bool = False
    band: bool = True
    bar: bool = False
    colour: int | None = None


def line_chart(lines: Sequence[Line], title: str, x_label: str, y_label: str) -> Drawing:
    """A chart whose horizontal axis is logarithmic and shows shares in percent; intervals are bands.

    Bands end at the axes: a wide interval of two runs may not flatten all lines. Raises ValueError without a finite point.
    """
    drawn = [line for line in lines if any(math.isfinite(point.y) for point in line.points)]
    points = [point for line in drawn for point in line.points if math.isfinite(point.y)]
    if not points:
        raise ValueError("a chart needs at least one finite point")
    xs = sorted({point.x for point in points})
    ticks = nice_ticks(min(point.y for point in points), max(point.y for point in points))
    height = max(HEIGHT, 20 * len(drawn))
    across = Scale(xs[0], xs[-1], LEFT, LEFT + WIDTH, logarithmic=True)
    down = Scale(ticks[0], ticks[-1], TOP + height, TOP)
    shapes = axes(across, down, [(x, f"{100 * x:.3g} %") for x in xs], ticks, x_label, y_label)
    names = [shortened(line.name, _LONGEST) for line in drawn]
    taken = {line.colour for line in drawn}
    colours = (number for number in count() if number not in taken)
    legend: list[Shape] = []
    over: list[Shape] = []
    for number, (line, name) in enumerate(zip(drawn, names, strict=True)):
        colour, dashed = "ink", True
        if not line.bar:
            place = next(colours) if line.colour is None else line.colour
            colour, dashed = series(place), place >= SERIES
        width = 3.0 if line.strong else 1.5
        shapes += _band(line, colour, across, down)
        over += _path(line, colour, width, dashed, across, down)
        x, y = LEFT + WIDTH + 20, TOP + 8 + 20 * number
        legend.append(Stroke(((x, y), (x + 24, y)), colour, width, dashed))
        legend.append(Words(x + 31, y + 4, name, tip=line.name if name != line.name else ""))
    total = max(LEFT + WIDTH + 20 + 31 + max(room(name) for name in names) + 12, LEFT + room(title, 14) + 12)
    return Drawing(
        math.ceil(total),
        TOP + height + BOTTOM,
        title,
        (Words(LEFT, 26, title, size=14, bold=True), *shapes, *over, *legend),
        f"Lines of {', '.join(line.name for line in drawn)}: {y_label} against {x_label}.",
    )


def _known(line: Line) -> list[Point]:
    return [point for point in sorted(line.points, key=lambda one: one.x) if math.isfinite(point.y)]


def _band(line: Line, colour: str, across: Scale, down: Scale) -> list[Shape]:
    known = [(p.x, p.low, p.high) for p in _known(line) if p.low is not None and p.high is not None] if line.band else []
    if len(known) < 2:
        return []
    upper = [(across.at(x), down.at(high)) for x, _, high in known]
    lower = [(across.at(x), down.at(low)) for x, low, _ in reversed(known)]
    return [Area((*upper, *lower), colour)]


def _path(line: Line, colour: str, width: float, dashed: bool, across: Scale, down: Scale) -> list[Shape]:
    """The line and its dots."""
    points = _known(line)
    shapes: list[Shape] = [Stroke(tuple((across.at(p.x), down.at(p.y)) for p in points), colour, width, dashed)]
    for point in points:
        words = f"{line.name}: {point.y:.4f} at {100 * point.x:.4g} %"
        if point.low is not None and point.high is not None:
            words += f" [{point.low:.4f}, {point.high:.4f}]"
        shapes.append(Mark(across.at(point.x), down.at(point.y), colour, radius=3.5 if line.strong else 3.0, tip=words))
    return shapes
