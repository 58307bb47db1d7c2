"""LightGBM lambdarank over retrieved candidates: what an engineer would rank with, on raw features, embeddings, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm
import numpy as np
from scipy import sparse

from sslplug.contracts import PairFeatures, RawFeatures
from sslplug.contracts.ranking import entries
from sslplug.errors import DataError
from sslplug.evaluation.columns import beside
from sslplug.evaluation.ranking.neighbours import ItemNeighbours, Popularity
from sslplug.evaluation.ranking.options import RankingOptions
from sslplug.evaluation.ranking.questions import Questions
from sslplug.evaluation.ranking.top import Lists
from sslplug.evaluation.trees import threads_for

Source = Literal["raw", "pretrained", "both"]
SOURCES: tuple[Source, ...] = ("raw", "pretrained", "both")

_AT_ONCE = 1000


@dataclass(frozen=True)
class Retrieved:
    """Candidates of questions: pair p is candidate ``candidates[p]`` for the question at ``places[p]``, place after place.

    relevant  (p,) bool: what the question wanted
    ranks     {list: (p,) float32}: the candidate's place on each list it may stand on, from 0; NaN where it does not
    """

    places: np.ndarray
    candidates: np.ndarray
    relevant: np.ndarray
    ranks: Mapping[str, np.ndarray]

    @property
    def group(self) -> np.ndarray:
        """(questions with candidates,) number of candidates, in order."""
        return np.unique(self.places, return_counts=True)[1]

    def take(self, kept: np.ndarray) -> Retrieved:
        """Some of the pairs."""
        ranks = {name: rank[kept] for name, rank in self.ranks.items()}
        return Retrieved(self.places[kept], self.candidates[kept], self.relevant[kept], ranks)


def retrieve(lists: Mapping[str, Lists], relevant: sparse.csr_matrix) -> Retrieved:
    """Every candidate that stands on one of the lists of its question, once."""
    width = relevant.shape[1]
    stands = {}
    for name, one in lists.items():
        place, rank = np.nonzero(one.candidates >= 0)
        stands[name] = place * width + one.candidates[place, rank], rank
    keys = np.unique(np.concatenate([key for key, _ in stands.values()]))
    ranks = {name: np.full(len(keys), np.nan, dtype=np.float32) for name in stands}
    for name, (key, rank) in stands.items():
        ranks[name][np.searchsorted(keys, key)] = rank
    places, candidates = np.divmod(keys, width)
    return Retrieved(places, candidates, np.isin(keys, entries(relevant)), ranks)


@dataclass(frozen=True)
class PairColumns:
    """The columns of pairs of a question and a candidate.

    raw         popularity, the item-kNN score, the places on the lists by both, then the task's own features of pairs
    pretrained  the similarity of the embeddings, the place on the list by it, their element-wise product where they are narrow
    both        raw, then pretrained
    """

    popularity: Popularity
    neighbours: ItemNeighbours
    pairs: PairFeatures | None
    query: np.ndarray
    candidate: np.ndarray
    widest_product: int

    def __call__(self, asked: Questions, found: Retrieved, source: Source) -> RawFeatures:
        """(p, f) features of retrieved pairs."""
        if source == "raw":
            return self._raw(asked, found)
        product = self.query[asked.queries[found.places]] * self.candidate[found.candidates]
        columns = np.stack([product.sum(axis=1), found.ranks["similar"]], axis=1)
        if product.shape[1] <= self.widest_product:
            columns = np.concatenate([columns, product], axis=1)
        return RawFeatures(columns) if source == "pretrained" else beside(self._raw(asked, found), columns)

    def _raw(self, asked: Questions, found: Retrieved) -> RawFeatures:
        scores = self.neighbours.scores(asked.profile)
        near = np.asarray(scores[found.places, found.candidates], dtype=np.float32).ravel()
        ranks = found.ranks["popularity"], found.ranks["neighbours"]
        known = np.stack([self.popularity.counts[found.candidates], near, *ranks], axis=1)
        if self.pairs is None:
            return RawFeatures(known)
        own = self.pairs(asked.queries[found.places], found.candidates)
        if own.values.shape[0] != len(found.places):
            raise DataError(
                f"RankingTask.pairs gave {own.values.shape[0]} rows for {len(found.places)} pairs; expected as many."
            )
        values = own.values if isinstance(own.values, np.ndarray) else own.values.toarray()
        joined = np.concatenate([known, values.astype(np.float32)], axis=1)
        return RawFeatures(joined, tuple(column + known.shape[1] for column in own.categorical))


@dataclass(frozen=True)
class Ranker:
    """A fitted ensemble: candidates of questions in the order of its scores."""

    booster: lightgbm.Booster
    columns: PairColumns
    source: Source

    def lists(self, asked: Questions, lists: Mapping[str, Lists], k: int) -> Lists:
        """The ``k`` best retrieved candidates of each question; equal scores are decided against what is relevant."""
        candidates = np.full((len(asked), k), -1, dtype=np.int64)
        scores = np.full((len(asked), k), -np.inf, dtype=np.float32)
        for start in range(0, len(asked), _AT_ONCE):
            places = np.arange(start, min(start + _AT_ONCE, len(asked)))
            part = asked.take(places)
            near = {name: Lists(one.candidates[places], one.scores[places]) for name, one in lists.items()}
            found = retrieve(near, part.relevant)
            said = np.asarray(self.booster.predict(self.columns(part, found, self.source).values))
            order = np.lexsort((found.relevant, -said, found.places))
            row = found.places[order]
            rank = np.arange(len(row)) - np.searchsorted(row, row)
            kept = rank < k
            candidates[start + row[kept], rank[kept]] = found.candidates[order][kept]
            scores[start + row[kept], rank[kept]] = said[order][kept]
        return Lists(candidates, scores)


def fit(
    columns: PairColumns,
    source: Source,
    learn: tuple[Questions, Retrieved],
    hold: tuple[Questions, Retrieved],
    cutoff: int,
    options: RankingOptions,
    seed: int,
) -> Ranker:
    """Grow trees on the questions of ``learn`` that found something relevant, stopped by ndcg@cutoff on those of ``hold``."""
    x, x_held = columns(*learn, source), columns(*hold, source)
    parameters = _parameters(options, x.values.shape, cutoff, seed)
    train = _dataset(x, learn[1], parameters, None)
    held = _dataset(x_held, hold[1], parameters, train)
    stop = lightgbm.early_stopping(options.patience, verbose=False)
    booster = lightgbm.train(parameters, train, options.rounds, valid_sets=[held], callbacks=[stop])
    return Ranker(booster, columns, source)


def answered(found: Retrieved) -> Retrieved:
    """The pairs of questions whose candidates hold something relevant and something else: others teach no order."""
    hits = np.bincount(found.places, found.relevant)
    size = np.bincount(found.places)
    return found.take(((hits > 0) & (hits < size))[found.places])


def _dataset(
    x: RawFeatures, found: Retrieved, parameters: dict[str, Any], reference: lightgbm.Dataset | None
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        x.values,
        found.relevant.astype(np.int32),
        group=found.group,
        categorical_feature=list(x.categorical),
        reference=reference,
        params=parameters,
    )


def _parameters(options: RankingOptions, shape: tuple[int, ...], cutoff: int, seed: int) -> dict[str, Any]:
    pairs, columns = shape
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [cutoff],
        "lambdarank_truncation_level": cutoff + 10,
        "learning_rate": options.lr,
        "num_leaves": options.num_leaves,
        "min_data_in_leaf": max(1, min(options.min_child_samples, pairs // 20)),
        "feature_fraction": min(1.0, max(options.feature_fraction, options.fewest_columns / columns)),
        "seed": seed % (2**31 - 1),
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": options.num_threads or threads_for(pairs, columns),
        "verbosity": -1,
        "feature_pre_filter": False,
    }
