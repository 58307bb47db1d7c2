"""The page on events of one's own: their tables with their faults, and every command of it."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
DISHES = ("bread", "coffee", "soup", "salad", "cake")
HEADING = ["card", "paid_at", "dish", "amount"]


def canteen(folder: Path, damaged: bool = False, first: int = 0, count: int = 120) -> None:
    """What cards of a canteen paid in eight weeks: students come at noon, staff all day, each with habits; most are labelled."""
    draw = np.random.default_rng(4 + first)
    events, labels = [], []
    for person in range(first, first + count):
        staff = bool(draw.random() < 0.5)
        taste = draw.dirichlet(np.array([3, 6, 2, 2, 1]) if staff else np.array([1, 2, 5, 3, 3]))
        when = datetime(2024, 3, 4) + timedelta(days=float(draw.exponential(2)))
        for _ in range(int(draw.integers(8, 25))):
            hour = draw.normal(10.5, 2.5) if staff else draw.normal(12.4, 0.7)
            paid = when.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=float(np.clip(hour, 7, 17)))
            dish = DISHES[int(draw.choice(5, p=taste))]
            events.append([f"K{person:03}", paid.isoformat(" ", "seconds"), dish, f"{draw.gamma(6, 0.7):.2f}"])
            when += timedelta(days=float(1 + draw.exponential(1.5)))
        if draw.random() < 0.8:
            labels.append([f"K{person:03}", "staff" if staff else "student"])
    if damaged:
        events[6][1] = "2024-02-30 12:10:00"
        events[40][0] = ""
        events[77][3] = "4,20"
        events[90], events[91] = events[91], events[90]
        events.insert(120, list(events[119]))
        events[300] = events[300][:2]
        events[400][1] = "2999-12-31 23:59:59"
        events.append(["K900", "2024-03-05 12:00:00", "soup", "3.10"])
        labels.append([labels[3][0], "staff" if labels[3][1] == "student" else "student"])
        labels.append(["K777", "staff"])
    folder.mkdir()
    for name, heading, rows in (("paid", HEADING, events), ("people", ["card", "label"], labels)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as out:
            csv.writer(out, lineterminator="\n").writerows([heading, *rows])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    canteen(tmp_path / "raw", damaged=True)
    canteen(tmp_path / "canteen")
    canteen(tmp_path / "april", first=500, count=20)
    walk(ROOT / "docs/own-data/events.md", tmp_path)
    made = pq.read_table(tmp_path / "cards.parquet")
    assert made["id"].to_pylist() == [f"K{k:03}" for k in range(120)]
    assert set(made["split"].to_pylist()) == {"train", "val", "test", "unlabelled"}
    assert pq.read_table(tmp_path / "april.parquet")["id"].to_pylist() == [f"K{k}" for k in range(500, 520)]
