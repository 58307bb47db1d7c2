"""Sources of sequences: the data components whose names begin with ``sequences-``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sslplug.contracts import Component, DataContext
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.data.builders import read_s3rec_set
from sslplug_recsys.data.movielens import read_movielens
from sslplug_recsys.data.options import FileOptions
from sslplug_recsys.data.own import faults_of_files, from_files
from sslplug_recsys.data.sources import SOURCES
from sslplug_recsys.data.tastes import tastes
from sslplug_recsys.sequential.sequence_data import SequenceData, SequenceOptions


class S3RecOptions(SequenceOptions):
    """Which of the sets of S3-Rec."""

    set: Literal["Beauty", "Sports_and_Outdoors", "Yelp", "LastFM"] = Field("Beauty", description="name of the set")


def build_s3rec(options: S3RecOptions, context: DataContext) -> SequenceData:
    """A set of S3-Rec from the data root."""
    return SequenceData(read_s3rec_set(options.set, context), options)


class TastesOptions(SequenceOptions):
    """How much is generated."""

    users: int = Field(1500, ge=1, description="users")
    items: int = Field(800, ge=8, description="items")
    interactions: float = Field(14.0, ge=5, description="interactions of a user on average, at least five each")


def build_tastes(options: TastesOptions, context: DataContext) -> SequenceData:
    """Synthetic tastes, drawn by the run's seed."""
    corpus = tastes(options.users, options.items, options.interactions, Rng.root(context.seed).fork("tastes"))
    return SequenceData(corpus, options, drawn=True)


class MovieLensOptions(SequenceOptions):
    """Which ratings count."""

    least_rating: int = Field(1, ge=1, le=5, description="smallest rating that is an interaction")


def build_movielens(options: MovieLensOptions, context: DataContext) -> SequenceData:
    """MovieLens-100K in the order of its ratings."""
    return SequenceData(read_movielens(SOURCES["ml-100k"].place(context), None, options.least_rating), options)


class FilesOptions(SequenceOptions):
    """Which files."""

    files: FileOptions = Field(description="the interactions, with times, and the features (options of data files)")


def build_files(options: FilesOptions, context: DataContext) -> SequenceData:
    """A user's own interactions in the order of their times. UsageError where parts of a split are named."""
    if options.files.test is not None or options.files.val is not None:
        raise UsageError("data.files: sequences are cut by leave-one-out; give all interactions in data.files.path alone.")
    corpus, fitted = from_files(options.files, context)
    return SequenceData(corpus, options, fitted)


FILES = Component(
    FilesOptions,
    build_files,
    "your own interactions with times, as sequences",
    faults=lambda options, context: faults_of_files(options.files, context),
)
S3REC = Component(S3RecOptions, build_s3rec, "sequences with attributes: Amazon Beauty, Sports, Yelp, LastFM (S3-Rec)")
TASTES = Component(TastesOptions, build_tastes, "sequences of synthetic users with latent tastes; offline")
MOVIELENS = Component(MovieLensOptions, build_movielens, "MovieLens-100K as sequences")
