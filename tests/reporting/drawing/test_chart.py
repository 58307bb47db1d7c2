"""Line charts: every number in its place, odd input drawn or refused."""

import math

import pytest

from sslplug.reporting.drawing.chart import Line, Point, line_chart
from sslplug.reporting.drawing.shapes import Area, Drawing, Mark, Stroke, Words


def chart(*lines: Line) -> Drawing:
    return line_chart(lines, "a < b & c", "share", "accuracy")


def strokes(drawing: Drawing) -> list[Stroke]:
    """The models' paths, without grid, ticks and legend."""
    dots = {(mark.x, mark.y) for mark in drawing.shapes if isinstance(mark, Mark)}
    found = [one for one in drawing.shapes if isinstance(one, Stroke) and one.places[0] in dots]
    return [one for one in found if one.colour not in ("grid", "quiet")]


def test_lines_bands_dots_and_legend_are_drawn() -> None:
    one = Line("logistic on pretrained", (Point(1.0, 0.9, 0.88, 0.92), Point(0.01, 0.5, 0.4, 0.6)), strong=True)
    two = Line("lightgbm on raw", (Point(0.01, 0.45, 0.4, 0.5), Point(1.0, 0.95, 0.9, 1.0)), band=False)
    drawing = chart(one, two)
    assert drawing.title == "a < b & c"
    assert [line.width for line in strokes(drawing)] == [3, 1.5]
    assert sum(isinstance(shape, Area) for shape in drawing.shapes) == 1  # the second line asked for none
    assert sum(isinstance(shape, Mark) for shape in drawing.shapes) == 4
    words = {shape.text for shape in drawing.shapes if isinstance(shape, Words)}
    assert {"logistic on pretrained", "lightgbm on raw", "1 %", "100 %", "share", "accuracy"} <= words


def test_the_bar_is_dashed_ink_and_takes_no_colour_from_the_others() -> None:
    points = (Point(0.1, 0.5), Point(1.0, 0.6))
    bar, first, second = strokes(chart(Line("trees", points, bar=True), Line("a", points), Line("b", points)))
    assert (bar.colour, bar.dashed) == ("ink", True)
    assert [(one.colour, one.dashed) for one in (first, second)] == [("series0", False), ("series1", False)]


def test_a_ninth_line_takes_the_first_colour_dashed() -> None:
    points = (Point(0.1, 0.5), Point(1.0, 0.6))
    lines = strokes(chart(*(Line(str(number), points) for number in range(9))))
    assert len({(one.colour, one.dashed) for one in lines}) == 9


def test_larger_is_higher_and_shares_run_to_the_right() -> None:
    (line,) = strokes(chart(Line("a", (Point(0.01, 0.2), Point(0.1, 0.4), Point(1.0, 0.3)))))
    (x1, y1), (x2, y2), (x3, y3) = line.places
    assert x1 < x2 < x3
    assert y2 < y3 < y1
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)  # logarithmic: each tenfold is as wide


def test_an_interval_beyond_the_axes_is_cut_there() -> None:
    drawing = chart(Line("a", (Point(0.1, 0.5, -7.0, 9.0), Point(1.0, 0.6, 0.55, 0.65))))
    (band,) = [shape for shape in drawing.shapes if isinstance(shape, Area)]
    assert min(y for _, y in band.places) >= 0
    assert max(y for _, y in band.places) <= drawing.height


def test_a_long_name_is_shortened_and_its_tip_has_it_whole() -> None:
    name = "graph/a-very-long-recipe-name (objective=vicreg, encoder.width=512)"
    drawing = chart(Line(name, (Point(0.1, 0.5), Point(1.0, 0.6))))
    (words,) = [shape for shape in drawing.shapes if isinstance(shape, Words) and shape.tip]
    assert words.tip == name
    assert len(words.text) == 44
    assert words.x < drawing.width


def test_points_that_are_no_numbers_are_left_out() -> None:
    drawing = chart(Line("a", (Point(0.1, math.nan), Point(1.0, 0.6))), Line("b", (Point(0.1, math.inf),)))
    assert sum(isinstance(shape, Mark) for shape in drawing.shapes) == 1
    with pytest.raises(ValueError, match="at least one finite point"):
        line_chart([Line("a", (Point(0.1, math.nan),))], "t", "x", "y")
