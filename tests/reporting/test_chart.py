"""Charts as SVG: well-formed, every number in its place, odd input drawn or refused."""

import math
import xml.etree.ElementTree as ET

import pytest

from sslplug.reporting.chart import HEIGHT, Line, Point, line_chart, nice_ticks

SVG = "{http://www.w3.org/2000/svg}"


def chart(*lines: Line) -> ET.Element:
    return ET.fromstring(line_chart(lines, "a < b & c", "share", "accuracy"))


def test_lines_bands_dots_and_legend_are_drawn() -> None:
    one = Line("logistic on pretrained", (Point(1.0, 0.9, 0.88, 0.92), Point(0.01, 0.5, 0.4, 0.6)), strong=True)
    two = Line("lightgbm on raw", (Point(0.01, 0.45, 0.4, 0.5), Point(1.0, 0.95, 0.9, 1.0)), band=False)
    root = chart(one, two)
    assert root.findtext(f"{SVG}title") == "a < b & c"
    lines = root.findall(f"{SVG}polyline")
    assert [line.get("stroke-width") for line in lines] == ["3", "1.5"]
    assert len(root.findall(f"{SVG}polygon")) == 1  # the second line asked for none
    assert len(root.findall(f"{SVG}circle")) == 4
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"logistic on pretrained", "lightgbm on raw", "1 %", "100 %", "share", "accuracy"} <= set(words)


def test_larger_is_higher_and_shares_run_to_the_right() -> None:
    (line,) = chart(Line("a", (Point(0.01, 0.2), Point(0.1, 0.4), Point(1.0, 0.3)))).findall(f"{SVG}polyline")
    places = [tuple(map(float, pair.split(","))) for pair in (line.get("points") or "").split()]
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3
    assert y2 < y3 < y1
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)  # logarithmic: each tenfold is as wide


def test_an_interval_beyond_the_axes_is_cut_there() -> None:
    root = chart(Line("a", (Point(0.1, 0.5, -7.0, 9.0), Point(1.0, 0.6, 0.55, 0.65))))
    heights = [float(pair.split(",")[1]) for pair in (root.find(f"{SVG}polygon").get("points") or "").split()]  # type: ignore[union-attr]
    assert min(heights) >= 0
    assert max(heights) <= HEIGHT


def test_points_that_are_no_numbers_are_left_out() -> None:
    root = chart(Line("a", (Point(0.1, math.nan), Point(1.0, 0.6))), Line("b", (Point(0.1, math.inf),)))
    assert len(root.findall(f"{SVG}circle")) == 1
    with pytest.raises(ValueError, match="at least one finite point"):
        line_chart([Line("a", (Point(0.1, math.nan),))], "t", "x", "y")


@pytest.mark.parametrize(("low", "high"), [(0.81, 0.87), (0.0, 1.0), (0.5, 0.5), (-3.2, 170.0), (0.0, 0.0), (1e-7, 3e-7)])
def test_ticks_are_round_and_hold_the_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))
