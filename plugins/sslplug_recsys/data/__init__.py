"""The plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_recsys.data import builders as b
from sslplug_recsys.data import options as o
from sslplug_recsys.data import published as p
from sslplug_recsys.data.own import faults_of_files

DATA: Mapping[str, Component] = MappingProxyType(
    {
        "files": Component(
            o.FileOptions, b.build_files, "your own: Parquet, CSV, TSV, RecBole's or LightGCN's text", faults=faults_of_files
        ),
        "gowalla": Component(
            o.PublishedOptions, b.published("gowalla", p.read_gowalla), "29,858 users, 40,981 places; LightGCN's split"
        ),
        "lastfm": Component(
            o.PublishedOptions, b.published("lastfm", p.read_lastfm), "1,892 listeners and their friends, 4,489 artists"
        ),
        "memory": Component(o.MemoryOptions, b.build_memory, "interactions in memory: data frame, pyarrow table, columns"),
        "ml-100k": Component(
            o.MovieLensOptions, b.build_movielens, "943 users, 1,682 films, features of both; official folds, or by time"
        ),
        "ml-1m": Component(o.PublishedOptions, b.published("ml-1m", p.read_ml_1m), "6,022 users, 3,043 films; the split m2"),
        "s3rec": Component(o.S3RecOptions, b.build_s3rec, "Beauty, Sports, Yelp, LastFM with item attributes, as pairs"),
        "tastes": Component(o.TasteOptions, b.build_tastes, "synthetic: latent tastes, correlated features, new items"),
        "yelp": Component(
            o.PublishedOptions, b.published("yelp", p.read_yelp), "42,712 users, 26,822 places; SSLRec's split"
        ),
    }
)

__all__ = ["DATA"]
