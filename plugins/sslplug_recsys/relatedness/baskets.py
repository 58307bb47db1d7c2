"""From interactions with times to baskets, from baskets to pairs of items that lie near each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sslplug.errors import DataError, UsageError
from sslplug_recsys.data.corpus import Corpus


@dataclass(frozen=True)
class Baskets:
    """Interactions in the order of (user, time), the source's order among equal times.

    basket  (e,) int64: rising numbers; interactions of one user that follow each other within the gap share one
    item    (e,) int64
    period  (e,) int8: 0 training, 1 validation, 2 test, by time alone; a basket that spans an edge becomes two
    edges   the times at which validation and test begin
    """

    basket: np.ndarray
    item: np.ndarray
    period: np.ndarray
    edges: tuple[float, float]

    def of(self, period: int, items: int) -> sparse.csr_matrix:
        """(baskets, items) CSR of ones: what each basket of the period holds."""
        chosen = self.period == period
        _, row = np.unique(self.basket[chosen], return_inverse=True)
        key = np.unique(row * items + self.item[chosen])
        shape = (int(row.max()) + 1 if len(row) else 0, items)
        return sparse.csr_matrix((np.ones(len(key), np.float32), np.divmod(key, items)), shape)

    def pairs(self, period: int, reach: int) -> np.ndarray:
        """(p, 2) int64: items of one basket at most ``reach`` places apart, each time they are; no item with itself."""
        chosen = self.period == period
        basket, item = self.basket[chosen], self.item[chosen]
        found = []
        for apart in range(1, reach + 1):
            near = (basket[apart:] == basket[:-apart]) & (item[apart:] != item[:-apart])
            found.append(np.stack([item[:-apart][near], item[apart:][near]], 1))
        return np.concatenate(found)


def make_baskets(corpus: Corpus, gap: float, val_share: float, test_share: float) -> Baskets:
    """Baskets of a corpus with times; the newest ``test_share`` of the interactions test, ``val_share`` before them
    validate.

    Interactions of one moment stay in one period. Raises UsageError where there are no times, DataError where a period is
    empty.
    """
    if corpus.time is None:
        raise UsageError(f"{corpus.name} has no times, which baskets need; name the time column.")
    order = np.lexsort((corpus.time, corpus.user))
    user, item, time = corpus.user[order], corpus.item[order], corpus.time[order]
    ordered, last = np.sort(time), len(time) - 1
    test = float(ordered[min(round((1 - test_share) * len(time)), last)])
    val = float(ordered[min(round((1 - test_share - val_share) * len(time)), last)])
    period = np.where(time >= test, 2, np.where(time >= val, 1, 0)).astype(np.int8)
    missing = [name for number, name in enumerate(("training", "validation", "test")) if not (period == number).any()]
    if missing:
        raise DataError(
            f"{corpus.name}: no interaction in the {missing[0]} period (validation from {val:.6g}, test from {test:.6g} "
            f"{corpus.unit}); give more data or other shares."
        )
    new = np.ones(len(user), bool)
    new[1:] = (np.diff(user) != 0) | (np.diff(time) > gap) | (np.diff(period) != 0)
    return Baskets(np.cumsum(new) - 1, item, period, (val, test))
