"""MovieLens-100K with item and user features (Harper and Konstan 2015).

Item features: genres (several), year and decade of release, month, words of the title (several), language hints of the title.
User features: age band, gender, occupation, region (first character of the zip code). One film has no title and no date.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sslplug.errors import DataError
from sslplug_recsys.data.corpus import TEST, TRAIN, Corpus
from sslplug_recsys.data.features import Words, several, single, table_of

_ARTICLES = ("The", "A", "An", "La", "Le", "Les", "Il", "El", "Das", "Der", "Die")
_STOPWORDS = frozenset({"and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "to", "with"}).union(
    article.lower() for article in _ARTICLES
)
_YEAR = re.compile(r"\((\d{4})\)\s*$")
DAY = 86_400.0


def read_movielens(folder: Path, fold: int | None, least_rating: int) -> Corpus:
    """Ratings of at least ``least_rating`` as positives, in days since 1970.

    fold  1 to 5: the official 80/20 split of that number; None: all ratings, to be split
    """
    if fold is None:
        ratings = _ratings(folder / "u.data")
        part = None
    else:
        base, test = _ratings(folder / f"u{fold}.base"), _ratings(folder / f"u{fold}.test")
        ratings = np.concatenate([base, test])
        part = np.repeat(np.array([TRAIN, TEST], np.int8), [len(base), len(test)])
    good = ratings[:, 2] >= least_rating
    films, people = _lines(folder / "u.item", 24), _lines(folder / "u.user", 5)
    genres = [line.split("|")[0] for line in (folder / "u.genre").read_text("latin-1").splitlines() if line]
    titles = [film[1] for film in films]
    notes = () if good.all() else (f"{int((~good).sum())} ratings below {least_rating} are no positives",)
    return Corpus(
        "MovieLens-100K",
        len(people),
        len(films),
        ratings[good, 0] - 1,
        ratings[good, 1] - 1,
        ratings[good, 3] / DAY,
        None if part is None else part[good],
        user_features=table_of(_user_fields(people), len(people))[0],
        item_features=table_of(_item_fields(films, genres), len(films), least=2)[0],
        item_names=tuple(f"{title} [{number}]" for number, title in enumerate(titles, start=1)),
        user_names=tuple(person[0] for person in people),
        notes=notes,
    )


def _ratings(file: Path) -> np.ndarray:
    """(n, 4) int64: user, item, rating, seconds."""
    table = np.loadtxt(file, dtype=np.int64, ndmin=2)
    if table.shape[1] != 4:
        raise DataError(f"{file}: {table.shape[1]} columns; expected user, item, rating, timestamp.")
    return table


def _lines(file: Path, columns: int) -> list[list[str]]:
    rows = [line.split("|") for line in file.read_text("latin-1").splitlines() if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != columns or row[0] != str(number):
            raise DataError(f"{file}, line {number}: {len(row)} fields, id {row[0]!r}; expected {columns} and id {number}.")
    return rows


def _item_fields(films: list[list[str]], genres: list[str]) -> dict[str, Words]:
    titles, released = [film[1] for film in films], [film[2] for film in films]
    years = [found.group(1) if (found := _YEAR.search(title)) else date[-4:] for title, date in zip(titles, released)]
    bare = [_YEAR.sub("", title) for title in titles]
    words = [[w for w in re.findall(r"[^\W\d_]{2,}", title.lower()) if w not in _STOPWORDS] for title in bare]
    return {
        "genres": several([[g for g, flag in zip(genres, film[5:], strict=True) if flag == "1"] for film in films]),
        "year": single(years),
        "decade": single([year[:3] and f"{year[:3]}0s" for year in years]),
        "month": single([date[3:6] for date in released]),
        "words": several(words),
        # A second title in brackets marks foreign films; a leading article was moved behind a comma.
        "form": several([_form(title) for title in bare]),
    }


def _form(title: str) -> list[str]:
    found = ["second title"] if "(" in title else []
    article = re.search(rf", ({'|'.join(_ARTICLES)})\b", title)
    found += [f"article {article.group(1)}"] if article else []
    found += ["sequel"] if re.search(r"\b(II|III|IV|V|VI|\d)\b|:", title) else []
    return found or ["plain"]


def _user_fields(people: list[list[str]]) -> dict[str, Words]:
    return {
        "age": single([f"{10 * (int(person[1]) // 10)}s" for person in people]),
        "gender": single([person[2] for person in people]),
        "occupation": single([person[3] for person in people]),
        "region": single([person[4][:1] for person in people]),
    }
