"""What every reader gives: users, items, their interactions as recorded, features, further edges."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from torch import Tensor

from sslplug.errors import DataError
from sslplug_recsys.feature_table import FeatureTable

TRAIN, VAL, TEST, UNUSED = 0, 1, 2, 3
"""Which part of a split an interaction belongs to. UNUSED: in none (an item wanted by a user without history)."""
PARTS = ("train", "val", "test")

_NOTHING: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Corpus:
    """Interactions of users with items, as recorded.

    name           for reports
    users, items   how many there are, those without an interaction counted
    user, item     (e,) int64, in the source's order; a pair may occur more than once
    time           (e,) float64 in ``unit``, or None where the source has none
    part           (e,) int8 TRAIN, VAL or TEST where a split was published, or None
    user_features, item_features  of all users and items, or None
    relations      further edges, see ``RecSpec.relations``
    user_names, item_names  names from the source; None: the numbers are the names
    notes          what the reader found and handled
    """

    name: str
    users: int
    items: int
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None = None
    part: np.ndarray | None = None
    user_features: FeatureTable | None = None
    item_features: FeatureTable | None = None
    relations: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)
    user_names: tuple[str, ...] | None = None
    item_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    unit: str = "days"

    def __post_init__(self) -> None:
        for what, rows, count in (("user", self.user, self.users), ("item", self.item, self.items)):
            if rows.dtype != np.int64 or rows.ndim != 1 or len(rows) != len(self.user):
                raise DataError(
                    f"{self.name}: {what} is {rows.shape} {rows.dtype}; expected ({len(self.user)},) int64 numbers."
                )
            if len(rows) and (rows.min() < 0 or rows.max() >= count):
                bad = int(np.flatnonzero((rows < 0) | (rows >= count))[0])
                raise DataError(
                    f"{self.name}, interaction {bad + 1}: {what} {int(rows[bad])}; expected a number from 0 to {count - 1}."
                )
        for what, array in (("time", self.time), ("part", self.part)):
            if array is not None and array.shape != self.user.shape:
                raise DataError(
                    f"{self.name}: {what} is {array.shape} for {len(self.user)} interactions; expected one each."
                )
        for what, table, count in (("user", self.user_features, self.users), ("item", self.item_features, self.items)):
            if table is not None and len(table) != count:
                raise DataError(f"{self.name}: features of {len(table)} {what}s; expected those of all {count}.")

    @property
    def sha256(self) -> str:
        """A hash of all content but names and notes."""
        digest = hashlib.sha256(f"{self.users} {self.items}".encode())
        arrays = [self.user, self.item, *(a for a in (self.time, self.part) if a is not None)]
        for table in (self.user_features, self.item_features):
            if table is not None:
                digest.update(repr((table.fields, table.sizes)).encode())
                arrays += [one.numpy() for one in (*table.offsets, *table.codes)]
        for name in sorted(self.relations):
            digest.update(name.encode())
            arrays.append(self.relations[name].numpy())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def apart(user: np.ndarray, item: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(e,) bool: interactions whose pair stood earlier in another part; (e,) int64: the first interaction of each pair."""
    _, first, place = np.unique(user * (item.max(initial=0) + 1) + item, return_index=True, return_inverse=True)
    opening = first[place]
    return part != part[opening], opening


def distinct(corpus: Corpus) -> Corpus:
    """The corpus with every pair once, at its earliest time, in the source's order; the rest is left out and said.

    Raises DataError where a published split has one pair in two parts.
    """
    key = corpus.user * corpus.items + corpus.item
    order = np.argsort(key, kind="stable") if corpus.time is None else np.lexsort((corpus.time, key))
    first = np.ones(len(key), bool)
    first[1:] = np.diff(key[order]) != 0
    if first.all():
        return corpus
    if corpus.part is not None:
        leaking, opening = apart(corpus.user, corpus.item, corpus.part)
        if leaking.any():
            row = int(leaking.argmax())
            raise DataError(
                f"{corpus.name}: user {int(corpus.user[row])} and item {int(corpus.item[row])} are in both "
                f"{PARTS[int(corpus.part[opening[row]])]} and {PARTS[int(corpus.part[row])]} ({int(leaking.sum())} such pairs); "
                "expected parts that share no pair. Remove them from one of the files."
            )
    kept = np.sort(order[first])
    left = len(key) - len(kept)
    return replace(
        corpus,
        user=corpus.user[kept],
        item=corpus.item[kept],
        time=None if corpus.time is None else corpus.time[kept],
        part=None if corpus.part is None else corpus.part[kept],
        notes=(*corpus.notes, f"{left} repeated interactions: each pair counts once, at its earliest time"),
    )
