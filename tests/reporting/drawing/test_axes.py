"""Axes: round ticks, places on a scale, numbers that do not run into each other."""

import pytest

from sslplug.reporting.drawing.axes import Scale, axes, nice_ticks
from sslplug.reporting.drawing.shapes import Words


@pytest.mark.parametrize(("low", "high"), [(0.81, 0.87), (0.0, 1.0), (0.5, 0.5), (-3.2, 170.0), (0.0, 0.0), (1e-7, 3e-7)])
def test_ticks_are_round_and_hold_the_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))


def test_a_scale_lays_out_cuts_and_takes_one_number() -> None:
    assert [Scale(0, 10, 100, 200).at(value) for value in (0, 5, 10, 99, -1)] == [100, 150, 200, 200, 100]
    assert Scale(0.01, 1, 0, 100, logarithmic=True).at(0.1) == pytest.approx(50)
    assert Scale(3, 3, 0, 100).at(3) == 50


def test_ticks_that_would_run_into_each_other_are_left_out() -> None:
    close = [(0.5 + number / 1000, "50.000 %") for number in range(20)]
    shapes = axes(Scale(0, 1, 0, 400), Scale(0, 1, 300, 0), close, [0, 1], "x", "y")
    assert sum(isinstance(shape, Words) and shape.text == "50.000 %" for shape in shapes) == 1
