"""The tables of a comparison: what stands in them, and that each number knows its entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_tables import (
    Sheet,
    cell_sheet,
    entry_sheet,
    objective_sheet,
    pair_sheet,
    prediction_sheet,
    rank_sheet,
    summary_sheet,
    task_sheet,
    trees_sheet,
)

Make = Callable[..., Comparison]


def column(sheet: Sheet, heading: str) -> list[str]:
    return [row[sheet.headings.index(heading)].text for row in sheet.rows]


def test_a_task_shows_the_model_its_verdict_speaks_of(make_comparison: Make) -> None:
    comparison = make_comparison()
    sheet = task_sheet(comparison)
    assert column(sheet, "task") == ["graph/digits/digit", "tabular/adult/income", "wearable/har/activity"]
    assert column(sheet, "model") == [verdict.entry for verdict in comparison.verdicts]
    assert column(sheet, "pretraining") == [verdict.word for verdict in comparison.verdicts]
    helped = [verdict.word == "helps" for verdict in comparison.verdicts]
    assert column(sheet, "up to labels") == ["10 %" if helps else "" for helps in helped]
    cell = next(one for one in comparison.cells if one.entry == comparison.verdicts[0].entry)
    assert column(sheet, "pretrained")[0] == f"{cell.mean:.4f} [{cell.low:.4f}, {cell.high:.4f}]"
    verdict = comparison.verdicts[0]
    assert column(sheet, "by")[0] == f"{verdict.size:+.4f} [{verdict.low:+.4f}, {verdict.high:+.4f}]"
    assert column(sheet, "than")[0] == "lightgbm on raw"
    assert {field.entry for field in sheet.rows[0] if field.text.startswith("0.")} == {cell.entry}


def test_a_task_without_a_verdict_shows_its_best(make_comparison: Make) -> None:
    comparison = make_comparison()
    sheet = task_sheet(replace(comparison, verdicts=()))
    assert column(sheet, "pretraining") == ["", "", ""]
    mine = [cell for cell in comparison.cells if cell.task == "graph/digits/digit"]
    assert column(sheet, "model")[0] == max(mine, key=lambda cell: cell.mean).entry


def test_the_summary_is_the_task_tables_first_columns_and_says_how_much_it_is_over(make_comparison: Make) -> None:
    comparison = make_comparison()
    short, whole = summary_sheet(comparison), task_sheet(comparison)
    for heading in short.headings:
        assert column(short, heading) == column(whole, heading)
    assert short.note.startswith("27 runs, 11 entries, 3 tasks of graph, tabular, wearable.")


def test_objectives_hold_the_heat_maps_numbers(make_comparison: Make) -> None:
    comparison = make_comparison()
    sheet = objective_sheet(comparison)
    assert sheet.headings == ("task", "barlow", "infonce", "mse", "vicreg", "LightGBM raw")
    cell = comparison.cells[0]
    assert cell.share is not None
    outcome = {1: "win", 0: "tie", -1: "loss", None: ""}[cell.outcome]
    assert column(sheet, "infonce")[0] == f"{round(100 * cell.share)} {outcome}"
    assert column(sheet, "vicreg")[1] == "-"  # nobody ran it
    assert column(sheet, "mse")[2] == "-"  # the gap is nil


def test_ranks_give_letters_to_groups(make_comparison: Make) -> None:
    comparison = make_comparison()
    sheet = rank_sheet(comparison)
    assert sheet is not None
    assert column(sheet, "group") == ["a", "a", "a b", "b", "b"]
    assert "p 0.21" in sheet.note
    assert "Critical difference (Nemenyi, 5 %): 2.40" in sheet.note
    pairs = pair_sheet(comparison)
    assert pairs is not None
    assert [field.text for field in pairs.rows[0]] == ["infonce", "vicreg", "3", "2", "0", "1", "+0.50", "0.25", "0.75", ""]
    assert column(pairs, "p (Holm)") == ["0.75", "-"]
    without = replace(comparison, ranking=None)
    assert rank_sheet(without) is None
    assert pair_sheet(without) is None


def test_the_other_tables_hold_what_the_comparison_says(make_comparison: Make) -> None:
    comparison = make_comparison()
    assert column(trees_sheet(comparison), "wins")[:2] == ["0", "1"]
    cells = cell_sheet(comparison)
    assert len(cells.rows) == len(comparison.cells)
    assert "the gap is nil" in column(cells, "note")
    predictions = prediction_sheet(comparison)
    assert column(predictions, "tau")[:2] == ["0.33", "-"]
    assert column(predictions, "note")[:2] == ["", "all values are equal"]


def test_an_entry_shows_every_row_with_its_controls(make_comparison: Make) -> None:
    entry = make_comparison().entries[0]
    sheet = entry_sheet(entry)
    lines = sum(1 + len(row.controls) + (row.published is not None) for row in entry.rows)
    assert len(sheet.rows) == lines
    assert "logistic on untrained" in column(sheet, "features")
    assert "+0.1000 [0.0800, 0.1200]" in column(sheet, "pretrained minus this")
    assert "published" in column(sheet, "features")
    (one,) = {field.entry for row in sheet.rows for field in row if field.entry}
    assert one == entry.name
