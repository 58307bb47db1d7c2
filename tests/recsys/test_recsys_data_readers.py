"""Readers of the user's own files: what is handled and said, and what is refused with file and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sslplug.contracts import DataContext, RankingTask
from sslplug.errors import DataError, UsageError
from sslplug_recsys.data import DATA
from sslplug_recsys.data.rec_data import PairData


def build(tmp_path: Path, path: Path, memory: Any = None, fitted: Any = None, **options: Any) -> PairData:
    name = "files" if memory is None else "memory"
    given = {"path": str(path), **options} if memory is None else options
    context = DataContext(None, tmp_path / "cache", 3, memory=memory, fitted=fitted)
    data = DATA[name].build(DATA[name].options(**given), context)
    assert isinstance(data, PairData)
    return data


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def log(pairs: list[tuple[str, str, float]]) -> str:
    return "user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in pairs)


LOG = [(f"u{u}", f"i{(u + k) % 7}", 10.0 * k + u) for u in range(6) for k in range(5)]


def pairs_of(data: PairData) -> set[tuple[str, str]]:
    corpus = data.corpus
    assert corpus.user_names is not None
    assert corpus.item_names is not None
    return {(corpus.user_names[u], corpus.item_names[i]) for u, i in zip(corpus.user, corpus.item, strict=True)}


def notes(data: PairData) -> str:
    found = data.description["notes"]
    assert isinstance(found, list)
    return " | ".join(found)


def test_csv_tsv_parquet_recbole_and_memory_read_the_same(tmp_path: Path) -> None:
    text = log(LOG)
    columns = {"user_id": [u for u, _, _ in LOG], "item_id": [i for _, i, _ in LOG], "timestamp": [t for _, _, t in LOG]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    typed = text.replace("user_id,item_id,timestamp", "user_id:token,item_id:token,timestamp:float").replace(",", "\t")
    made = [
        build(tmp_path, written(tmp_path / "log.csv", text)),
        build(tmp_path, written(tmp_path / "log.tsv", text.replace(",", "\t"))),
        build(tmp_path, tmp_path / "log.parquet"),
        build(tmp_path, written(tmp_path / "log.inter", typed)),
        build(tmp_path, tmp_path, memory=columns),
        build(tmp_path, tmp_path, memory=pa.table(columns)),
    ]
    assert pairs_of(made[0]) == {(u, i) for u, i, _ in LOG}
    for other in made[1:]:
        assert pairs_of(other) == pairs_of(made[0])
        assert other.description["sha256"] == made[0].description["sha256"]
        assert other.description["split sha256"] == made[0].description["split sha256"]
    assert "global time split" in str(made[0].description["split"])


def test_lightgcn_text_gives_a_published_split(tmp_path: Path) -> None:
    train = written(tmp_path / "train.txt", "0 0 1 2 3 4 5 6 7 8 9\n1 1 2 3\n2\n")
    test = written(tmp_path / "test.txt", "0 10\n3 1\n")
    data = build(tmp_path, train, test=str(test))
    assert (data.corpus.users, data.corpus.items) == (4, 11)
    said = notes(data)
    assert "row 3: found user 2 without an item" in said  # user 2's empty basket
    assert "1 users have no training pair: their 1 held-out pairs are not asked" in said  # user 3
    assert "cold items" in said  # item 10
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert task.parts["test"].queries.tolist() == [0]
    assert task.parts["val"].queries.tolist() == [0]  # a tenth of ten pairs; three pairs give none
    assert task.parts["test"].seen.nnz == 10  # training and validation
    assert task.parts["val"].seen.nnz == 9
    assert bool(task.slices["cold"][10])


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("log.csv", "user_id,item_id\na,x\n,y\n", "row 2, column 'user_id': found an empty cell; expected an id"),
        ("log.csv", "user_id,item_id\na,x\nb,\n", "row 2, column 'item_id': found an empty cell; expected an id"),
        ("log.csv", "user_id,item_id\n1,3\n2,-1\n", "row 2, column 'item_id': found '-1'; expected a number from 0 on"),
        ("log.csv", "user_id,item_id\n1,3\n,4\n", "row 2, column 'user_id': found an empty cell"),
        ("log.csv", "user_id,item_id\n1,3\n2,nan\n", "row 2, column 'item_id': found 'nan'; expected an id"),
        ("log.csv", "user_id,item_id\n1,3.5\n2,2\n", "row 1, column 'item_id': found '3.5'; expected a whole number"),
        (
            "log.csv",
            "user_id,item_id,timestamp\na,x,1\na,y,inf\n",
            "row 2, column 'timestamp': found 'inf'; expected a finite number",
        ),
        (
            "log.csv",
            "user_id,item_id,timestamp\na,x,\na,y,2\n",
            "row 1, column 'timestamp': found an empty cell; expected a time",
        ),
        ("log.csv", "user_id,item_id,timestamp\na,x,noon\na,y,2\n", "column 'timestamp'"),
        ("log.csv", "who,item_id\na,x\n", "column 'user_id': found no such column; it has who, item_id"),
        ("log.csv", "user_id,item_id\n", "found no row"),
        ("log.csv", "", "found an empty file"),
        ("log.csv", "user_id,item_id\na,x\nb\n", "row 2: found 1 of 2 cells"),
        ("log.csv", "user_id,item_id,item_id\na,x,y\n", "two columns named 'item_id'"),
        ("log.xlsx", "?", "expected .parquet, .csv"),
        ("log.inter", "user_id\titem_id:token\na\tx\n", "column 'user_id': found the heading 'user_id'; expected name:type"),
        ("log.inter", "user_id:word\titem_id:token\na\tx\n", "found the heading 'user_id:word'"),
        ("log.inter", "user_id:token\titem_id:token\na\tx\tz\n", "row 1: found 3 of 2 cells"),
        ("log.parquet", "not parquet", "found no readable Parquet file"),
        ("log.txt", "0 1 2\n1 x\n", "row 2: found 'x'"),
        ("log.txt", "0 1 2\n1 -4\n", "row 2: found number -4"),
        ("log.txt", "0 1 2\n0 3\n", "row 2: found user 0, who was on line 1 already"),
        ("log.txt", "\n", "is empty"),
        ("log.txt", "0\n1\n", "no interaction"),
        ("log.txt", "0 1 2\n1 987654321\n", "the highest item number is 987654321"),
    ],
)
def test_bad_files_are_refused_with_their_place(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(DataError) as error:
        build(tmp_path, written(tmp_path / name, text))
    assert complaint in str(error.value)
    assert Path(name).stem in str(error.value)


def test_missing_file_and_unused_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        build(tmp_path, tmp_path / "nowhere.csv")
    train, test = written(tmp_path / "a.csv", log(LOG)), written(tmp_path / "b.csv", log([("u0", "i6", 99.0)]))
    with pytest.raises(UsageError, match="leave one of the two out"):
        build(tmp_path, train, test=str(test), split="random")
    with pytest.raises(UsageError, match="has no times"):
        build(tmp_path, written(tmp_path / "c.csv", "user_id,item_id\na,x\na,y\na,z\n"), split="time")
    with pytest.raises(DataError, match="some files have a time column"):
        build(tmp_path, train, test=str(written(tmp_path / "d.csv", "user_id,item_id\nu0,i6\n")))


def test_repeats_count_once_at_their_earliest_time(tmp_path: Path) -> None:
    data = build(tmp_path, written(tmp_path / "log.csv", log([*LOG, ("u0", "i0", -5.0), ("u0", "i0", 70.0)])))
    assert len(data.corpus.user) == len(LOG)
    assert data.corpus.time is not None
    assert data.corpus.time.min() == -5.0
    assert "2 repeated interactions" in notes(data)
    assert "not in the order of time" in notes(data)


def test_a_pair_in_two_parts_is_a_leak(tmp_path: Path) -> None:
    train, test = written(tmp_path / "a.csv", log(LOG)), written(tmp_path / "b.csv", log([("u0", "i0", 99.0)]))
    with pytest.raises(DataError, match="row 1: found 'u0' with 'i0', which is in the train part too"):
        build(tmp_path, train, test=str(test))


def test_ratings_choose_positives(tmp_path: Path) -> None:
    text = "user_id,item_id,rating\n" + "".join(f"u{u},i{i},{1 + (u + i) % 5}\n" for u in range(5) for i in range(6))
    path = written(tmp_path / "log.csv", text)
    data = build(tmp_path, path, least_rating=3)
    assert len(data.corpus.user) == 18
    assert "12 interactions rated below 3" in notes(data)
    with pytest.raises(DataError, match="no interaction is rated 9"):
        build(tmp_path, path, least_rating=9)


ITEMS = (
    "item_id,genre,price,maker\n"
    + "".join(f"i{i},{'war|love' if i % 2 else 'love'},{i / 2},{'acme' if i < 4 else ''}\n" for i in range(6))
    + "new,war,0.5,acme\n"
)


def test_item_tables_with_several_values_bins_and_cold_items(tmp_path: Path) -> None:
    data = build(
        tmp_path, written(tmp_path / "log.csv", log(LOG)), items=str(written(tmp_path / "items.csv", ITEMS)), split="random"
    )
    table, names = data.corpus.item_features, data.corpus.item_names
    assert table is not None
    assert names is not None
    assert table.fields == ("genre", "price", "maker")
    assert table.sizes[0] == 3
    assert table.sizes[2] == 2
    genre = {
        name: table.codes[0][table.offsets[0][row] : table.offsets[0][row + 1]].tolist() for row, name in enumerate(names)
    }
    # love is the most frequent: code 1; i6 is not in the table: missing.
    assert genre["i1"] == [1, 2]
    assert genre["i0"] == [1]
    assert genre["new"] == [2]
    assert genre["i6"] == [0]
    maker = dict(zip(names, table.codes[2].tolist(), strict=True))
    assert maker["i0"] == 1
    assert maker["i5"] == 0
    assert "column 'item_id': found 'i6'; expected an item of items.csv" in notes(data)
    assert "found 'new'; expected an item that the interactions name" in notes(data)
    task = data.tasks["next-items"]
    assert isinstance(task, RankingTask)
    assert task.slices["cold"][names.index("new")]


def test_list_columns_and_recbole_sequences(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": ["i0", "i1"], "tags": [["a", "b"], []]}), tmp_path / "items.parquet")
    typed = written(tmp_path / "items.item", "item_id:token\ttags:token_seq\ni0\ta b\ni1\t\n")
    path = written(tmp_path / "log.csv", log(LOG))
    one, two = (build(tmp_path, path, items=str(file)) for file in (tmp_path / "items.parquet", typed))
    assert one.corpus.sha256 == two.corpus.sha256
    assert one.corpus.item_features is not None
    assert one.corpus.item_features.offsets[0][:3].tolist() == [0, 2, 3]


def test_two_rows_of_one_item_are_refused(tmp_path: Path) -> None:
    items = written(tmp_path / "items.csv", "item_id,genre\ni0,war\ni1,love\ni0,love\n")
    with pytest.raises(DataError, match=r"row 3, column 'item_id': found 'i0' again \(first in row 1\)"):
        build(tmp_path, written(tmp_path / "log.csv", log(LOG)), items=str(items))


def test_new_features_are_coded_by_what_was_fitted(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", log(LOG))
    first = build(tmp_path, path, items=str(written(tmp_path / "items.csv", ITEMS)))
    other = ITEMS.replace("war", "peace").replace("acme", "bolt", 1)
    again = build(tmp_path, path, items=str(written(tmp_path / "more.csv", other)), fitted=first.fitted)
    assert first.corpus.item_features is not None
    assert again.corpus.item_features is not None
    assert again.corpus.item_features.sizes == first.corpus.item_features.sizes
    assert again.fitted == first.fitted
    assert again.corpus.item_features.codes[0].max() == 1  # peace was never seen; love keeps its code
    bare = written(tmp_path / "bare.csv", "item_id,genre\ni0,war\n")
    with pytest.raises(DataError, match="expected those the encoder was trained on, genre, price, maker"):
        build(tmp_path, path, items=str(bare), fitted=first.fitted)


def test_memory_refuses_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table was handed over"):
        DATA["memory"].build(DATA["memory"].options(), DataContext(None, tmp_path, 0))
    with pytest.raises(DataError, match="the table in memory"):
        build(tmp_path, tmp_path, memory=np.arange(4))
    frame = pytest.importorskip("pandas").DataFrame({"user_id": [1.0, None], "item_id": [1, 2]})
    with pytest.raises(DataError, match="row 2, column 'user_id': found an empty cell"):
        build(tmp_path, tmp_path, memory=frame)
