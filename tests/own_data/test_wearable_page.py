"""The page on signals of one's own: their table with its faults, and every command of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
RATE = 20
HEADING = ["subject", "device", "time", "ax", "ay", "az", "label"]


def walkers(file: Path, damaged: bool = False, people: tuple[str, ...] = ("anna", "ben", "cleo", "dina", "emil")) -> None:
    """People with a watch who sit, walk and take stairs, 20 s each, in g at 20 Hz; the stairs are marked for some alone."""
    draw = np.random.default_rng(len(people))
    rows: list[list[object]] = []
    for person in people:
        pace, size = draw.uniform(1.6, 2.1), draw.uniform(0.8, 1.2)
        for part, activity in enumerate(("sit", "walk", "stairs")):
            for tick in range(20 * RATE):
                time = part * 20 + tick / RATE
                swing = size * (0, 0.35, 0.5)[part] * np.sin(2 * np.pi * pace * (1, 1, 0.8)[part] * time)
                x, y, z = np.array([0.3 * swing, 0.6 * swing, 1 + swing]) + draw.normal(0, 0.05, 3)
                rows.append([person, "watch", f"{time:.2f}", f"{x:.3f}", f"{y:.3f}", f"{z:.3f}", activity])
    if damaged:
        rows[30][2] = ""
        rows[80][3] = "0,12"
        rows[150][4] = "inf"
        rows[200], rows[201] = rows[201], rows[200]
        rows[260] = rows[260][:4]
        for row in rows[1200:2400]:  # ben's watch wrote m/s^2
            row[3:6] = [f"{9.81 * float(str(value)):.3f}" for value in row[3:6]]
        for row in rows[2500:2560]:  # cleo's sensor hung for three seconds
            row[3:6] = rows[2500][3:6]
        del rows[4000:4100]  # five seconds of dina are lost
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([HEADING, *rows])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    walkers(tmp_path / "raw.csv", damaged=True)
    walkers(tmp_path / "watches.csv")
    walkers(tmp_path / "fay.csv", people=("fay",))
    walk(ROOT / "docs/own-data/wearable.md", tmp_path)
    made = pq.read_table(tmp_path / "windows.parquet")
    assert made["id"].to_pylist()[:2] == ["anna/0.000", "anna/2.000"]
    assert {name.partition("/")[0] for name in made["id"].to_pylist()} == {"anna", "ben", "cleo", "dina", "emil"}
    assert {"train", "val", "test"} <= set(made["split"].to_pylist())
    assert pq.read_table(tmp_path / "fay.parquet")["id"].to_pylist()[0] == "fay/0.000"
