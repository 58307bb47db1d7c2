"""The ranking task of pair data, and its slices of item popularity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from sslplug.contracts import RankingPart, RankingTask
from sslplug_recsys.data.corpus import TEST, TRAIN, VAL, Corpus
from sslplug_recsys.data.split import Division
from sslplug_recsys.raw_features import PairTable

TASK = "next-items"
"""The task's name: which items a user will interact with."""


def matrix(corpus: Corpus, chosen: np.ndarray) -> sparse.csr_matrix:
    """(users, items) CSR of ones at the ``chosen`` interactions; pairs are distinct."""
    ones = np.ones(int(chosen.sum()), np.float32)
    shape = (corpus.users, corpus.items)
    return sparse.csr_matrix((ones, (corpus.user[chosen], corpus.item[chosen])), shape)


def popularity_slices(count: np.ndarray) -> dict[str, np.ndarray]:
    """Items by their training pairs ``count`` (items,): the fewest that cover half of all pairs are the head, items without any
    are cold, the rest is the tail. Slices that would be empty are left out. Ties go by item number."""
    order = np.argsort(-count, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    head = np.zeros(len(count), bool)
    head[order[2 * before < count.sum()]] = True
    cold = count == 0
    slices = {"head": head & ~cold, "tail": ~head & ~cold, "cold": cold}
    return {name: mask for name, mask in slices.items() if mask.any()}


def ranking_task(corpus: Corpus, division: Division, pairs: PairTable, cutoffs: Sequence[int] = (20, 10)) -> RankingTask:
    """Every user with a held-out pair is asked; all items are candidates.

    Never answered: in the validation part what the user had in training, in the test part that and the validation items.
    """
    train, val, test = (matrix(corpus, division.part == part) for part in (TRAIN, VAL, TEST))
    parts = {}
    for name, wanted, seen in (("val", val, train), ("test", test, (train + val).tocsr())):
        queries = np.flatnonzero(np.diff(wanted.indptr)).astype(np.int64)
        parts[name] = RankingPart(queries, wanted[queries], seen[queries])
    return RankingTask(
        TASK,
        "user",
        "item",
        parts,
        f"{division.protocol}; full ranking, known pairs left out",
        slices=popularity_slices(np.asarray(train.sum(0)).ravel()),
        cutoffs=tuple(cutoffs),
        pairs=pairs.features,
        interactions=train,
        query_names=corpus.user_names,
        candidate_names=corpus.item_names,
        drawn=division.drawn,
    )
