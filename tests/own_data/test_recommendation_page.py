"""The page on interactions of one's own: its files with their faults, and every command of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.own_data.walk import walk

ROOT = Path(__file__).resolve().parents[2]
GENRES = ("crime", "history", "poetry", "science", "travel")
START = 1_700_000_000
DAY = 86_400


def shop(folder: Path, damaged: bool = False) -> None:
    """90 readers who borrow from 70 books, mostly of two genres they like, over 120 days; what a book is stands in a second table."""
    draw = np.random.default_rng(3)
    readers, books = 90, 70
    genre = draw.integers(len(GENRES), size=books)
    popular = draw.pareto(1.5, books) + 0.3
    loans = []
    for reader in range(readers):
        liked = draw.choice(len(GENRES), 2, replace=False)
        chance = popular * np.where(np.isin(genre, liked), 8.0, 1.0)
        borrowed = draw.choice(books, int(draw.integers(8, 16)), replace=False, p=chance / chance.sum())
        loans += [[f"r{reader:03}", f"b{book:02}", int(START + draw.integers(120 * DAY))] for book in borrowed]
    loans.sort(key=lambda loan: loan[2])
    catalogue = [
        [
            f"b{book:02}",
            GENRES[genre[book]] + ("|classic" if draw.random() < 0.3 else ""),
            round(float(draw.normal(240, 60)), 1),
        ]
        for book in range(books)
    ]
    if damaged:
        loans[40][0] = ""
        loans[300][2] *= 1000
        loans[500][2] = "yesterday"
        loans.append(list(loans[-1]))
        loans.append(["r999", "b03", loans[-1][2]])
        catalogue[7][2] = "212,5"
        catalogue.append(list(catalogue[3]))
        del catalogue[55]
    folder.mkdir()
    _table(folder / "loans.csv", ["user_id", "item_id", "timestamp"], loans)
    _table(folder / "books.csv", ["item_id", "genre", "pages"], catalogue)


def _table(file: Path, heading: list[str], rows: list[list[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([heading, *rows])


def test_every_command_of_the_page(tmp_path: Path) -> None:
    shop(tmp_path / "raw", damaged=True)
    shop(tmp_path / "shop")
    walk(ROOT / "docs/own-data/recommendation.md", tmp_path)
    books, readers = (pq.read_table(tmp_path / name) for name in ("books.parquet", "books.user.parquet"))
    assert sorted(books["id"].to_pylist()) == [f"b{book:02}" for book in range(70)]
    assert sorted(readers["id"].to_pylist()) == [f"r{reader:03}" for reader in range(90)]
