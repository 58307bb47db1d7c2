"""From options to the data of a run: read, count every pair once, split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sslplug.contracts import DataContext
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.data.corpus import Corpus, distinct
from sslplug_recsys.data.movielens import read_movielens
from sslplug_recsys.data.options import (
    FileOptions,
    MemoryOptions,
    MovieLensOptions,
    PairOptions,
    PublishedOptions,
    S3RecOptions,
    TableOptions,
    TasteOptions,
)
from sslplug_recsys.data.own import from_files, from_memory
from sslplug_recsys.data.rec_data import PairData
from sslplug_recsys.data.s3rec import read_s3rec
from sslplug_recsys.data.sources import SOURCES
from sslplug_recsys.data.split import Kind, divide
from sslplug_recsys.data.tastes import tastes


def pair_data(
    corpus: Corpus,
    kind: Kind,
    options: PairOptions,
    context: DataContext,
    *,
    drawn: bool = False,
    fitted: Mapping[str, Any] | None = None,
) -> PairData:
    """The data of a run on a corpus; ``drawn``: the run's seed made the corpus itself."""
    once = distinct(corpus)
    division = divide(once, kind, options.validation, options.test_share, options.validation_share, context.seed)
    return PairData(once, replace(division, drawn=division.drawn or drawn), fitted or {}, options.cutoffs)


def build_tastes(options: TasteOptions, context: DataContext) -> PairData:
    """The synthetic tastes."""
    corpus = tastes(options.users, options.items, options.interactions, Rng.root(context.seed).fork("tastes"))
    return pair_data(corpus, options.split, options, context, drawn=True)


def published(key: str, read: Callable[[Path], Corpus]) -> Callable[[PublishedOptions, DataContext], PairData]:
    """The builder of a set with a published split."""

    def build(options: PublishedOptions, context: DataContext) -> PairData:
        return pair_data(read(SOURCES[key].place(context)), options.split, options, context)

    return build


def build_movielens(options: MovieLensOptions, context: DataContext) -> PairData:
    """MovieLens-100K."""
    fold = options.fold if options.split == "given" else None
    corpus = read_movielens(SOURCES["ml-100k"].place(context), fold, options.least_rating)
    return pair_data(corpus, options.split, options, context)


def read_s3rec_set(name: str, context: DataContext) -> Corpus:
    """A set in S3-Rec's format, its files proved."""
    files = (f"{name}.txt", f"{name}_item2attributes.json")
    return read_s3rec(SOURCES["s3rec"].place(context, files), name)


def build_s3rec(options: S3RecOptions, context: DataContext) -> PairData:
    """A set in S3-Rec's format, as pairs. Its times are places, which order a user's pairs and mean nothing across users."""
    once = distinct(read_s3rec_set(options.set, context))
    division = divide(once, options.split, options.validation, options.test_share, options.validation_share, context.seed)
    return PairData(replace(once, time=None), division, {}, options.cutoffs)


def build_files(options: FileOptions, context: DataContext) -> PairData:
    """A user's own files."""
    corpus, fitted = from_files(options, context)
    return pair_data(corpus, split_of(options, corpus), options, context, fitted=fitted)


def build_memory(options: MemoryOptions, context: DataContext) -> PairData:
    """Interactions in memory."""
    corpus = from_memory(options, context)
    return pair_data(corpus, split_of(options, corpus), options, context)


def split_of(options: TableOptions, corpus: Corpus) -> Kind:
    """The split of a user's own data, as asked or by what there is. UsageError where files for a split go unused."""
    given = corpus.part is not None
    if options.split is None:
        return "given" if given else ("time" if corpus.time is not None else "random")
    if given and options.split != "given":
        raise UsageError(f"data.split: {options.split}, but data.test or data.val give parts; leave one of the two out.")
    return options.split
