"""The critical-difference diagram: mean ranks, and who is as good (Demsar 2006, JMLR 7, figure 1)."""

from __future__ import annotations

import math

from sslplug.reporting.comparison import Ranking
from sslplug.reporting.drawing.axes import Scale
from sslplug.reporting.drawing.shapes import Drawing, Shape, Stroke, Words, room, shortened

_AXIS, _LONGEST, _LINE = 520, 34, 24


def rank_diagram(ranking: Ranking, title: str) -> Drawing:
    """The axis of mean ranks with the best at the left, a label a model, a bar over each group that cannot be told apart.

    The critical difference stands above the axis where there is one. Raises ValueError without a model.
    """
    count = len(ranking.models)
    if not count:
        raise ValueError("a diagram of ranks needs at least one model")
    names = [shortened(name, _LONGEST) for name in ranking.models]
    half = (count + 1) // 2
    left = math.ceil(max(room(f"{name} 0.00") for name in names[:half])) + 34
    right = math.ceil(max([room(f"{name} 0.00") for name in names[half:]], default=0.0)) + 34
    width = max(left + _AXIS + right, 16 + room(title, 14) + 12)
    y = 108.0 if ranking.difference is not None else 84.0
    scale = Scale(1, max(count, 2), left, left + _AXIS)
    shapes: list[Shape] = [Words(16, 26, title, size=14, bold=True)]
    shapes.append(Stroke(((left, y), (left + _AXIS, y)), "ink", 1.5))
    every = max(1, math.ceil(count / 14))
    for tick in range(1, max(count, 2) + 1):
        shapes.append(Stroke(((scale.at(tick), y), (scale.at(tick), y - 7)), "ink", 1.5))
        if (tick - 1) % every == 0:
            shapes.append(Words(scale.at(tick), y - 12, str(tick), "middle", colour="quiet"))
    if ranking.difference is not None:
        shapes += _ruler(scale, ranking.difference, 62)
    bars = [group for group in ranking.groups if len(group) > 1]
    for number, group in enumerate(bars):
        ranks = [ranking.mean_ranks[ranking.models.index(name)] for name in group]
        level = y + 12 + 9 * number
        ends = ((scale.at(min(ranks)) - 4, level), (scale.at(max(ranks)) + 4, level))
        shapes.append(Stroke(ends, "ink", 4))
    first = y + 12 + 9 * len(bars) + 16
    for number, (name, model, rank) in enumerate(zip(names, ranking.models, ranking.mean_ranks, strict=True)):
        best = number < half
        row = number if best else count - 1 - number
        height = first + _LINE * row
        end = left - 14 if best else left + _AXIS + 14
        shapes.append(Stroke(((scale.at(rank), y), (scale.at(rank), height), (end, height)), "series0", 1.3))
        words = f"{name} {rank:.2f}" if best else f"{rank:.2f} {name}"
        place = end - 6 if best else end + 6
        shapes.append(Words(place, height + 4, words, "end" if best else "start", tip=model if name != model else ""))
    said = [f"{model} {rank:.2f}" for model, rank in zip(ranking.models, ranking.mean_ranks, strict=True)]
    return Drawing(
        math.ceil(width),
        first + _LINE * half + 6,
        title,
        tuple(shapes),
        f"Mean ranks, 1 is best: {', '.join(said)}.",
    )


def _ruler(scale: Scale, difference: float, y: float) -> list[Shape]:
    """The critical difference as a length on the axis; cut at the axis' end where it is longer, which is said."""
    whole = difference <= scale.high - scale.low
    start, end = scale.at(1), scale.at(1 + difference)
    words = f"critical difference {difference:.2f}" + ("" if whole else ", longer than the axis")
    ends = [Stroke(((x, y - 5), (x, y + 5)), "ink", 1.5) for x in ((start, end) if whole else (start,))]
    return [Stroke(((start, y), (end, y)), "ink", 1.5), *ends, Words(start, y - 10, words)]
