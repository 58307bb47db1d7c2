"""Sources of baskets: the data components whose names begin with ``baskets-``."""

from __future__ import annotations

from pydantic import Field

from sslplug.contracts import Component, DataContext
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.data.movielens import read_movielens
from sslplug_recsys.data.options import FileOptions
from sslplug_recsys.data.own import faults_of_files, from_files
from sslplug_recsys.data.sources import SOURCES
from sslplug_recsys.data.tastes import tastes
from sslplug_recsys.relatedness.basket_data import BasketData, BasketOptions


class TastesOptions(BasketOptions):
    """How much is generated."""

    users: int = Field(2000, ge=1, description="users")
    items: int = Field(500, ge=8, description="items")
    interactions: float = Field(25.0, ge=5, description="interactions of a user on average, at least five each, in a year")


def build_tastes(options: TastesOptions, context: DataContext) -> BasketData:
    """Synthetic tastes, drawn by the run's seed."""
    corpus = tastes(options.users, options.items, options.interactions, Rng.root(context.seed).fork("tastes"))
    return BasketData(corpus, options, drawn=True)


class MovieLensOptions(BasketOptions):
    """Which ratings count. Days: a basket is what somebody rated without a pause of an hour."""

    gap: float = Field(1 / 24, ge=0, description="days between ratings that end a basket")
    least_rating: int = Field(4, ge=1, le=5, description="smallest rating that is an interaction")
    least_together: int = Field(5, ge=1, description="baskets of the period that a related pair shares at least")


def build_movielens(options: MovieLensOptions, context: DataContext) -> BasketData:
    """MovieLens-100K: films rated well in one session."""
    return BasketData(read_movielens(SOURCES["ml-100k"].place(context), None, options.least_rating), options)


class FilesOptions(BasketOptions):
    """Which files."""

    files: FileOptions = Field(description="the interactions, with times, and the features (options of data files)")


def build_files(options: FilesOptions, context: DataContext) -> BasketData:
    """A user's own interactions. UsageError where parts of a split are named."""
    if options.files.test is not None or options.files.val is not None:
        raise UsageError("data.files: baskets are divided by time; give all interactions in data.files.path alone.")
    corpus, fitted = from_files(options.files, context)
    return BasketData(corpus, options, fitted)


FILES = Component(
    FilesOptions,
    build_files,
    "your own interactions with times, as baskets",
    faults=lambda options, context: faults_of_files(options.files, context),
)
MOVIELENS = Component(MovieLensOptions, build_movielens, "MovieLens-100K: films rated well in one session")
TASTES = Component(TastesOptions, build_tastes, "baskets of synthetic users with latent tastes; offline")
