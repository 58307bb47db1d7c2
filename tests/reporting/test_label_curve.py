"""Label efficiency as a table and as numbers."""

import io
import json
from dataclasses import replace
from pathlib import Path

from sslplug.reporting.curve import label_curve, markdown_curve, show_curve, write_curve
from sslplug.reporting.table import ControlRow, TableRow

RAW = ControlRow("lightgbm on raw", 0.60, 0.55, 0.65, 5)
ROW = TableRow("income", "given", "mlp", "accuracy", 0.01, True, 0.70, None, None, 1, (RAW,))
ROWS = [
    ROW,
    replace(ROW, probe="knn", mean=0.5),
    replace(ROW, fraction=1.0, mean=0.8, low=0.79, high=0.81, n=10, controls=(replace(RAW, mean=0.85),)),
    replace(ROW, task="other", fraction=1.0),
]


def test_every_model_is_one_curve() -> None:
    points = label_curve(ROWS)
    raw = [(point["labels"], point["mean"]) for point in points if point["model"] == "lightgbm on raw"]
    assert raw == [(0.01, 0.60), (1.0, 0.85), (1.0, 0.60)]
    assert [p["labels"] for p in points if p["model"] == "mlp on pretrained" and p["task"] == "income"] == [0.01, 1.0]
    (first,) = [point for point in points if (point["model"], point["labels"]) == ("lightgbm on raw", 0.01)]
    assert (first["low"], first["high"], first["n"], first["task"]) == (0.55, 0.65, 5, "income")


def test_the_table_has_a_column_a_share_and_leaves_gaps_empty() -> None:
    lines = markdown_curve(ROWS).splitlines()
    assert lines[0] == "income, accuracy by share of labels (larger is better), mean [95 % interval]"
    assert lines[2:] == [
        "| model | 1 % | 100 % |",
        "|---|--:|--:|",
        "| knn on pretrained | 0.5000 |  |",
        "| lightgbm on raw | 0.6000 [0.5500, 0.6500] | 0.8500 [0.5500, 0.6500] |",
        "| mlp on pretrained | 0.7000 | 0.8000 [0.7900, 0.8100] |",
    ]
    assert markdown_curve([ROW]) == ""
    stream = io.StringIO()
    show_curve(ROWS, stream)
    assert stream.getvalue() == f"\n{markdown_curve(ROWS)}\n"


def test_files_are_written_for_several_shares_alone(tmp_path: Path) -> None:
    write_curve(tmp_path, [ROW])
    assert not list(tmp_path.iterdir())
    write_curve(tmp_path, ROWS)
    assert json.loads((tmp_path / "labels.json").read_text())["points"] == label_curve(ROWS)
    assert (tmp_path / "labels.md").read_text() == markdown_curve(ROWS) + "\n"
    pictures = list(tmp_path.glob("labels-*.svg"))
    assert pictures
    assert all("on pretrained" in picture.read_text() for picture in pictures)
