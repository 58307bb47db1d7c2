"""Line charts with bands as plain SVG text: a picture that needs no plotting library, and that a browser or an editor opens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8c510a")
"""Okabe and Ito's palette, told apart by colour-blind readers too; a line beyond it takes colours from the start, dashed."""

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 250, 40, 48


@dataclass(frozen=True)
class Point:
    """One place of a line: mean ``y`` at ``x``, with an interval where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A named line; ``strong`` is drawn thicker, ``band`` shows its intervals (which every dot's tip names anyhow)."""

    name: str
    points: tuple[Point, ...]
    strong: bool = False
    band: bool = True


def line_chart(lines: Sequence[Line], title: str, x_label: str, y_label: str) -> str:
    """An SVG document. The horizontal axis is logarithmic and shows shares in percent; intervals are bands.

    Bands end at the axes: a wide interval of two runs may not flatten all lines. Raises ValueError without a finite point.
    """
    drawn = [line for line in lines if any(math.isfinite(point.y) for point in line.points)]
    points = [point for line in drawn for point in line.points if math.isfinite(point.y)]
    if not points:
        raise ValueError("a chart needs at least one finite point")
    xs = sorted({point.x for point in points})
    ticks = nice_ticks(min(point.y for point in points), max(point.y for point in points))
    bottom, top = ticks[0], ticks[-1]

    def across(x: float) -> float:
        span = math.log(xs[-1] / xs[0]) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(x / xs[0]) / span if len(xs) > 1 else 0.5)

    def down(y: float) -> float:
        inside = min(max(y, bottom), top)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (inside - bottom) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 20, title, size=14),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, anchor="middle"),
        f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2:.1f}" transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2:.1f})" '
        f'text-anchor="middle">{escape(y_label)}</text>',
    ]
    for tick in ticks:
        y = down(tick)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
    for x in xs:
        parts.append(_text(across(x), HEIGHT - BOTTOM + 18, f"{100 * x:g} %", anchor="middle"))
    for number, line in enumerate(drawn):
        parts += _drawn(line, number, across, down)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(line: Line, number: int, across: Callable[[float], float], down: Callable[[float], float]) -> list[str]:
    """Band, path, dots and legend of one line."""
    colour = COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="5 3"' if number >= len(COLOURS) else ""
    width = 3 if line.strong else 1.5
    points = [point for point in sorted(line.points, key=lambda one: one.x) if math.isfinite(point.y)]
    parts = []
    known = [(point.x, point.low, point.high) for point in points if point.low is not None and point.high is not None]
    banded = known if line.band else []
    if banded:
        edge = [(across(x), down(high)) for x, _, high in banded] + [
            (across(x), down(low)) for x, low, _ in reversed(banded)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.12"/>')
    path = " ".join(f"{across(point.x):.1f},{down(point.y):.1f}" for point in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>')
    for point in points:
        words = f"{line.name}: {point.y:.4f} at {100 * point.x:g} %"
        if point.low is not None and point.high is not None:
            words += f" [{point.low:.4f}, {point.high:.4f}]"
        dot = f'<circle cx="{across(point.x):.1f}" cy="{down(point.y):.1f}" r="3" fill="{colour}">'
        parts.append(f"{dot}<title>{escape(words)}</title></circle>")
    y = TOP + 8 + 18 * number
    x = WIDTH - RIGHT + 16
    parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="{width}"{dash}/>')
    parts.append(_text(x + 28, y + 4, line.name))
    return parts


def nice_ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers from at most ``low`` to at least ``high``.

    >>> nice_ticks(0.81, 0.87)
    [0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87]
    """
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 7)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
