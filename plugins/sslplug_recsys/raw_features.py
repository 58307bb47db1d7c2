"""What an engineer would tell a boosted tree of a (user, item) pair: counts, neighbours, shared attributes, recency.

From training pairs and the feature tables alone. All are products of sparse matrices over the asked pairs; nothing loops over
users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from sslplug.contracts import RawFeatures
from sslplug_recsys.feature_table import MISSING, FeatureTable

NEIGHBOURS = 50
"""Nearest items kept of each item."""
SHRINK = 10.0
"""Added to the denominator of an item-item similarity: few common users are little evidence."""
CHUNK = 100_000
"""Pairs worked on at a time."""
NEW = 0.2
"""The newest share of the training time, for recent popularity."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """Features of pairs.

    train  (users, items) CSR of ones: the training pairs
    time   their times as a CSR of the same structure, or None
    """

    train: sparse.csr_matrix
    time: sparse.csr_matrix | None
    user_features: FeatureTable | None
    item_features: FeatureTable | None

    def features(self, users: np.ndarray, items: np.ndarray) -> RawFeatures:
        """(p, f) features of the pairs (users[i], items[i]), both (p,) int64.

        Columns: item and user counts and their logs; sum, greatest and number of similarities of the item to the user's items
        (cosine of common users, shrunk, the item's :data:`NEIGHBOURS` nearest); a field of the items: how often the user
        chose the item's values; a field of the users: how often users of that value chose the item, beyond its popularity;
        with times: recent count, age of the item, time since the user's last pair and since the item's. Then the codes of
        single-valued user and item fields.
        """
        parts = [self._chunk(users[a : a + CHUNK], items[a : a + CHUNK]) for a in range(0, max(len(users), 1), CHUNK)]
        values = np.concatenate(parts).astype(np.float32)
        codes = [np.asarray(column)[rows] for column, rows in self._codes(users, items)]
        categorical = tuple(range(values.shape[1], values.shape[1] + len(codes)))
        return RawFeatures(np.column_stack([values, *codes]) if codes else values, categorical)

    def _chunk(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        liked, bought = self._item_count[items], self._user_count[users]
        near = self.train[users].multiply(self.similar[items]).tocsr()
        columns = [
            liked,
            np.log1p(liked),
            bought,
            np.log1p(bought),
            np.asarray(near.sum(1)).ravel(),
            near.max(1).toarray().ravel() if len(users) else np.empty(0),
            np.diff(near.indptr),
        ]
        for profile, values in self._profiles:
            columns.append(_dots(profile, users, values, items))
        for lift, values in self._audiences:
            columns.append(_dots(lift, items, values, users))
        if self._clock is not None:
            recent, first, last_of_item, last_of_user, end = self._clock
            columns += [recent[items], np.log1p(recent[items]), end - first[items], end - last_of_item[items]]
            columns += [end - last_of_user[users]]
        return np.column_stack(columns)

    @cached_property
    def _item_count(self) -> np.ndarray:
        return np.asarray(self.train.sum(0)).ravel()

    @cached_property
    def _user_count(self) -> np.ndarray:
        return np.asarray(self.train.sum(1)).ravel()

    @cached_property
    def similar(self) -> sparse.csr_matrix:
        """(items, items) CSR: c_ij / (sqrt(n_i n_j) + SHRINK) of the nearest items, c_ij users with both; no item is its own."""
        count, by_item = self._item_count, self.train.T.tocsr()
        blocks = []
        rows = max(1, int(2e7 // max(self.train.shape[1], 1)))
        for start in range(0, len(count), rows):
            common = (by_item[start : start + rows] @ self.train).tocoo()
            near = common.data / (np.sqrt(count[start + common.row] * count[common.col]) + SHRINK)
            other = common.col != start + common.row
            blocks.append(_largest(common.row[other], common.col[other], near[other], common.shape))
        similar: sparse.csr_matrix = sparse.vstack(blocks, format="csr")
        return similar

    @cached_property
    def _profiles(self) -> list[tuple[sparse.csr_matrix, sparse.csr_matrix]]:
        """A field of the items: (users, values) mean share of a user's items with a value, (items, values) shares."""
        if self.item_features is None:
            return []
        inverse = sparse.diags(1.0 / np.maximum(self._user_count, 1.0))
        found = []
        for values in _shares(self.item_features):
            # A rare value in common says more than a frequent one.
            rarity = sparse.diags(np.log1p(values.shape[0] / (1.0 + np.asarray(values.sum(0)).ravel())))
            found.append(((inverse @ self.train @ values).tocsr(), (values @ rarity).tocsr()))
        return found

    @cached_property
    def _audiences(self) -> list[tuple[sparse.csr_matrix, sparse.csr_matrix]]:
        """A field of the users: (items, values) shrunk log ratio of a value among an item's users, (users, values) shares."""
        if self.user_features is None:
            return []
        found = []
        for values in _shares(self.user_features):
            chosen = np.asarray((self.train.T @ values).todense())
            expected = self._item_count[:, None] * (chosen.sum(0) / max(chosen.sum(), 1.0))[None, :]
            found.append((sparse.csr_matrix(np.log((chosen + 1.0) / (expected + 1.0))), values))
        return found

    @cached_property
    def _clock(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float] | None:
        """Recent counts and first and last times of items, last times of users (NaN: never), and the end of training."""
        if self.time is None or not self.time.nnz:
            return None
        stamps = self.time.tocoo()
        end, start = float(stamps.data.max()), float(stamps.data.min())
        users, items = self.time.shape
        recent = np.bincount(stamps.col, stamps.data >= end - NEW * (end - start), items)
        first, last, seen = np.full(items, np.inf), np.full(items, -np.inf), np.full(users, -np.inf)
        np.minimum.at(first, stamps.col, stamps.data)
        np.maximum.at(last, stamps.col, stamps.data)
        np.maximum.at(seen, stamps.row, stamps.data)
        first, last, seen = (np.where(np.isfinite(one), one, np.nan) for one in (first, last, seen))
        return recent, first, last, seen, end

    def _codes(self, users: np.ndarray, items: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for table, rows in ((self.user_features, users), (self.item_features, items)):
            if table is None:
                continue
            for offsets, codes in zip(table.offsets, table.codes, strict=True):
                if len(codes) == len(table):
                    yield np.where(codes.numpy() == MISSING, np.nan, codes.numpy()).astype(np.float32), rows
                # A field of several values has no code of its own; the profiles and audiences tell it.
                del offsets


def _shares(table: FeatureTable) -> Iterator[sparse.csr_matrix]:
    """A field: (entities, values) CSR whose rows sum to 1, or to 0 where the field is missing."""
    for size, offsets, codes in zip(table.sizes, table.offsets, table.codes, strict=True):
        start, code = offsets.numpy(), codes.numpy()
        weight = (code != MISSING) / np.maximum(np.repeat(np.diff(start), np.diff(start)), 1)
        yield sparse.csr_matrix((weight, code, start), (len(table), size))


def _dots(left: sparse.csr_matrix, rows: np.ndarray, right: sparse.csr_matrix, others: np.ndarray) -> np.ndarray:
    """(p,) inner products of left[rows] and right[others]."""
    return np.asarray(left[rows].multiply(right[others]).sum(1)).ravel()


def _largest(row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """The :data:`NEIGHBOURS` largest values, all below 1, of each row; ties as they come."""
    order = np.argsort(row - value, kind="stable")
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < NEIGHBOURS
    return sparse.csr_matrix((value[kept], (row[kept], column[kept])), shape)
