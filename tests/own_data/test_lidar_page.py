"""The page on clouds of one's own: their folder with its faults, and every command of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
COUNT = 24


def scans(folder: Path, damaged: bool = False) -> None:
    """Things that a survey car cut out of its sweeps: cars, people and poles as x, y, z, intensity, a file each."""
    draw = np.random.default_rng(5)
    for kind in ("car", "person", "pole"):
        (folder / kind).mkdir(parents=True)
        for number in range(COUNT):
            points = _thing(kind, int(draw.integers(60, 160)), draw)
            if damaged and (kind, number) == ("car", 3):
                points[17, 2] = np.nan
            if damaged and (kind, number) == ("person", 8):
                points[:, :3] *= 1000
            content = points.astype("<f4").tobytes()
            if damaged and (kind, number) == ("pole", 11):
                content = content[:-6]
            if damaged and (kind, number) == ("car", 20):
                content = b""
            (folder / kind / f"{number:03}.bin").write_bytes(content)
    if damaged:
        (folder / "pole" / "900.bin").write_bytes((folder / "car" / "005.bin").read_bytes())
        (folder / "person" / "survey.xlsx").write_bytes(b"PK")


def _thing(kind: str, points: int, draw: np.random.Generator) -> np.ndarray:
    """Points on the two sides that a sensor sees of a box, an ellipsoid or a cylinder, turned and five to thirty metres away."""
    size = {"car": (4.3, 1.8, 1.5), "person": (0.6, 0.5, 1.7), "pole": (0.25, 0.25, 4.0)}[kind] * draw.uniform(0.85, 1.15, 3)
    around, up = draw.uniform(-1.9, 1.9, points), draw.uniform(0, 1, points)
    if kind == "car":
        side = np.clip(np.stack([np.cos(around), np.sin(around)], 1) * 1.6, -1, 1) / 2
        up = np.where(np.abs(side[:, 0]) > 0.25, up * 0.6, up)
    else:
        waist = np.sin(np.pi * (0.1 + 0.8 * up)) if kind == "person" else np.ones(points)
        side = np.stack([np.cos(around), np.sin(around)], 1) / 2 * waist[:, None]
    xyz = np.column_stack([side * size[:2], up * size[2]]) + draw.normal(0, 0.02, (points, 3))
    turn, away = draw.uniform(0, 2 * np.pi), draw.uniform(5, 30)
    cos, sin = np.cos(turn), np.sin(turn)
    xyz[:, :2] = xyz[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + away * np.array([cos, sin])
    bright = np.clip(draw.normal(0.6 if kind == "pole" else 0.3, 0.15, points), 0, 1)
    return np.column_stack([xyz, bright])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    scans(tmp_path / "raw", damaged=True)
    scans(tmp_path / "things")
    walk(ROOT / "docs/own-data/lidar.md", tmp_path)
    made = pq.read_table(tmp_path / "things.parquet")
    assert made["id"].to_pylist() == [f"{kind}/{k:03}.bin" for kind in ("car", "person", "pole") for k in range(COUNT)]
    assert set(made["split"].to_pylist()) == {"train", "val", "test"}
