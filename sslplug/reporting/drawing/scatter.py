"""Points in the plane, a colour and a form a group: whether one number predicts another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sslplug.reporting.drawing.axes import Scale, axes, nice_ticks
from sslplug.reporting.drawing.chart import BOTTOM, HEIGHT, LEFT, TOP, WIDTH
from sslplug.reporting.drawing.shapes import FORMS, SERIES, Drawing, Mark, Shape, Words, room, series, shortened

_LONGEST = 60


@dataclass(frozen=True)
class Cloud:
    """A named group of (tip, x, y)."""

    name: str
    points: tuple[tuple[str, float, float], ...]


def scatter(clouds: Sequence[Cloud], title: str, x_label: str, y_label: str) -> Drawing:
    """A drawing of all points with a legend. Raises ValueError without a finite point."""
    finite = [
        Cloud(cloud.name, tuple(p for p in cloud.points if math.isfinite(p[1]) and math.isfinite(p[2]))) for cloud in clouds
    ]
    shown = [cloud for cloud in finite if cloud.points]
    points = [point for cloud in shown for point in cloud.points]
    if not points:
        raise ValueError("a scatter plot needs at least one finite point")
    x_ticks = nice_ticks(min(x for _, x, _ in points), max(x for _, x, _ in points))
    y_ticks = nice_ticks(min(y for _, _, y in points), max(y for _, _, y in points))
    names = [shortened(cloud.name, _LONGEST) for cloud in shown]
    height = max(HEIGHT, 20 * len(shown))
    across = Scale(x_ticks[0], x_ticks[-1], LEFT, LEFT + WIDTH)
    down = Scale(y_ticks[0], y_ticks[-1], TOP + height, TOP)
    shapes: list[Shape] = [Words(LEFT, 26, title, size=14, bold=True)]
    shapes += axes(across, down, [(x, f"{x:g}") for x in x_ticks], y_ticks, x_label, y_label)
    for number, (cloud, name) in enumerate(zip(shown, names, strict=True)):
        # Thirty-two groups have a colour and form of their own.
        colour, form = series(number), FORMS[(number + number // SERIES) % len(FORMS)]
        for tip, x, y in cloud.points:
            words = f"{tip}: {x_label} {x:.4g}, {y_label} {y:.4g}"
            shapes.append(Mark(across.at(x), down.at(y), colour, form, 5, words))
        x, y = LEFT + WIDTH + 28, TOP + 8 + 20 * number
        shapes.append(Mark(x, y, colour, form, 5))
        shapes.append(Words(x + 12, y + 4, name, tip=cloud.name if name != cloud.name else ""))
    width = max(LEFT + WIDTH + 40 + max(room(name) for name in names) + 12, LEFT + room(title, 14) + 12)
    said = f"{len(points)} points in {len(shown)} groups: {y_label} against {x_label}."
    return Drawing(math.ceil(width), TOP + height + BOTTOM, title, tuple(shapes), said)
