"""Which interactions train, which choose settings, which test: published parts, random per user, leave one out, or by time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.data.corpus import TEST, TRAIN, UNUSED, VAL, Corpus

Kind = Literal["given", "random", "leave_one_out", "time"]
HOLDOUT_SEED = 42
"""The seed of validation parts that are held out of a published training part: they are one part of the data, not of a run."""


@dataclass(frozen=True)
class Division:
    """A split of a corpus without repeated pairs.

    part      (e,) int8 TRAIN, VAL, TEST or UNUSED
    protocol  in words that tell published numbers apart
    drawn     the run's seed drew it
    notes     what was found and handled
    sha256    hash of (user, item, part), whatever the order of the interactions
    """

    part: np.ndarray
    protocol: str
    drawn: bool
    notes: tuple[str, ...]
    sha256: str


def divide(
    corpus: Corpus, kind: Kind, validation: Literal["holdout", "none"], test_share: float, val_share: float, seed: int
) -> Division:
    """Split ``corpus``.

    given          its published parts; without a published validation part, ``val_share`` of each user's training pairs
    random         ``test_share`` of each user's pairs, at least one of three; ``val_share`` of the pairs likewise
    leave_one_out  by time: each user's last pair tests, the one before validates, of users with three pairs or more
    time           the newest ``test_share`` of all pairs test, the newest ``val_share`` of the pairs before validate

    ``validation: none`` gives the validation part to training. A pair held out from a user without any training pair belongs
    to no part and is counted in the notes.

    Raises UsageError where the split needs parts or times that the corpus lacks, DataError where nothing is left to test.
    """
    notes: list[str] = []
    if kind == "given":
        part, protocol = _given(corpus, validation, val_share)
    elif kind == "random":
        rng = Rng.root(seed).fork("split")
        part = np.full(len(corpus.user), TRAIN, np.int8)
        part[_of_each_user(corpus.user, np.ones(len(part), bool), test_share, rng.fork("test"), least=3)] = TEST
        # Shares are of all pairs, also where a part of them is out already.
        share = min(val_share / (1.0 - test_share), 1.0)
        part[_of_each_user(corpus.user, part == TRAIN, share, rng.fork("val"), least=3)] = VAL
        protocol = f"random per user, {test_share:.0%} test, {val_share:.0%} validation"
    elif kind == "leave_one_out":
        part, protocol = _leave_one_out(corpus), "leave one out by time"
    else:
        part, cuts = _by_time(corpus, test_share, val_share)
        protocol = f"global time split, {test_share:.0%} test, {val_share:.0%} validation"
        notes.append(cuts)
    if validation == "none":
        part[part == VAL] = TRAIN
        protocol += ", validation pairs trained on"
    trained = np.bincount(corpus.user[part == TRAIN], minlength=corpus.users) > 0
    strangers = ~trained[corpus.user] & (part != TRAIN)
    if strangers.any():
        users = len(np.unique(corpus.user[strangers]))
        notes.append(f"{users} users have no training pair: their {int(strangers.sum())} held-out pairs are not asked")
        part[strangers] = UNUSED
    silent = corpus.users - len(np.unique(corpus.user))
    if silent:
        notes.append(f"{silent} users without any interaction: never asked")
    cold = np.setdiff1d(np.arange(corpus.items), corpus.item[part == TRAIN])
    if len(cold):
        wanted = int(np.isin(cold, corpus.item[part == TEST]).sum())
        notes.append(
            f"{len(cold)} cold items (no training pair): candidates as all others, {wanted} of them wanted in the test part"
        )
    for what, number in (("train", TRAIN), ("test", TEST)):
        if not (part == number).any():
            raise DataError(
                f"{corpus.name}: split {kind!r} leaves no {what} pair of {len(part)} interactions; give more data or other shares."
            )
    return Division(part, protocol, kind == "random", tuple(notes), _hash(corpus, part))


def _given(corpus: Corpus, validation: str, val_share: float) -> tuple[np.ndarray, str]:
    if corpus.part is None:
        raise UsageError(f"{corpus.name} has no published split; choose data.split: random, leave_one_out or time.")
    part = corpus.part.copy()
    if (part == VAL).any():
        return part, "published split"
    if validation == "none":
        return part, "published split, no validation"
    rng = Rng.root(HOLDOUT_SEED).fork("validation")
    part[_of_each_user(corpus.user, part == TRAIN, val_share, rng, least=0)] = VAL
    return part, f"published split, {val_share:.0%} of the training pairs of each user for validation"


def _of_each_user(user: np.ndarray, allowed: np.ndarray, share: float, rng: Rng, least: int) -> np.ndarray:
    """Random interactions among the ``allowed``, round(share k) of each user's k.

    Users with ``least`` (> 0) or more give one at least; nobody gives all.
    """
    rows = rng.numpy().permutation(np.flatnonzero(allowed))
    rows = rows[np.argsort(user[rows], kind="stable")]
    count = np.bincount(user[rows], minlength=int(user.max()) + 1)
    wanted = np.round(share * count).astype(np.int64)
    if least and share > 0:
        wanted = np.maximum(wanted, count >= least)
    wanted = np.minimum(wanted, np.maximum(count - 1, 0))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    chosen: np.ndarray = rows[place < wanted[user[rows]]]
    return chosen


def _times(corpus: Corpus, kind: str) -> np.ndarray:
    if corpus.time is None:
        raise UsageError(
            f"{corpus.name} has no times, which data.split: {kind} needs; choose random, or name the time column."
        )
    return corpus.time


def _leave_one_out(corpus: Corpus) -> np.ndarray:
    """Pairs of one time keep the source's order."""
    order = np.lexsort((_times(corpus, "leave_one_out"), corpus.user))
    count = np.bincount(corpus.user, minlength=corpus.users)
    left = np.cumsum(count)[corpus.user[order]] - 1 - np.arange(len(order))
    enough = (count >= 3)[corpus.user[order]]
    part = np.full(len(order), TRAIN, np.int8)
    part[order[enough & (left == 0)]] = TEST
    part[order[enough & (left == 1)]] = VAL
    return part


def _by_time(corpus: Corpus, test_share: float, val_share: float) -> tuple[np.ndarray, str]:
    """Pairs of one moment stay in one part, so that nothing trains on what happens as it tests."""
    time = _times(corpus, "time")
    ordered = np.sort(time)
    last = len(time) - 1
    start = ordered[min(round((1 - test_share) * len(time)), last)]
    before = ordered[min(round((1 - test_share - val_share) * len(time)), last)]
    part = np.where(time >= start, TEST, np.where(time >= before, VAL, TRAIN)).astype(np.int8)
    return part, f"validation from {before:.6g}, test from {start:.6g} {corpus.unit}"


def _hash(corpus: Corpus, part: np.ndarray) -> str:
    order = np.lexsort((corpus.item, corpus.user))
    digest = hashlib.sha256()
    for array in (corpus.user, corpus.item, part):
        digest.update(np.ascontiguousarray(array[order]).tobytes())
    return digest.hexdigest()
