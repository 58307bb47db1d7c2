"""Heat maps: numbers, hatching with its reason, colours that leave every number readable."""

import numpy as np
import pytest

from sslplug.reporting.drawing.heat_map import Heat, colour, heat_map, luminance, readable
from sslplug.reporting.drawing.shapes import Box, Words


def test_cells_hold_number_and_word_and_missing_ones_are_hatched_with_the_reason() -> None:
    cells = {("a", "x"): Heat(0.874, "win", "told"), ("a", "y"): Heat(None, "no scale", "the gap is nil")}
    drawing = heat_map(["a", "b"], ["x", "y"], cells, "title", "nobody ran it")
    words = [shape.text for shape in drawing.shapes if isinstance(shape, Words)]
    assert {"a", "b", "x", "y", "87", "win", "no scale"} <= set(words)
    hatched = {shape.tip for shape in drawing.shapes if isinstance(shape, Box) and shape.hatched}
    assert hatched == {"a, y: the gap is nil", "b, x: nobody ran it", "b, y: nobody ran it"}
    assert [s.tip for s in drawing.shapes if isinstance(s, Box) and s.fill == colour(0.874)] == ["a, x: told"]


def test_rows_run_down_and_columns_to_the_right_inside_the_drawing() -> None:
    rows, columns = [f"task {n}" for n in range(12)], [f"a rather long objective {n}" for n in range(15)]
    cells = {(r, c): Heat((i * 15 + j) / 180) for i, r in enumerate(rows) for j, c in enumerate(columns)}
    drawing = heat_map(rows, columns, cells, "t", "")
    boxes = {shape.tip.partition(":")[0]: shape for shape in drawing.shapes if isinstance(shape, Box) and shape.tip}
    first, right, below = (
        boxes[f"{r}, {c}"] for r, c in ((rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[0]))
    )
    assert right.x > first.x
    assert right.y == first.y
    assert below.y > first.y
    assert max(box.x + box.width for box in boxes.values()) < drawing.width
    assert max(box.y + box.height for box in boxes.values()) < drawing.height


@pytest.mark.parametrize("share", np.linspace(-1.5, 1.5, 61))
def test_numbers_are_readable_on_every_colour(share: float) -> None:
    """WCAG 2.1's contrast of at least 4.5."""
    one, other = sorted((luminance(colour(share)), luminance(readable(colour(share)))), reverse=True)
    assert (one + 0.05) / (other + 0.05) >= 4.5


def test_colours_grow_darker_away_from_nought_and_are_clipped() -> None:
    blue = [luminance(colour(share)) for share in np.linspace(0, 1, 21)]
    orange = [luminance(colour(share)) for share in np.linspace(0, -1, 21)]
    assert blue == sorted(blue, reverse=True)
    assert orange == sorted(orange, reverse=True)
    assert (colour(7.0), colour(-7.0)) == (colour(1.0), colour(-1.0))
    assert colour(1.0) != colour(-1.0)


def test_an_empty_map_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 and 1"):
        heat_map([], ["x"], {}, "t", "")
