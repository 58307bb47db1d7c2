"""Judging ranking tasks by full ranking: trained and untrained encoder, popularity, item-kNN, LightGBM lambdarank."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sslplug.contracts import RankingTask
from sslplug.errors import DataError
from sslplug.evaluation.columns import level_of
from sslplug.evaluation.judging import Judging
from sslplug.evaluation.paired import means_without, row_groups
from sslplug.evaluation.ranking.lambdarank import SOURCES, PairColumns, Source, answered, fit, retrieve
from sslplug.evaluation.ranking.metrics import measure_lists
from sslplug.evaluation.ranking.neighbours import ItemNeighbours, Popularity
from sslplug.evaluation.ranking.options import RankingOptions
from sslplug.evaluation.ranking.questions import Questions, interactions, questions
from sslplug.evaluation.ranking.similarity import scaled
from sslplug.evaluation.ranking.top import Lists, Scorer, best, inner_products
from sslplug.evaluation.score import Score, only_split
from sslplug.randomness import Rng

PROBE = "ranking"
"""The probe's name in scores of embeddings, which are ranked by their similarity and by nothing that is fitted."""


@dataclass(frozen=True)
class Answer:
    """The lists of one model for the test questions, and the seconds they took."""

    lists: Lists
    seconds: float

    @classmethod
    def timed(cls, make: Callable[[], Lists]) -> Answer:
        """Make the lists."""
        began = time.perf_counter()
        lists = make()
        return cls(lists, time.perf_counter() - began)


@dataclass(frozen=True)
class Rankers:
    """What scores every candidate: a function of questions each.

    similar  of the pretrained embeddings;  popularity, neighbours: from training interactions
    """

    similar: Callable[[Questions], Scorer]
    popularity: Callable[[Questions], Scorer]
    neighbours: Callable[[Questions], Scorer]

    def lists(self, asked: Questions, k: int) -> dict[str, Lists]:
        """The ``k`` best of each, ties by number: places on these lists are columns, so they may not depend on what is relevant."""
        scorers = {"similar": self.similar, "popularity": self.popularity, "neighbours": self.neighbours}
        shape = asked.relevant.shape
        return {name: best(scorer(asked), *shape, k, asked.seen) for name, scorer in scorers.items()}


def judge_ranking(task: RankingTask, judging: Judging) -> list[Score]:
    """Every score of a ranking task, on the test questions: "ranking" on pretrained; with controls also "ranking" on untrained,
    "popularity" and "item_knn" on raw, "lightgbm" on raw, pretrained and both.

    LightGBM learns from validation questions; where there are none, or nothing of theirs is retrieved, it is left out, and that
    is said. Raises DataError where a level is missing or has other rows than the task names.
    """
    vectors = {name: _vectors(task, name, levels) for name, levels in judging.features.items()}
    test, options = questions(task, "test"), judging.options
    depth = max(task.cutoffs)
    answers: dict[tuple[str, str], Answer] = {}
    for name, pair in vectors.items():
        if name == "pretrained" or options.controls:
            scorer = _similar(task, *pair)(test)
            answers[PROBE, name] = Answer.timed(lambda scorer=scorer: _best(scorer, test, depth))  # type: ignore[misc]
    if options.controls:
        answers |= _controls(task, judging, vectors["pretrained"], test)
    scores, told = [], []
    for (probe, features), answer in answers.items():
        values = measure_lists(answer.lists, test.relevant, task.cutoffs, task.slices)
        found = _scores(task, probe, features, values, test, answer.seconds, judging.seed)
        scores += found
        told.append(f"{probe} on {features} {found[0].value:.4f}")
    asked = f"{len(test)} queries, all {task.candidates} candidates"
    judging.announce(f"{task.name}, {asked}: {scores[0].metric}, " + ", ".join(told))
    return scores


def _controls(
    task: RankingTask, judging: Judging, pair: tuple[np.ndarray, np.ndarray], test: Questions
) -> dict[tuple[str, str], Answer]:
    known, options, depth = interactions(task), judging.options.ranking, max(task.cutoffs)
    if not known.nnz:
        judging.announce(f"{task.name}: no training interactions; popularity, item_knn and lightgbm are left out.")
        return {}
    popularity = Popularity.of(known)
    val = _sample(task, judging)
    near = _neighbours(task, known, options, val)
    rankers = Rankers(
        _similar(task, *pair), lambda asked: popularity.scorer(len(asked)), lambda asked: near.scorer(asked.profile)
    )
    answers = {("popularity", "raw"): Answer.timed(lambda: _best(rankers.popularity(test), test, depth))}
    if test.profile.nnz:
        answers["item_knn", "raw"] = Answer.timed(lambda: _best(rankers.neighbours(test), test, depth))
    else:
        judging.announce(
            f"{task.name}: nothing says what a query had before (RankingPart.profile), so item_knn is left out."
        )
    columns = PairColumns(popularity, near, task.pairs, *scaled(task, *pair), options.widest_product)
    return answers | _lambdarank(task, judging, rankers, columns, val, test)


def _sample(task: RankingTask, judging: Judging) -> Questions:
    """The validation questions that controls learn from, in an order drawn by the seed."""
    val = questions(task, "val")
    drawn = Rng.root(judging.seed).fork("controls", task.name).numpy().permutation(len(val))
    return val.take(drawn[: judging.options.ranking.queries])


def _neighbours(task: RankingTask, known: sparse.csr_matrix, options: RankingOptions, val: Questions) -> ItemNeighbours:
    """Item neighbours with the shrinkage that ranks validation questions best; the first of equal ones."""
    kept, top = None, -1.0
    for shrink in options.shrink:
        near = ItemNeighbours.of(known, options.neighbours, shrink)
        if not len(val) or len(options.shrink) == 1:
            return near
        lists = _best(near.scorer(val.profile), val, task.cutoffs[0])
        ndcg = float(measure_lists(lists, val.relevant, task.cutoffs[:1], {})[f"ndcg@{task.cutoffs[0]}"].mean())
        if kept is None or ndcg > top:
            kept, top = near, ndcg
    assert kept is not None  # the options hold one shrinkage at least
    return kept


def _lambdarank(
    task: RankingTask,
    judging: Judging,
    rankers: Rankers,
    columns: PairColumns,
    val: Questions,
    test: Questions,
) -> dict[tuple[str, str], Answer]:
    """LightGBM on raw, pretrained and both, by one set of validation questions."""
    options, draw = judging.options.ranking, Rng.root(judging.seed).fork("lambdarank", task.name).key
    held = max(1, round(options.holdout * len(val)))
    parts = [val.take(np.arange(held, len(val))), val.take(np.arange(min(held, len(val))))]
    if not all(map(len, parts)):
        judging.announce(
            f"{task.name}: {len(val)} validation queries; lightgbm learns from these and is left out. A validation part of two "
            "queries or more brings it back."
        )
        return {}
    near, lists = [rankers.lists(part, options.retrieve) for part in parts], rankers.lists(test, options.retrieve)
    answers: dict[tuple[str, str], Answer] = {}
    for source in SOURCES:
        names = _retrieving(source)
        learn, hold = (
            (part, answered(retrieve({name: own[name] for name in names}, part.relevant)))
            for part, own in zip(parts, near, strict=True)
        )
        if not len(learn[1].places) or not len(hold[1].places):
            judging.announce(
                f"{task.name}: nothing relevant among the candidates retrieved; lightgbm on {source} is left out."
            )
            continue
        short = {name: lists[name] for name in names}
        answers["lightgbm", source] = Answer.timed(
            lambda learn=learn, hold=hold, short=short, source=source: fit(  # type: ignore[misc]
                columns, source, learn, hold, task.cutoffs[0], options, draw
            ).lists(test, short, max(task.cutoffs))
        )
    return answers


def _retrieving(source: Source) -> tuple[str, ...]:
    """Whose lists give the candidates: raw features know no embedding."""
    return ("popularity", "neighbours") if source == "raw" else ("popularity", "neighbours", "similar")


def _best(scorer: Scorer, asked: Questions, k: int) -> Lists:
    return best(scorer, len(asked), asked.relevant.shape[1], k, asked.seen, asked.relevant)


def _similar(task: RankingTask, query: np.ndarray, candidate: np.ndarray) -> Callable[[Questions], Scorer]:
    """The task's similarity of a query's embedding to every candidate's."""
    query, candidate = scaled(task, query, candidate)
    return lambda asked: inner_products(query[asked.queries], candidate)


def _vectors(task: RankingTask, name: str, levels: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings of queries and candidates."""
    query, candidate = (level_of(task.name, level, name, levels) for level in (task.query, task.level))
    where = f"Task {task.name!r}, {name} encoder"
    if len(candidate) != task.candidates:
        raise DataError(f"{where}: {len(candidate)} rows of level {task.level!r} for {task.candidates} candidates.")
    last = max(int(part.queries.max()) for part in task.parts.values() if len(part.queries))
    if last >= len(query):
        raise DataError(f"{where}: the task asks for row {last} of level {task.query!r}, which has {len(query)} rows.")
    if query.shape[1] != candidate.shape[1]:
        raise DataError(
            f"{where}: level {task.query!r} has {query.shape[1]} columns, level {task.level!r} {candidate.shape[1]}; a ranking by "
            "similarity needs as many."
        )
    return query, candidate


def _scores(
    task: RankingTask,
    probe: str,
    features: str,
    values: Mapping[str, np.ndarray],
    test: Questions,
    seconds: float,
    seed: int,
) -> list[Score]:
    group = row_groups(test.queries)
    known = interactions(task).nnz
    return [
        Score(
            task.name,
            task.protocol,
            probe,
            features,
            metric,
            1.0,
            only_split(task.drawn, seed),
            float(np.nanmean(array)),
            seconds,
            True,
            seed,
            known,
            test.relevant.nnz,
            () if place else means_without(array, group),
        )
        for place, (metric, array) in enumerate(values.items())
        if not np.isnan(array).all()
    ]
