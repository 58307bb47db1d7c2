"""Scatter plots: dots to scale, groups told apart, numbers that are none left out."""

import math

import pytest

from sslplug.reporting.drawing.scatter import Cloud, scatter
from sslplug.reporting.drawing.shapes import Mark, Words


def test_dots_lie_to_scale_and_groups_differ_in_colour_or_form() -> None:
    clouds = [Cloud(f"task {n}", (("one", 1.0, 0.1 * n), ("two", 3.0, 0.1 * n + 0.5))) for n in range(20)]
    drawing = scatter(clouds, "t", "RankMe", "share")
    marks = [shape for shape in drawing.shapes if isinstance(shape, Mark) and shape.tip]
    assert len(marks) == 40
    assert len({(mark.colour, mark.form) for mark in marks}) == 20
    first, second = marks[:2]
    assert second.x > first.x
    assert second.y < first.y
    assert first.tip == "one: RankMe 1, share 0"
    assert {"task 0", "RankMe", "share"} <= {shape.text for shape in drawing.shapes if isinstance(shape, Words)}


def test_what_is_not_finite_is_left_out() -> None:
    drawing = scatter(
        [Cloud("a", (("x", math.nan, 1.0), ("y", 1.0, 1.0))), Cloud("b", (("z", 1.0, math.inf),))], "t", "x", "y"
    )
    assert [shape.tip for shape in drawing.shapes if isinstance(shape, Mark) and shape.tip] == ["y: x 1, y 1"]
    with pytest.raises(ValueError, match="at least one finite point"):
        scatter([], "t", "x", "y")
