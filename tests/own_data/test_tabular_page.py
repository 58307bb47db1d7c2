"""The page on a table of one's own: its file with its faults, and every command of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
HEADING = ["customer_id", "age", "city", "since", "plan", "monthly", "calls", "paperless", "left"]
CITIES = ("Aachen", "Bonn", "Celle", "Dresden")
PLANS = ("basic", "family", "flat")


def customers(file: Path, damaged: bool = False, later: bool = False) -> None:
    """360 customers of a telephone company; of half of them it is known whether they left. ``later``: 40 new ones."""
    draw = np.random.default_rng(9 if not later else 10)
    rows = []
    for number in range(40 if later else 360):
        kind = int(draw.integers(3))
        calls = int(draw.poisson(2 + 2 * (kind == 0)))
        monthly = 12 + 9 * kind + draw.gamma(2, 3)
        leaves = calls + monthly / 12 - 3 * (kind == 1) + draw.normal(0, 1.5) > 5
        row = [
            f"C{(7000 if later else 1000) + number}",
            int(draw.integers(18, 85)),
            CITIES[int(draw.integers(len(CITIES)))],
            f"20{draw.integers(10, 24)}-{draw.integers(1, 13):02d}-{draw.integers(1, 29):02d}",
            PLANS[kind],
            f"{monthly:.2f}",
            calls,
            "yes",
            ("yes" if leaves else "no") if draw.random() < 0.5 else "",
        ]
        rows.append([*row[:-1]] if later else row)
    if damaged:
        rows[24][5] = "31,90"
        rows[30][1] = "n.k."
        rows[57][3] = "2021-02-30"
        rows[58][3] = "17.03.2019"
        rows[101][2] = "bonn"
        rows[140][1] = -999
        rows[200] = rows[200][:5]
        rows[222][6] = "inf"
        rows[300][0] = "C1007"
        rows[301][4] = "unknown"
    with file.open("w", newline="", encoding="utf-8-sig" if damaged else "utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([HEADING[:-1] if later else HEADING, *rows])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    customers(tmp_path / "export.csv", damaged=True)
    customers(tmp_path / "customers.csv")
    customers(tmp_path / "new.csv", later=True)
    walk(ROOT / "docs/own-data/tabular.md", tmp_path)
    made = pq.read_table(tmp_path / "customers.parquet")
    assert made["id"].to_pylist() == [f"C{1000 + k}" for k in range(360)]
    assert set(made["split"].to_pylist()) == {"train", "val", "test", "unlabelled"}
    assert pq.read_table(tmp_path / "new.parquet")["id"].to_pylist() == [f"C{7000 + k}" for k in range(40)]
