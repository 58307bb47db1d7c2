"""The result table and its verdict: a loss is called a loss."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from sslplug.reporting.table import ControlRow, TableRow, show_table, verdict

UNTRAINED = ControlRow("logistic on untrained", 0.70, 0.68, 0.72, 5, 0.1, 0.08, 0.12, 0.0004)
RAW = ControlRow("lightgbm on raw", 0.85, 0.84, 0.86, 5, -0.05, -0.07, -0.03, 0.012)
BOTH = ControlRow("lightgbm on both", 0.79, 0.70, 0.88, 5, 0.01, -0.05, 0.07, 0.64)
ROW = TableRow(
    "class", "public", "logistic", "accuracy", 1.0, True, 0.80, 0.78, 0.82, 5, (UNTRAINED, RAW, BOTH), published=0.81
)


def test_wins_losses_and_ties_are_said() -> None:
    assert verdict(ROW) == (
        "class (public, 100% of labels): logistic on pretrained, accuracy 0.8000, "
        "wins against logistic on untrained (0.1000 better, p < 0.001); "
        "LOSES to lightgbm on raw (0.0500 worse, p 0.012); "
        "cannot be told from lightgbm on both (0.0100 better, p 0.640)."
    )


def test_where_smaller_is_better_the_sign_turns() -> None:
    said = verdict(replace(ROW, metric="rmse", higher_is_better=False))
    assert "LOSES to logistic on untrained (0.1000 worse, p < 0.001)" in said
    assert "wins against lightgbm on raw (0.0500 better, p 0.012)" in said


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (replace(RAW, p_holm=None, note="one split allows no test"), " (0.0500 worse): one split allows no test"),
        (replace(RAW, p_holm=None, difference=0.0), " (equal): no test possible"),
        (replace(RAW, difference=None, note="other rows"), ": other rows"),
    ],
)
def test_without_a_test_nothing_is_claimed(control: ControlRow, said: str) -> None:
    sentence = verdict(replace(ROW, controls=(control,)))
    assert f"was not tested against lightgbm on raw{said}" in sentence
    assert "LOSES" not in sentence
    assert "wins" not in sentence


def test_a_reason_that_several_controls_share_is_said_once() -> None:
    one = "one run allows no test"
    controls = (
        replace(UNTRAINED, p_holm=None, note=one),
        replace(RAW, p_holm=None, note=one),
        replace(BOTH, p_holm=None, note="x"),
    )
    said = verdict(replace(ROW, controls=controls))
    assert said.endswith(
        "was not tested against logistic on untrained (0.1000 better) and lightgbm on raw (0.0500 worse): one run allows no test; "
        "was not tested against lightgbm on both (0.0100 better): x."
    )


def test_exactly_alpha_and_equal_means_are_no_wins() -> None:
    for control in (replace(UNTRAINED, p_holm=0.05), replace(UNTRAINED, difference=0.0, p_holm=0.001)):
        assert "cannot be told from" in verdict(replace(ROW, controls=(control,)))


def test_collapse_and_no_controls() -> None:
    said = verdict(replace(ROW, controls=(), collapsed="rankme 1.2 of 64"))
    assert said.endswith("stands without a control. The run COLLAPSED: rankme 1.2 of 64.")
    said = verdict(replace(ROW, collapsed="Collapsed: embeddings are NaN or infinite."))
    assert said.endswith(". The run COLLAPSED: embeddings are NaN or infinite.")


def test_a_narrow_terminal_folds_and_cuts_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    show_table([ROW], stream=stream)
    table = stream.getvalue().split("class (public, 100%")[0]
    assert "…" not in table
    assert all(f"{number:.4f}" in table for number in (0.80, 0.70, 0.85, 0.79, 0.81))
    assert "< 0.001" in table


def test_the_printed_table_keeps_every_number() -> None:
    stream = io.StringIO()
    one = replace(RAW, low=None, high=None, n=1, difference_low=None, difference_high=None, p_holm=None)
    show_table([replace(ROW, controls=(UNTRAINED, one, BOTH))], "toy/first", stream)
    text = stream.getvalue()
    lines = {
        line.split("│")[3].strip(): [cell.strip() for cell in line.split("│")] for line in text.splitlines() if "│" in line
    }
    assert lines["logistic on pretrained"][5:8] == ["0.8000", "[0.7800, 0.8200]", "5"]
    assert lines["logistic on untrained"][5:10] == ["0.7000", "[0.6800, 0.7200]", "5", "+0.1000 [0.0800, 0.1200]", "< 0.001"]
    assert lines["lightgbm on raw"][5:10] == ["0.8500", "one observation", "1", "-0.0500", "-"]
    assert lines["published"][5] == "0.8100"
    assert lines["published"][8] == "-0.0100"
    assert "wins against logistic on untrained" in text
