"""The diagram of ranks: labels in order, bars over the groups, the critical difference to scale."""

from dataclasses import replace

import pytest

from sslplug.reporting.comparison import Ranking
from sslplug.reporting.drawing.critical_difference import rank_diagram
from sslplug.reporting.drawing.shapes import Stroke, Words

RANKING = Ranking(
    ("b", "a", "LightGBM raw", "c"), (1.25, 2.0, 2.75, 4.0), ("t1", "t2"), 0.04, 1.5, (("b", "a", "LightGBM raw"), ("c",))
)


def words(ranking: Ranking) -> dict[str, Words]:
    return {shape.text: shape for shape in rank_diagram(ranking, "title").shapes if isinstance(shape, Words)}


def test_the_best_half_stands_left_the_rest_right_all_inside() -> None:
    found = words(RANKING)
    assert (found["b 1.25"].anchor, found["a 2.00"].anchor) == ("end", "end")
    assert (found["2.75 LightGBM raw"].anchor, found["4.00 c"].anchor) == ("start", "start")
    drawing = rank_diagram(RANKING, "title")
    assert found["4.00 c"].x < drawing.width
    assert found["b 1.25"].x < found["4.00 c"].x
    assert "b 1.25, a 2.00" in drawing.description


def test_bars_span_their_groups_and_the_difference_is_to_scale() -> None:
    shapes = rank_diagram(RANKING, "title").shapes
    (bar,) = [shape for shape in shapes if isinstance(shape, Stroke) and shape.width == 4]  # the group of one has none
    (axis,) = [s for s in shapes if isinstance(s, Stroke) and len(s.places) == 2 and s.places[1][0] - s.places[0][0] == 520]
    unit = 520 / 3  # from rank 1 to rank 4
    assert bar.places[0][0] == pytest.approx(axis.places[0][0] + 0.25 * unit - 4)
    assert bar.places[1][0] == pytest.approx(axis.places[0][0] + 1.75 * unit + 4)
    lengths = [s.places[1][0] - s.places[0][0] for s in shapes if isinstance(s, Stroke) and s.places[0][1] == 62]
    assert lengths == [pytest.approx(1.5 * unit)]
    assert "critical difference 1.50" in words(RANKING)


def test_without_a_difference_there_is_no_ruler_and_a_long_one_is_called_so() -> None:
    assert not any(text.startswith("critical") for text in words(replace(RANKING, difference=None)))
    assert "critical difference 9.00, longer than the axis" in words(replace(RANKING, difference=9.0))


def test_one_model_is_drawn_and_none_refused() -> None:
    assert "a 1.00" in words(Ranking(("a",), (1.0,), ("t",), None, None, ()))
    with pytest.raises(ValueError, match="at least one model"):
        rank_diagram(Ranking((), (), (), None, None, ()), "t")
