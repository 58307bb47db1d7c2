"""Readers of the published implicit-feedback sets with fixed splits: Gowalla, MovieLens-1M, Yelp, LastFM with friends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sslplug.errors import DataError
from sslplug_recsys.data.corpus import TEST, TRAIN, Corpus
from sslplug_recsys.data.lightgcn_text import read_parts


def read_gowalla(folder: Path) -> Corpus:
    """Gowalla: 29,858 users, 40,981 items, 10-core; 80/20 per user."""
    return read_parts("Gowalla (LightGCN's split)", {"train": folder / "train.txt", "test": folder / "test.txt"})


def read_ml_1m(folder: Path) -> Corpus:
    """MovieLens-1M: 6,022 users, 3,043 items, numbered anew."""
    return read_parts("MovieLens-1M (split m2)", {"train": folder / "train.txt", "test": folder / "test.txt"})


def read_yelp(folder: Path) -> Corpus:
    """SSLRec's Yelp: 42,712 users, 26,822 items, 70/5/25, with the validation part it selects on."""
    files = {"train": folder / "train.txt", "val": folder / "valid.txt", "test": folder / "test.txt"}
    return read_parts("Yelp (SSLRec's split)", files)


def read_lastfm(folder: Path) -> Corpus:
    """LastFM: 1,892 listeners, 4,489 artists, 80/20, and who trusts whom (relation ``user-user``, both directions once)."""
    train, test = (_numbers(folder / name, 3)[:, :2] - 1 for name in ("data1.txt", "test1.txt"))
    friends = np.unique(np.sort(_numbers(folder / "trustnetwork.txt", 2) - 1, axis=1), axis=0)
    friends = friends[friends[:, 0] != friends[:, 1]]
    pairs = np.concatenate([train, test])
    return Corpus(
        "LastFM (LightGCN's split)",
        int(max(pairs[:, 0].max(), friends.max())) + 1,
        int(pairs[:, 1].max()) + 1,
        pairs[:, 0].copy(),
        pairs[:, 1].copy(),
        part=np.repeat(np.array([TRAIN, TEST], np.int8), [len(train), len(test)]),
        relations={"user-user": torch.from_numpy(np.concatenate([friends, friends[:, ::-1]]).T.copy())},
    )


def _numbers(file: Path, columns: int) -> np.ndarray:
    """(rows, columns) int64 of a text with numbers."""
    try:
        table = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise DataError(f"{file}: {error}; expected {columns} whole numbers a line.") from error
    if table.shape[1] != columns:
        raise DataError(f"{file}: {table.shape[1]} columns; expected {columns} whole numbers a line.")
    if (table != np.round(table)).any() or table.min() < 0:
        bad = int(np.flatnonzero(((table != np.round(table)) | (table < 0)).any(1))[0])
        raise DataError(f"{file}, line {bad + 1}: {table[bad].tolist()}; expected {columns} whole numbers from 0 on.")
    return table.astype(np.int64)
