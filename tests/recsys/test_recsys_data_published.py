"""The published sets: sizes as published, and files that are not the published ones. Needs the data root (SSLPLUG_DATA)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import DataContext, RankingTask
from sslplug.errors import DataError
from sslplug_recsys.data import DATA, published
from sslplug_recsys.data.builders import read_s3rec_set
from sslplug_recsys.data.corpus import Corpus, distinct
from sslplug_recsys.data.movielens import read_movielens
from sslplug_recsys.data.rec_data import PairData
from sslplug_recsys.data.sources import SOURCES

ROOT = os.environ.get("SSLPLUG_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="SSLPLUG_DATA names no data root, so the published sets are not there")

SIZES = {  # users, items, train with what is held out of it, published validation, test
    "gowalla": (29_858, 40_981, 810_128, 0, 217_242),
    "lastfm": (1_892, 4_489, 42_135, 0, 10_533),
    "ml-1m": (6_022, 3_043, 796_244, 0, 99_455),
    "yelp": (42_712, 26_822, 182_357, 13_025, 65_128),
    "ml-100k": (943, 1_682, 80_000, 0, 20_000),
}


def build(name: str, root: str | None = ROOT, **options: object) -> PairData:
    assert root is not None
    data = DATA[name].build(DATA[name].options(**options), DataContext(Path(root), Path("nowhere"), 0))
    assert isinstance(data, PairData)
    return data


READERS: dict[str, Callable[[Path], Corpus]] = {
    "gowalla": published.read_gowalla,
    "lastfm": published.read_lastfm,
    "ml-1m": published.read_ml_1m,
    "yelp": published.read_yelp,
    "ml-100k": lambda folder: read_movielens(folder, 1, 1),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_published_ones(name: str) -> None:
    assert ROOT is not None
    corpus = READERS[name](SOURCES[name].place(DataContext(Path(ROOT), Path("nowhere"), 0)))
    users, items, train, val, test = SIZES[name]
    assert (corpus.users, corpus.items) == (users, items)
    assert corpus.part is not None
    assert np.bincount(corpus.part, minlength=3).tolist() == [train, val, test]
    assert distinct(corpus) is corpus


def test_lastfm_friends_go_both_ways() -> None:
    edges = build("lastfm").spec.relations["user-user"]
    assert edges.shape == (2, 25_434)
    pairs = set(zip(*edges.tolist(), strict=True))
    assert {(b, a) for a, b in pairs} == pairs
    assert all(a != b for a, b in pairs)


def test_movielens_features() -> None:
    data = build("ml-100k", split="leave_one_out")
    films, people = data.corpus.item_features, data.corpus.user_features
    assert films is not None
    assert people is not None
    assert films.sizes[0] == 20
    assert people.sizes[2] == 22
    star_wars = 49
    for field, count in ((0, 5), (1, 1), (4, 1)):  # five genres, one year, one word of the title known to others
        offsets = films.offsets[field]
        assert int(offsets[star_wars + 1] - offsets[star_wars]) >= count
    nameless = 266  # no title, no date: missing, not an error
    assert [int(films.codes[f][films.offsets[f][nameless]]) for f in (1, 2, 3, 4)] == [0, 0, 0, 0]
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert len(task.parts["test"].queries) == 943
    assert task.parts["test"].relevant.nnz == 943


def test_movielens_folds_have_disjoint_tests() -> None:
    parts = []
    for fold in (1, 2):
        task = build("ml-100k", fold=fold).tasks["next-items"]
        assert isinstance(task, RankingTask)
        part = task.parts["test"]
        rows, items = part.relevant.nonzero()
        parts.append(set(zip(part.queries[rows].tolist(), items.tolist(), strict=True)))
    assert not parts[0] & parts[1]


def test_s3rec_sequences_and_bands() -> None:
    assert ROOT is not None
    corpus = read_s3rec_set("Beauty", DataContext(Path(ROOT), Path("nowhere"), 0))
    assert (corpus.users, corpus.items, len(corpus.user)) == (22_363, 12_101, 198_502)
    first = corpus.item[: int((corpus.user == 0).sum())]
    line = (Path(ROOT) / "recsys/s3rec/Beauty.txt").read_text().split("\n")[0].split()
    assert first.tolist() == [int(word) - 1 for word in line[1:]]
    table = corpus.item_features
    assert table is not None
    assert sum(size - 1 for size in table.sizes) == 637
    assert corpus.relations["item-attribute"].shape[1] == sum(int((codes > 0).sum()) for codes in table.codes)


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert ROOT is not None
    folder = Path(SOURCES["lastfm"].folder)
    shutil.copytree(Path(ROOT) / folder, tmp_path / folder)
    file = tmp_path / folder / "test1.txt"
    file.chmod(0o644)
    file.write_text(file.read_text() + "1\t1\t1\n")
    with pytest.raises(DataError, match="is not the published one"):
        build("lastfm", str(tmp_path))
    with pytest.raises(DataError, match="not found in"):
        build("gowalla", str(tmp_path))
