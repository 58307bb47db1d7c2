"""Impressions in time order: who saw what, and whether there was a click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_recsys.data.movielens import read_movielens
from sslplug_recsys.data.sources import SOURCES
from sslplug_recsys.feature_table import FeatureTable


@dataclass(frozen=True, eq=False)
class Clicks:
    """n impressions, oldest first.

    user, item  (n,) int64;  time  (n,) float64;  click  (n,) float64, 0 or 1
    users, items  how many there are;  item_features  of all items, or None
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    click: np.ndarray
    users: int
    items: int
    item_features: FeatureTable | None = None

    def __post_init__(self) -> None:
        if (np.diff(self.time) < 0).any():
            row = int(np.flatnonzero(np.diff(self.time) < 0)[0]) + 1
            raise DataError(f"Clicks: impression {row + 1} is older than the one before it; sort by time.")
        if not np.isin(self.click, (0.0, 1.0)).all():
            raise DataError("Clicks: click holds other values than 0 and 1.")

    def __len__(self) -> int:
        return len(self.user)


def movielens_clicks(context: DataContext, least_rating: int = 4) -> Clicks:
    """MovieLens-100K in the order of its ratings; a click is a rating of ``least_rating`` or more.

    The set is no log of impressions: what was not rated was not seen, and a user's ratings lie close together in time.
    """
    folder = SOURCES["ml-100k"].place(context)
    rated, liked = read_movielens(folder, None, 1), read_movielens(folder, None, least_rating)
    assert rated.time is not None  # the reader says so
    good = np.isin(rated.user * rated.items + rated.item, liked.user * liked.items + liked.item)
    order = np.argsort(rated.time, kind="stable")
    return Clicks(
        rated.user[order], rated.item[order], rated.time[order], good[order].astype(float), rated.users, rated.items,
        rated.item_features,
    )  # fmt: skip
