"""The page on clouds of one's own: their folder with its faults, and every command of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
COUNT = 24


def scans(folder: Path, damaged: bool = False, seed: int = 5) -> None:
    """Things that a survey car cut out of its sweeps: bushes, people and poles as x, y, z, intensity, a file each."""
    draw = np.random.default_rng(seed)
    for kind in ("bush", "person", "pole"):
        (folder / kind).mkdir(parents=True)
        for number in range(COUNT):
            points = _thing(kind, int(draw.integers(12, 50)), draw)
            if damaged and (kind, number) == ("bush", 3):
                points[17, 2] = np.nan
            if damaged and (kind, number) == ("person", 8):
                points[:, :3] *= 1000
            content = points.astype("<f4").tobytes()
            if damaged and (kind, number) == ("pole", 11):
                content = content[:-6]
            if damaged and (kind, number) == ("bush", 20):
                content = b""
            (folder / kind / f"{number:03}.bin").write_bytes(content)
    if damaged:
        (folder / "pole" / "900.bin").write_bytes((folder / "bush" / "005.bin").read_bytes())
        (folder / "person" / "survey.xlsx").write_bytes(b"PK")


def _thing(kind: str, points: int, draw: np.random.Generator) -> np.ndarray:
    """Points on the side that a sensor sees of an ellipsoid or a cylinder, turned and five to thirty metres away."""
    size = {"bush": (1.2, 1.0, 1.5), "person": (0.7, 0.6, 1.7), "pole": (0.4, 0.4, 2.2)}[kind] * draw.uniform(0.5, 1.5, 3)
    around, up = draw.uniform(-1.6, 1.6, points), draw.uniform(0, 1, points)
    waist = np.ones(points) if kind == "pole" else np.sqrt(np.clip(1 - (2 * up - 1) ** 2, 0.04, 1))
    side = np.stack([np.cos(around), np.sin(around)], 1) / 2 * waist[:, None]
    noise = draw.normal(0, 0.12 if kind == "bush" else 0.06, (points, 3))
    xyz = np.column_stack([side * size[:2], up * size[2]]) + noise
    turn, away = draw.uniform(0, 2 * np.pi), draw.uniform(5, 30)
    cos, sin = np.cos(turn), np.sin(turn)
    xyz[:, :2] = xyz[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + away * np.array([cos, sin])
    bright = np.clip(draw.normal(0.4 if kind == "pole" else 0.3, 0.2, points), 0, 1)
    return np.column_stack([xyz, bright])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    scans(tmp_path / "raw", damaged=True)
    scans(tmp_path / "things")
    scans(tmp_path / "later", seed=6)
    walk(ROOT / "docs/own-data/lidar.md", tmp_path)
    made = pq.read_table(tmp_path / "things.parquet")
    assert made["id"].to_pylist() == [f"{kind}/{k:03}.bin" for kind in ("bush", "person", "pole") for k in range(COUNT)]
    assert pq.read_table(tmp_path / "later.parquet").column_names[:3] == ["row", "id", "e0"]
    assert set(made["split"].to_pylist()) == {"train", "val", "test"}
