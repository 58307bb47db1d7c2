"""Which pictures a comparison gets, and that each shows its own numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_tables import objective_sheet
from sslplug.reporting.drawing.shapes import Box, Mark, Stroke, Words
from sslplug.reporting.objective_view import best_cell, best_cells, models, trees_share
from sslplug.reporting.pictures import Picture, pictures

Make = Callable[..., Comparison]


def named(comparison: Comparison) -> dict[str, Picture]:
    return {picture.name: picture for picture in pictures(comparison)}


def words(picture: Picture) -> set[str]:
    return {shape.text for shape in picture.drawing.shapes if isinstance(shape, Words)}


def test_every_part_of_a_comparison_is_drawn(make_comparison: Make) -> None:
    found = named(make_comparison())
    labels = {"labels-graph_digits_digit", "labels-tabular_adult_income", "labels-wearable_har_activity"}
    assert set(found) == {"heat-map", "critical-difference", "predicts-rankme", "predicts-std"} | labels
    assert {picture.part for picture in found.values()} == {"objectives", "ranks", "labels", "diagnostics"}


def test_ranks_say_what_cannot_be_said(make_comparison: Make) -> None:
    comparison = make_comparison()
    assert comparison.ranking is not None
    assert "Nemenyi" in named(comparison)["critical-difference"].caption
    one = replace(comparison.ranking, tasks=("a/b/c",), p=None, difference=None, note="one task allows no test")
    found = named(replace(comparison, ranking=one))["critical-difference"]
    assert found.caption == "One task allows no test."
    assert found.drawing.title == "Mean ranks over 1 task, best at the left"


def test_nothing_is_drawn_of_nothing() -> None:
    assert pictures(Comparison((), (), None, (), (), {})) == []


def test_the_heat_map_shows_the_best_of_an_objective_the_trees_and_why_cells_are_missing(make_comparison: Make) -> None:
    comparison = make_comparison()
    cell = comparison.cells[0]
    worse = replace(cell, entry=comparison.entries[0].name, mean=cell.mean - 0.3, share=-0.77)
    heat = named(replace(comparison, cells=(worse, *comparison.cells)))["heat-map"]
    assert "-77" not in words(heat)
    assert {"LightGBM raw", "win", "loss", "no scale", *models(comparison)} <= words(heat)
    tips = {shape.tip for shape in heat.drawing.shapes if isinstance(shape, Box) and shape.hatched}
    assert "tabular/adult/income, vicreg: no judged run of this objective on this task" in tips
    (tip,) = (tip for tip in tips if tip.startswith("wearable/har/activity, mse"))
    assert tip.endswith("the gap is nil")
    best = best_cell(comparison, cell.task)
    assert best.trees is not None
    assert best.untrained is not None
    share = (best.trees - best.untrained) / (0.95 - best.untrained)
    assert trees_share(comparison, cell.task) == (pytest.approx(share), best)
    assert f"{round(100 * share)}" in words(heat)
    (row,) = (row for row in objective_sheet(comparison).rows if row[0].text == cell.task)
    assert row[-1].text == f"{round(100 * share)}"


def test_smaller_may_be_better(make_comparison: Make) -> None:
    comparison = make_comparison()
    errors = replace(
        comparison, cells=tuple(replace(cell, higher_is_better=False, metric="rmse") for cell in comparison.cells)
    )
    task = "graph/digits/digit"
    means = [cell.mean for cell in comparison.cells if cell.task == task]
    assert best_cell(comparison, task).mean == max(means)
    assert best_cell(errors, task).mean == min(means)
    assert len(best_cells(errors)) == len(comparison.cells)


def test_an_objective_of_the_methods_own_is_called_by_the_method(make_comparison: Make) -> None:
    assert models(make_comparison(objectives=("", "infonce"))) == ("infonce", "latent")


def test_label_curves_hold_the_trees_and_every_entry_up_to_a_dozen(make_comparison: Make) -> None:
    few = named(make_comparison())["labels-graph_digits_digit"]
    assert {"LightGBM raw", "graph/default-digits (objective=vicreg)"} <= words(few)
    assert "Drawn are" not in few.caption
    many = named(make_comparison(objectives=tuple(f"o{number}" for number in range(15))))["labels-graph_digits_digit"]
    assert sum(word.startswith("graph/default-digits (") for word in words(many)) == 12
    assert "Drawn are the best 12 of 15 entries" in many.caption


def test_an_objective_has_one_colour_in_every_chart_and_two_of_its_entries_differ(make_comparison: Make) -> None:
    comparison = make_comparison()
    found = named(comparison)

    def colours(task: str) -> dict[str, str]:
        legend = [
            shape for shape in found[f"labels-{task}"].drawing.shapes if isinstance(shape, Words) and "=" in shape.text
        ]
        lines = [shape for shape in found[f"labels-{task}"].drawing.shapes if isinstance(shape, Stroke)]
        beside = {
            shape.text: next(one for one in lines if one.places[1][0] == shape.x - 7 and one.places[0][1] == shape.y - 4)
            for shape in legend
        }
        return {text.partition("=")[2]: line.colour for text, line in beside.items()}

    graph, wearable = colours("graph_digits_digit"), colours("wearable_har_activity")
    assert graph == wearable
    assert len(set(graph.values())) == 4
    twin = replace(comparison.entries[0], name="graph/other (objective=infonce)")
    cell = replace(comparison.cells[0], entry=twin.name)
    found = named(replace(comparison, entries=(*comparison.entries, twin), cells=(*comparison.cells, cell)))
    legend = [
        s for s in found["labels-graph_digits_digit"].drawing.shapes if isinstance(s, Stroke) and s.places[0][0] == 528
    ]
    assert len({(line.colour, line.dashed) for line in legend}) == 1 + 5


def test_one_share_of_labels_is_no_curve(make_comparison: Make) -> None:
    comparison = make_comparison()
    whole = tuple(
        replace(entry, rows=tuple(row for row in entry.rows if row.fraction == 1.0)) for entry in comparison.entries
    )
    assert not [name for name in named(replace(comparison, entries=whole)) if name.startswith("labels")]


def test_the_scatter_has_a_dot_an_entry_and_says_what_is_not_known(make_comparison: Make) -> None:
    comparison = make_comparison()
    found = named(comparison)
    dots = [s for s in found["predicts-rankme"].drawing.shapes if isinstance(s, Mark) and s.tip]
    assert len(dots) == sum(len(one.points) for one in comparison.predictions if one.diagnostic == "rankme")
    assert "graph/digits/digit, tau 0.33 (p 0.5)" in words(found["predicts-rankme"])
    assert "graph/digits/digit, tau unknown" in words(found["predicts-std"])
