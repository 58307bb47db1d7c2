"""Two axes on a drawing: round ticks, a grid, and where a number lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sslplug.reporting.drawing.shapes import Shape, Stroke, Words


@dataclass(frozen=True)
class Scale:
    """Numbers from ``low`` to ``high`` laid out from ``start`` to ``end``; what lies beyond is put at the end."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a number; the middle where the scale holds one number alone."""
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, inside = math.log(low), math.log(high), math.log(inside)
        share = (inside - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * share


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


def axes(
    across: Scale, down: Scale, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[float], x_label: str, y_label: str
) -> list[Shape]:
    """Grid lines at ``y_ticks``, the numbers along both axes, and what these are."""
    shapes: list[Shape] = []
    for tick in y_ticks:
        y = down.at(tick)
        shapes.append(Stroke(((across.start, y), (across.end, y)), "grid"))
        shapes.append(Words(across.start - 7, y + 4, f"{tick:g}", "end", colour="quiet"))
    free = -math.inf
    for value, text in x_ticks:
        x = across.at(value)
        if x - 4 * len(text) > free:  # ticks that would run into each other are left out
            shapes.append(Stroke(((x, down.start), (x, down.start + 4)), "quiet"))
            shapes.append(Words(x, down.start + 18, text, "middle", colour="quiet"))
            free = x + 4 * len(text)
    shapes.append(Words((across.start + across.end) / 2, down.start + 38, x_label, "middle"))
    middle = (down.start + down.end) / 2
    shapes.append(Words(across.start - 50, middle, y_label, "middle", turn=-90))
    return shapes
