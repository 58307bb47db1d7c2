"""The data of one run on pairs: shuffled training pairs, every user and item in order, the ranking task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from sslplug.contracts import Order, RawFeatures, Task, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.data.corpus import TEST, TRAIN, VAL, Corpus
from sslplug_recsys.data.split import Division
from sslplug_recsys.raw_features import PairTable
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.tasks import matrix, ranking_task

ROWS_A_VIEW = 1 << 17
"""Entities in one view of ``rows()``."""


def shares(order: Order, pairs: int) -> list[np.ndarray]:
    """Numbers of the training pairs of each batch of this rank, a pure function of (order, pairs).

    Pairs are shuffled and cut into batches of ``order.batch_size``; a last batch of less than half that size is left out, since
    in-batch negatives would be few. Ranks get parts of a batch whose sizes differ by one at most.
    """
    size = min(order.batch_size or pairs, pairs)
    if size < order.world:
        raise UsageError(
            f"A batch of {size} pairs cannot be shared by {order.world} ranks; use fewer ranks or larger batches."
        )
    shuffled = Rng.root(order.seed).fork("batches", order.epoch).numpy().permutation(pairs)
    batches = [shuffled[start : start + size] for start in range(0, pairs, size)]
    if len(batches) > 1 and (2 * len(batches[-1]) < size or len(batches[-1]) < order.world):
        batches.pop()
    return [np.array_split(batch, order.world)[order.rank] for batch in batches]


@dataclass(frozen=True)
class Batches(Sequence[Pairs]):
    """Batches made when asked for."""

    user: np.ndarray
    item: np.ndarray
    chosen: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        index = self.chosen[step]
        user, item = torch.from_numpy(self.user[index]), torch.from_numpy(self.item[index])
        return Pairs(user, item, torch.from_numpy(index.astype(np.int64)))


class PairData:
    """Users and items with a split of their interactions. ``corpus`` holds every pair once (:func:`corpus.distinct`)."""

    level = "item"
    fitted: Mapping[str, Any]

    def __init__(
        self, corpus: Corpus, division: Division, fitted: Mapping[str, Any], cutoffs: Sequence[int] = (20, 10)
    ) -> None:
        self.corpus, self.division, self.fitted = corpus, division, fitted
        named = {"user": corpus.user_names, "item": corpus.item_names}
        self.names = {level: names for level, names in named.items() if names is not None}
        trained = division.part == TRAIN
        self._user, self._item = corpus.user[trained], corpus.item[trained]
        self.spec = RecSpec(
            corpus.users,
            corpus.items,
            torch.from_numpy(self._user.copy()),
            torch.from_numpy(self._item.copy()),
            torch.from_numpy(np.bincount(self._item, minlength=corpus.items).astype(np.int64)),
            corpus.user_features,
            corpus.item_features,
            corpus.relations,
        )
        times = None
        if corpus.time is not None:
            stamps = (corpus.time[trained], (self._user, self._item))
            times = sparse.csr_matrix(stamps, (corpus.users, corpus.items))
        pairs = PairTable(matrix(corpus, trained), times, corpus.user_features, corpus.item_features)
        task = ranking_task(corpus, division, pairs, cutoffs)
        self.tasks = {task.name: task}
        self.description = {
            "name": corpus.name,
            "users": corpus.users,
            "items": corpus.items,
            "training pairs": int(trained.sum()),
            "validation pairs": int((division.part == VAL).sum()),
            "test pairs": int((division.part == TEST).sum()),
            "slices": {name: int(mask.sum()) for name, mask in task.slices.items()},
            "split": division.protocol,
            "split sha256": division.sha256,
            "notes": [*corpus.notes, *division.notes],
            "sha256": corpus.sha256,
        }

    def batches(self, order: Order) -> Sequence[Pairs]:
        """Shuffled training pairs, see :func:`shares`."""
        if order.labels is not None:
            raise UsageError("train.labels: pair data has no labels; its interactions are what methods learn from.")
        return Batches(self._user, self._item, shares(order, len(self._user)))

    def rows(self) -> Iterator[View]:
        """Every user, then every item, in order of their numbers; encoders look their features up by number."""
        for role, count in (("user", self.corpus.users), ("item", self.corpus.items)):
            for start in range(0, count, ROWS_A_VIEW):
                rows = torch.arange(start, min(start + ROWS_A_VIEW, count))
                yield View(Entities(rows), ids={role: rows.clone()}, role=role)

    def raw_features(self, task: Task) -> RawFeatures:
        """Pair data has ranking tasks alone, which bring features of pairs."""
        raise UsageError(f"{self.corpus.name}: task {task.name!r} is no task of this data; it ranks items for users.")
