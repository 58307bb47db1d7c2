"""Kinds of columns: what is inferred from what, that it is shown, and what each kind becomes."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet
from scipy.io import arff

from sslplug.contracts import DataContext, finished
from sslplug.contracts.tables import Table
from sslplug.randomness import Rng
from sslplug_tabular.data import DATA
from sslplug_tabular.data.encoding import fit_encoding
from sslplug_tabular.data.reading import read_table
from sslplug_tabular.data.table_data import TableData
from sslplug_tabular.data.types import infer
from sslplug_tabular.data.words import MISSING, as_days, as_words, tidy

N = 60


def kind(values: Any, name: str = "c", **given: Any) -> tuple[str, str]:
    array = values if isinstance(values, pa.Array | pa.DictionaryArray) else pa.array(values, from_pandas=True)
    tidied = Table("t", pa.table({name: tidy(array, MISSING)}), np.arange(1, len(array) + 1))
    column = finished(infer(tidied, given.get("types", {}), given.get("orders", {})))[0]
    return column.kind, column.why


WORDS = ["u", "v", "w"] * 20
KINDS = {
    "floats": (np.linspace(0, 1, N) ** 2, "numeric", "numbers"),
    "whole numbers": ([3, 1, 4, 1, 5, 9] * 10, "numeric", "numbers"),
    "decimals": (pa.array([1, 2, 3] * 20).cast(pa.decimal128(25, 2)), "numeric", "numbers"),
    "numbers in words": (["1.5", " 2 ", "?", "NaN", "-3e2"] * 12, "numeric", "numbers"),
    "words": (WORDS, "categorical", "words"),
    "digits with leading zeros": (["01234", "98765", "00001"] * 20, "categorical", "digits with leading zeros"),
    "numbers and words, half each": (["1", "a"] * 30, "categorical", "words"),
    "truth values": ([True, False] * 30, "boolean", "truth values"),
    "truth words": (["Yes", "no", None] * 20, "boolean", "truth values in words"),
    "0 and 1": ([0, 1, 1] * 20, "boolean", "only 0 and 1"),
    "0 and 1 in words": (["0", "1", "1"] * 20, "boolean", "only 0 and 1"),
    "dates": ([datetime.date(2024, 1, 1 + i % 28) for i in range(N)], "date", "dates"),
    "times": ([datetime.datetime(2024, 1, 1, i % 24) for i in range(N)], "date", "dates"),
    "dates in words": ([f"2024-05-{1 + i % 28:02d}" for i in range(N)], "date", "dates in words"),
    "times in words": ([f"2024-05-01T{i % 24:02d}:30:00Z" for i in range(N)], "date", "dates in words"),
    "category": (pa.array(WORDS).dictionary_encode(), "categorical", "a category"),
    "ordered category": (pa.Array.from_pandas(pd.Categorical(WORDS, ["w", "v", "u"], ordered=True)), "ordinal", "an ordered category"),
    "constant": ([7.0] * N, "ignore", "constant (7)"),
    "constant word": (["x"] * N, "ignore", "constant (x)"),
    "nothing": (["?", ""] * 30, "ignore", "no value in the rows for training"),
    "null": (pa.nulls(N), "ignore", "no value in the rows for training"),
    "names": ([f"person {i}" for i in range(N)], "ignore", "names the rows (60 different words in 60 rows)"),
    "counter": (list(range(100, 100 + N)), "ignore", "counts the rows"),
    "counter in words": ([str(i) for i in range(N)], "ignore", "counts the rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", KINDS)
def test_kinds_are_inferred(case: str) -> None:
    values, expected, why = KINDS[case]
    assert kind(values) == (expected, why)


def test_an_id_needs_its_name_and_different_numbers() -> None:
    different = [int(v) for v in np.random.default_rng(0).permutation(1000)[:N]]
    assert kind(different, "customer_id")[0] == "ignore"
    assert kind(different, "userId")[0] == "ignore"
    assert kind(different, "humid")[0] == "numeric"
    assert kind([v % 7 for v in different], "customer_id")[0] == "numeric"


def test_one_value_beside_missing_ones_is_kept() -> None:
    assert kind([7.0, None] * 30)[0] == "numeric"
    assert kind(["x", None] * 30)[0] == "categorical"


def test_kinds_can_be_changed_and_are_shown() -> None:
    made = pa.table(
        {"zip": [10115, 80331, 20095] * 20, "size": ["S", "L", "M"] * 20, "id": list(range(N)), "gone": [1.5] * N}
    )
    options = DATA["memory"].options(types={"zip": "categorical", "size": "ordinal"}, orders={"size": ["S", "M", "L"]})
    data = DATA["memory"].build(options, DataContext(None, Path(), 0, memory=made))
    assert data.spec.numeric == ("size",)
    assert data.spec.categorical == ("zip",)
    assert data.spec.cardinalities == (5,)
    shown = data.description["notes"][-1].splitlines()
    assert shown[0] == "columns (change one with data.types.<name>=<kind>):"
    assert [line.split()[:2] for line in shown[1:]] == [
        ["zip", "categorical"], ["size", "ordinal"], ["id", "ignore"], ["gone", "ignore"],
    ]  # fmt: skip
    assert "counts the rows" in shown[3]
    assert "constant (1.5)" in shown[4]


def encode(values: Any, types: dict[str, Any] | None = None, most: int = 1000, **orders: Any) -> Any:
    """(encoding, values, codes, notes) of one column."""
    made, notes = pa.table({"c": values}), list[str]()
    found = finished(infer(whole(pa.table({"c": tidy(made["c"], MISSING)})), types or {}, orders))
    reading = fit_encoding(
        whole(made), found, scaler="standard", most_categories=most, missing=MISSING, infinities="refuse", rng=Rng.root(0),
        note=notes.append,
    )  # fmt: skip
    encoding = finished(reading)
    return encoding, *finished(encoding.decode(whole(made))), notes


def whole(content: pa.Table) -> Table:
    return Table("t", content, np.arange(1, len(content) + 1))


def test_codes_reserve_missing_and_other() -> None:
    encoding, _, codes, notes = encode(["b", "a", None, "?", "c", "a", "b", "a"])
    assert encoding.words[0].words == ("a", "b", "c")
    assert codes[:, 0].tolist() == [3, 2, 0, 0, 4, 2, 3, 2]
    assert notes == []
    new = finished(encoding.decode(whole(pa.table({"c": ["never", None, " c "]}))))[1]
    assert new[:, 0].tolist() == [1, 0, 4]


def test_rare_words_share_a_code_and_it_is_said() -> None:
    words = ["a"] * 30 + ["b"] * 20 + ["d", "c"] + ["e"] * 3
    encoding, _, codes, notes = encode(words, most=3)
    assert encoding.words[0].words == ("a", "b", "e")
    assert codes[50:52, 0].tolist() == [1, 1]
    assert notes == [
        "column 'c': 5 different words; the 3 commonest are kept, the others (in 3.64 % of its cells) share one code "
        "(data.most_categories)"
    ]


def test_codes_do_not_depend_on_how_numbers_are_stored() -> None:
    types = {"c": "categorical"}
    expected = encode([1, 2, 10, 2], types)[2].tolist()
    for values in ([1.0, 2.0, 10.0, 2.0], ["1", "2", "10", "2"], pa.array([1, 2, 10, 2], pa.uint8())):
        encoding, _, codes, _ = encode(values, types)
        assert codes.tolist() == expected
        assert encoding.words[0].words == ("1", "10", "2")
    assert as_words(pa.array([1e15, 2.5, None, -0.0])).to_pylist() == ["1000000000000000", "2.5", None, "0"]


def test_dates_become_days_and_phases() -> None:
    days = [datetime.date(1970, 1, 1), datetime.date(1970, 1, 2), datetime.date(2024, 2, 29), None] * 6
    encoding, values, _, _ = encode(days)
    assert encoding.numbers[0].outputs == (
        "c", "c (sine of the year)", "c (cosine of the year)", "c (sine of the week)", "c (cosine of the week)",
    )  # fmt: skip
    number = (datetime.date(2024, 2, 29) - datetime.date(1970, 1, 1)).days
    assert values[:3, 0].tolist() == [0, 1, number]
    np.testing.assert_allclose(values[1, 3:], [np.sin(2 * np.pi / 7), np.cos(2 * np.pi / 7)])
    np.testing.assert_allclose(values[2, 1], np.sin(2 * np.pi * number / 365.2425))
    assert np.isnan(values[3]).all()
    scaled, missing = encoding.scale(values)
    np.testing.assert_allclose(scaled[:3, 1:], values[:3, 1:], atol=1e-7)
    assert missing[3].all()
    assert not missing[:3].any()


def test_times_keep_the_hour() -> None:
    times = ["2024-05-01 06:00", "2024-05-01 18:00", "2024-05-02 06:00"] * 7
    encoding, values, _, _ = encode(times)
    assert encoding.numbers[0].outputs[-2:] == ("c (sine of the day)", "c (cosine of the day)")
    np.testing.assert_allclose(values[:2, -2:], [[1, 0], [-1, 0]], atol=1e-9)


def test_dates_as_words_with_zones_and_as_arrow_types_agree() -> None:
    words = pa.array(["1970-01-02", "1970-01-02T12:00", "1970-01-02 12:00:00.5", "1970-01-02T12:00+02:00", None, "soon"])
    days, bad = as_days(words)
    np.testing.assert_allclose(days[:4], [1, 1.5, 1.5 + 0.5 / 86400, 1.5 - 2 / 24])
    assert np.isnan(days[4])
    assert bad.tolist() == [False] * 5 + [True]
    for unit in ("s", "ms", "us", "ns"):
        assert as_days(pa.array([129_600], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit)))[0][0] == 1.5
    assert as_days(pa.array([1], pa.int32()).cast(pa.date32()))[0][0] == 1.0


def test_ordinals_follow_their_order_and_unknown_words_are_missing() -> None:
    encoding, values, _, _ = encode(["S", "L", "M", "S"], c=("S", "M", "L"))
    assert values[:, 0].tolist() == [0, 2, 1, 0]
    assert np.isnan(finished(encoding.decode(whole(pa.table({"c": ["XL"]}))))[0]).all()
    _, values, _, _ = encode([30, 4, 4, 100], {"c": "ordinal"})
    assert values[:, 0].tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize("suffix", ["parquet", "feather", "arrow", "csv", "tsv", "csv.gz"])
def test_formats_hold_the_same_table(suffix: str, tmp_path: Path) -> None:
    made = pa.table({"a": [1.5, None, 3.0], "b": ["x,y", None, 'say "z"'], "c": [1, 2, 3]})
    path = tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        parquet.write_table(made, path)
    elif suffix == "feather":
        feather.write_feather(made, path)
    elif suffix == "arrow":
        with ipc.new_stream(path, made.schema) as sink:
            sink.write_table(made)
    else:
        made.to_pandas().to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    read = read_table(path)
    assert read.column_names == ["a", "b", "c"]
    words = [as_words(tidy(read[name], MISSING)).to_pylist() for name in "bc"]
    assert words == [["x,y", None, 'say "z"'], ["1", "2", "3"]]
    assert [float(v) if v is not None else v for v in as_words(tidy(read["a"], MISSING)).to_pylist()] == [1.5, None, 3.0]


def test_arff_is_scipys_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.arff"
    path.write_text(
        "% a comment\n@RELATION r\n@ATTRIBUTE 'the size' REAL\n@attribute kind {'<0', 'a b',c}\n\n@DATA\n% another\n"
        "1.5,'<0'\n-2e1,'a b'\n\n?,c\n"
    )
    ours, (theirs, meta) = read_table(path), arff.loadarff(path)
    assert ours.column_names == meta.names()
    np.testing.assert_array_equal(ours["the size"].to_numpy(), theirs["the size"])
    assert ours["kind"].to_pylist() == [v.decode() for v in theirs["kind"]]


def frames() -> dict[str, Any]:
    array = np.array([[0.5, 1.5], [2.5, np.nan], [1.0, 4.0]] * 10)
    return {
        "array": array,
        "pandas": pd.DataFrame(array, columns=["x0", "x1"], index=[f"r{i}" for i in range(30)]),
        "arrow": pa.table({"x0": array[:, 0], "x1": pa.array(array[:, 1], from_pandas=True)}),
        "mapping": {"x0": array[:, 0], "x1": array[:, 1]},
        "objects": array.astype(object),
        "batch": pa.record_batch({"x0": array[:, 0], "x1": pa.array(array[:, 1], from_pandas=True)}),
    }


@pytest.mark.parametrize("kind", frames())
def test_memory_holds_the_same_table(kind: str) -> None:
    def build(value: Any) -> TableData:
        return DATA["memory"].build(DATA["memory"].options(), DataContext(None, Path(), 0, memory=value))

    data, usual = build(frames()[kind]), build(frames()["array"])
    assert data.spec.numeric == ("x0", "x1")
    rows, expected = next(iter(data.rows())).data, next(iter(usual.rows())).data
    assert rows.numeric.tolist() == expected.numeric.tolist()
    assert rows.missing.sum() == 10
    assert data.description["sha256"] == usual.description["sha256"]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())])
def test_how_words_are_stored_changes_nothing(kind: pa.DataType) -> None:
    """pandas and others write words in several Arrow types; all hold the same table."""
    columns = {
        "word": ["u", " v ", "?", "w"] * 15,
        "number": ["1.5", "NA", "-2", "3"] * 15,
        "day": ["2024-05-01", "2024-05-02T10:00", " 2024-05-02", "2024-06-01 06:00Z"] * 15,
        "flag": ["Yes", "no", "no", None] * 15,
        "size": ["S", "L", "M", "S"] * 15,
        "name": [f"r{i}" for i in range(60)],
        "y": ["p", "q", "q", "p", "q", "p"] * 10,
    }
    usual = pa.table(columns)
    dictionary = pa.types.is_dictionary(kind)
    other = pa.table(
        {
            name: pa.array(values, pa.string()).dictionary_encode().cast(kind) if dictionary else pa.array(values, kind)
            for name, values in columns.items()
        }
    )
    for split in ({}, {"column": "part"}, {"group": "person"}, {"time": "day"}):
        sides = {"part": ["train", "train", "val", "test", "test"] * 12, "person": ["a", "b", "c", "d", "e"] * 12}
        found = []
        for made in (usual, other):
            for name, values in sides.items():
                made = made.append_column(name, pa.array(values, pa.string() if made is usual or dictionary else kind))
            types = {"word": "categorical", "number": "numeric", "day": "date", "flag": "boolean", "name": "ignore"}
            types |= {"part": "ignore", "person": "categorical"} if not split else {}
            options = DATA["memory"].options(target="y", types=types, orders={"size": ["S", "M", "L"]}, split=split)
            data = DATA["memory"].build(options, DataContext(None, Path(), 0, memory=made))
            found.append((data.raw_features(data.tasks["target"]).values, data.fitted, data.tasks["target"].splits[0].test))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_array_equal(found[0][2], found[1][2])
        assert found[0][1] == found[1][1]
