"""Bad tables are refused in one sentence that names file, row and column (where there is one), or are handled and said so."""

from __future__ import annotations

import datetime
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug_tabular.data import DATA

ROWS = 40


def rows_of(text: str, rows: int = ROWS) -> str:
    """A header and good rows; ``text`` replaces row 7."""
    lines = [f"{i % 5}.5,{'uvw'[i % 3]},{i % 2}" for i in range(rows)]
    lines[6] = text
    return "a,b,y\n" + "\n".join(lines) + "\n"


def build(path: Path, **options: Any) -> Any:
    options = {"target": "y", "split": {"test_share": 0.2, "val_share": 0.2}} | options
    return DATA["files"].build(DATA["files"].options(path=path, **options), DataContext(None, path.parent, 0))


def table(**columns: Any) -> pa.Table:
    generator = np.random.default_rng(0)
    usual = {"a": generator.normal(size=ROWS), "b": ["u", "v"] * (ROWS // 2), "y": generator.integers(2, size=ROWS)}
    return pa.table({name: values for name, values in (usual | columns).items() if values is not None})


def changed(values: list[Any], row: int, value: Any) -> list[Any]:
    return [value if i == row else v for i, v in enumerate(values)]


TEXTS = {
    "empty file": ("t.csv", "", {}, r"t\.csv: found an empty file"),
    "header alone": ("t.csv", "a,b,y\n", {}, r"t\.csv: found no rows"),
    "one row": ("t.csv", "a,b,y\n1,u,0\n", {}, r"t\.csv.*'y'.*'0'"),
    "one row, no target": ("t.csv", "a,b\n1,u\n", {"target": None}, r"t\.csv: found 1 of 1 rows.*at least 2"),
    "repeated name": ("t.csv", "a,a,y\n1,2,0\n2,3,1\n", {}, r"t\.csv, column 'a': found two columns"),
    "short row": ("t.csv", rows_of("1.5,u"), {}, r"t\.csv, row 7: found 2 of 3 cells"),
    "long row": ("t.csv", rows_of("1.5,u,0,9"), {}, r"t\.csv, row 7: found 4 of 3 cells"),
    "word among numbers": ("t.csv", rows_of("x,u,0"), {}, r"t\.csv, row 7, column 'a': found 'x'"),
    "infinity in words": ("t.csv", rows_of("inf,u,0"), {}, r"t\.csv, row 7, column 'a': found 'inf'"),
    "too large for float32": ("t.csv", rows_of("1e300,u,0"), {}, r"t\.csv, row 7, column 'a': found '1e300'"),
    "word among target numbers": ("t.csv", rows_of("1.5,u,zero"), {}, r"t\.csv, row 7, column 'y': found 'zero' among numbers"),
    "infinite target": ("t.csv", rows_of("1.5,u,inf"), {}, r"t\.csv, row 7, column 'y': found inf; expected a finite target"),
    "no such target": ("t.csv", rows_of("1.5,u,0"), {"target": "z"}, r"data\.target: .*t\.csv has no column 'z'; it has a, b, y"),
    "no such typed column": ("t.csv", rows_of("1.5,u,0"), {"types": {"q": "numeric"}}, r"data\.types: .* no column 'q'"),
    "words as numeric": ("t.csv", rows_of("1.5,u,0"), {"types": {"b": "numeric"}}, r"row \d+, column 'b': found '[uvw]'; expected a number"),
    "words as dates": ("t.csv", rows_of("1.5,u,0"), {"types": {"b": "date"}}, r"row \d+, column 'b': found '[uvw]'; expected a date"),
    "words without order": ("t.csv", rows_of("1.5,u,0"), {"types": {"b": "ordinal"}}, r"column 'b': found words without an order"),
    "word beyond its order": ("t.csv", rows_of("1.5,u,0"), {"orders": {"b": ["u", "v"]}}, r"row 3, column 'b': found 'w'; expected a word of data\.orders\.b"),
    "target named twice": ("t.csv", rows_of("1.5,u,0"), {"target": ["y", "y"]}, r"data\.target names 'y' twice"),
    "unknown format": ("t.xlsx", "a,b\n1,2\n", {}, r"t\.xlsx: found the suffix '\.xlsx'"),
    "text that is no Parquet": ("t.parquet", "a,b\n1,2\n", {}, r"t\.parquet: found no readable"),
    "text that is no Arrow": ("t.arrow", "a,b\n1,2\n", {}, r"t\.arrow: found no readable"),
    "text that is no xz": ("t.csv.xz", "a,b\n1,2\n", {}, r"t\.csv\.xz: found a file that cannot be read"),
    "stream a CSV": ("t.csv", rows_of("1.5,u,0"), {"stream": True}, r"data\.stream: .*t\.csv is no Parquet"),
    "ARFF without data": ("t.arff", "@relation r\n@attribute a numeric\n", {}, r"t\.arff: found 1 @attribute lines and no @data"),
    "ARFF undeclared word": (
        "t.arff", "@relation r\n@attribute a numeric\n@attribute y {p,'q r'}\n@data\n1,p\n2,'q r'\n3,z\n", {},
        r"t\.arff, row 3, column 'y': found 'z'; expected one of the declared p, q r",
    ),
    "ARFF word as number": ("t.arff", "@relation r\n@attribute a real\n@attribute y {p,q}\n@data\n1,p\nx,q\n", {}, r"row 2, column 'a': found 'x'"),
    "ARFF short row": ("t.arff", "@relation r\n@attribute a real\n@attribute y {p,q}\n@data\n1,p\n2\n", {}, r"t\.arff, row 2: found 1 cells"),
    "ARFF sparse": ("t.arff", "@relation r\n@attribute a real\n@data\n{0 1}\n", {}, r"sparse ARFF"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_text_is_refused(case: str, tmp_path: Path) -> None:
    name, content, options, words = TEXTS[case]
    (tmp_path / name).write_text(content)
    with pytest.raises((DataError, UsageError), match=words):
        build(tmp_path / name, **options)


TABLES = {
    "infinity": (table(a=changed([1.5] * 20 + [2.5] * 20, 8, np.inf)), {}, r"t\.parquet, row 9, column 'a': found inf"),
    "nested column": (table(b=[[1]] * ROWS), {}, r"column 'b': found a column of list.*data\.types\.b: ignore"),
    "binary column": (table(b=pa.array([b"\x00"] * ROWS)), {}, r"column 'b': found a column of binary"),
    "no column left": (table(a=[1.0] * ROWS, b=None), {}, r"no column is left to learn from \(a: constant"),
    "nothing but the target": (table(a=None, b=None), {}, r"no column is left to learn from"),
    "empty target": (table(y=pa.nulls(ROWS, pa.int64())), {}, r"column 'y': found no value"),
    "one class": (table(y=["p"] * ROWS), {}, r"column 'y': found only the class 'p'"),
    "target names the rows": (table(y=[f"r{i}" for i in range(ROWS)]), {}, r"column 'y': found 40 classes in 40 rows"),
    "constant number target": (table(y=[0.5] * ROWS), {}, r"column 'y': found 0\.5 in every row"),
    "words for regression": (table(y=["p", "q"] * 20), {"target_kind": "regression"}, r"row 1, column 'y': found 'p' among numbers"),
    "split word": (
        table(s=changed(["train"] * 30 + ["test"] * 10, 3, "tset")), {"split": {"column": "s"}},
        r"row 4, column 's': found 'tset'; expected one of train",
    ),
    "split without test": (table(s=["train"] * ROWS), {"split": {"column": "s"}}, r"column 'y': found 40 labelled rows leave none to test"),
    "group missing": (table(g=changed(["p", "q"] * 20, 5, None)), {"split": {"group": "g"}}, r"row 6, column 'g': found an empty"),
    "two groups": (table(g=["p", "q"] * 20), {"split": {"group": "g"}}, r"column 'g': found 2 groups; expected at least 3"),
    "time missing": (table(t=changed(list(range(ROWS)), 5, None)), {"split": {"time": "t"}}, r"row 6, column 't': found an empty"),
    "time in words": (table(t=["soon"] * ROWS), {"split": {"time": "t"}}, r"row 1, column 't': found 'soon'; expected a date"),
    "no month 13": (
        table(d=changed([f"2024-0{1 + i % 9}-11" for i in range(ROWS)], 9, "2024-13-11")), {},
        r"row 10, column 'd': found '2024-13-11.*expected a date",
    ),
    "integers as dates": (table(d=[1, 2] * 20), {"types": {"d": "date"}}, r"column 'd': found a column of int64; expected dates as words"),
    "split column absent": (table(), {"split": {"column": "s"}}, r"data\.split\.column: .* no column 's'"),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", TABLES)
def test_parquet_is_refused(case: str, stream: bool, tmp_path: Path) -> None:
    made, options, words = TABLES[case]
    parquet.write_table(made, tmp_path / "t.parquet", row_group_size=16)
    with pytest.raises((DataError, UsageError), match=words):
        # A streamed row outside training is met when it is read, not before.
        list(build(tmp_path / "t.parquet", stream=stream, **options).rows())


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    parquet.write_table(table(), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    for stream in (False, True, None):
        with pytest.raises(DataError, match=r"t\.parquet: found no readable"):
            build(tmp_path / "t.parquet", stream=stream)
    middle = bytearray(whole)
    middle[4:40] = b"\xff" * 36
    (tmp_path / "t.parquet").write_bytes(middle)
    for stream in (False, True):
        with pytest.raises(DataError, match=r"t\.parquet: found no readable"):
            build(tmp_path / "t.parquet", stream=stream)
    (tmp_path / "t.csv.xz").write_bytes(lzma.compress(rows_of("1.5,u,0").encode())[:-20])
    with pytest.raises(DataError, match=r"t\.csv\.xz: found a file that cannot be read"):
        build(tmp_path / "t.csv.xz")
    (tmp_path / "t.csv").write_bytes(b"a,y\n\xff\xfe,0\n1,1\n")
    with pytest.raises(DataError, match=r"t\.csv, row 1: found bytes that are no UTF-8"):
        build(tmp_path / "t.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path: .*none\.csv do not exist"):
        build(tmp_path / "none.csv")
    with pytest.raises(DataError, match="found a folder; expected a file"):
        build(tmp_path)


def test_an_infinity_is_missing_where_asked(tmp_path: Path) -> None:
    parquet.write_table(table(a=changed(list(np.arange(ROWS) / 7), 8, np.inf)), tmp_path / "t.parquet")
    for stream in (False, True):
        data = build(tmp_path / "t.parquet", infinities="missing", stream=stream)
        rows = next(iter(data.rows())).data
        assert rows.missing[:, 0].nonzero()[:, 0].tolist() == [8]
        assert rows.numeric[8, 0] == 0
        assert np.isnan(data.raw_features(data.tasks["target"]).values[8, 0])


MEMORY: dict[str, tuple[Any, str]] = {
    "vector": (np.zeros(5), r"an array of shape \(5,\); expected \(rows, columns\)"),
    "not a table": (7, r"a int .*expected an array"),
    "mixed objects": (np.array([[1, "a"], ["x", "b"], [2, "c"]], object), r"row 2, column 'x0': 'x' is a str among values of type int"),
    "repeated names": (pa.table([[1, 2], [1, 2]], ["a", "a"]), r"column 'a': found two columns"),
    "nothing": (np.zeros((0, 3)), r"found no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", MEMORY)
def test_memory_is_refused(case: str, tmp_path: Path) -> None:
    value, words = MEMORY[case]
    with pytest.raises(DataError, match=words):
        DATA["memory"].build(DATA["memory"].options(), DataContext(None, tmp_path, 0, memory=value))


def test_memory_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table was handed over"):
        DATA["memory"].build(DATA["memory"].options(), DataContext(None, tmp_path, 0))


def test_a_missing_data_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"Adult: not found in .*expected the files adult\.data\.xz.*--data-root or SSLPLUG_DATA"
    ):
        DATA["adult"].build(DATA["adult"].options(), DataContext(None, tmp_path, 0))


def test_another_file_under_a_published_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tabular/openml_small"
    folder.mkdir(parents=True)
    (folder / "car__car.data.xz").write_bytes(lzma.compress(b"vhigh,vhigh,2,2,small,low,unacc\n"))
    with pytest.raises(
        DataError, match=r"car__car\.data\.xz: its sha256 .*expected a69|car__car\.data\.xz: its sha256 .*; expected 2f16"
    ):
        DATA["car"].build(DATA["car"].options(), DataContext(tmp_path, tmp_path, 0))


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"column": "a", "group": "b"}, "one of column, group and time"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave rows for training"),
    ],
)
def test_splits_that_cannot_be_are_refused(split: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DATA["memory"].options(split=split)


def test_messages_count_rows_of_the_whole_table_even_where_only_some_are_looked_at(tmp_path: Path) -> None:
    """The odd cell is in a test row: kinds come from the training rows, and the row is named when it is met."""
    words = ["1.5", "2.5"] * 20
    made = table(a=changed(words, 33, "oops"), s=["train"] * 30 + ["test"] * 10)
    made = made.append_column("when", pa.array([datetime.date(2024, 1, 1 + i % 28) for i in range(ROWS)]))
    parquet.write_table(made, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet, row 34, column 'a': found 'oops'; expected a number"):
        build(tmp_path / "t.parquet", split={"column": "s"})
