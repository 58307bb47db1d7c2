"""Every kind of fault in a user's own interactions: alone it is found with file, row, column and kind; beside others none is lost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug_recsys.plugin import PLUGIN

Found = tuple[str, int | None, str | None, str]
START = 1_700_000_000
DAY = 86_400


def log(rows: Mapping[int, str] = {}, heading: str = "user_id,item_id,timestamp") -> str:
    """Six users with five of seven items each, in the order of time; ``rows`` {number: line} take the place of lines or follow them."""
    lines = [f"u{u},i{(u + k) % 7},{START + 6 * k * DAY + u}" for k in range(5) for u in range(6)]
    last = max([len(lines), *rows])
    return (
        "\n".join([heading, *(rows.get(row, lines[row - 1] if row <= len(lines) else "") for row in range(1, last + 1))])
        + "\n"
    )


ITEMS = ["item_id,genre,price"] + [f"i{i},{'war|love' if i % 2 else 'love'},{i / 2 + 0.25}" for i in range(7)]


def items(rows: Mapping[int, str] = {}) -> str:
    lines = list(ITEMS)
    for row in sorted(rows):
        lines[row : row + 1] = [rows[row]]
    return "\n".join(lines) + "\n"


def written(folder: Path, **files: str) -> dict[str, str]:
    """Writes the files and names them as options: path, items, users, test, val."""
    options = {}
    for option, text in files.items():
        file = folder / f"{option}.csv"
        file.write_text(text, encoding="utf-8")
        options[option] = str(file)
    return options


def faults(name: str = "files", **options: object) -> list[Fault]:
    component = PLUGIN.data[name]
    assert component.faults is not None
    return list(component.faults(component.options(**options), DataContext(None, Path("cache"), 0)))


def told(found: list[Fault]) -> set[Found]:
    return {(Path(fault.file).name, fault.row, fault.column, fault.kind) for fault in found}


def trains(**options: object) -> bool:
    component = PLUGIN.data["files"]
    try:
        component.build(component.options(**options), DataContext(None, Path("cache"), 0))
    except DataError:
        return False
    return True


def test_clean_files_have_no_fault(tmp_path: Path) -> None:
    given = written(tmp_path, path=log(), items=items())
    assert faults(**given) == []
    assert trains(**given)


T = START + 31 * DAY
FUTURE = int(time.time()) + 400 * DAY
LOG_FAULTS: dict[str, tuple[str, dict[str, object], list[Found]]] = {
    "missing-id": (log({31: f",i0,{T}", 32: f"u0,,{T}"}), {}, [("path.csv", 31, "user_id", "missing-id"), ("path.csv", 32, "item_id", "missing-id")]),
    "blank-around-id": (log({30: f"u5, i2,{T}"}), {}, [("path.csv", 30, "item_id", "blank-around-id")]),
    "damaged-characters": (log({31: f"u\ufffd,i0,{T}"}), {}, [("path.csv", 31, "user_id", "damaged-characters")]),
    "missing-time": (log({30: "u5,i2,"}), {}, [("path.csv", 30, "timestamp", "missing-time")]),
    "not-a-number": (log({30: "u5,i2,noon"}), {}, [("path.csv", 30, "timestamp", "not-a-number")]),
    "not-finite": (log({30: "u5,i2,inf"}), {}, [("path.csv", 30, "timestamp", "not-finite")]),
    "time-in-another-unit": (
        log({3: f"u2,i2,{START}002", 30: f"u5,i2,{T}000000"}),
        {},
        [("path.csv", 3, "timestamp", "time-in-another-unit"), ("path.csv", 30, "timestamp", "time-in-another-unit"), ("path.csv", None, "timestamp", "not-in-time-order")],
    ),
    "time-out-of-range": (
        log({1: "u0,i0,0", 2: "u1,i1,-1"}),
        {},
        [("path.csv", row, "timestamp", "time-out-of-range") for row in (1, 2)] + [("path.csv", None, "timestamp", "not-in-time-order")],
    ),
    "time-in-the-future": (log({30: f"u5,i2,{FUTURE}"}), {}, [("path.csv", 30, "timestamp", "time-in-the-future")]),
    "not-in-time-order": (log({1: f"u0,i0,{T}"}), {}, [("path.csv", None, "timestamp", "not-in-time-order")]),
    "repeated-row": (log({31: f"u5,i2,{START + 24 * DAY + 5}"}), {}, [("path.csv", 31, None, "repeated-row")]),
    "one-interaction": (log({31: f"once,i2,{T}"}), {}, [("path.csv", 31, None, "one-interaction")]),
    "ragged-row": (log({30: "u5,i2", 31: f"u5,i2,{T},9"}), {}, [("path.csv", row, None, "ragged-row") for row in (30, 31)]),
    "missing-column": (log(heading="who,item_id,timestamp"), {}, [("path.csv", None, "user_id", "missing-column"), ("path.csv", None, None, "incomplete"), ("path.csv", None, None, "incomplete")]),
    "repeated-column": (log(heading="user_id,item_id,item_id"), {}, [("path.csv", None, "item_id", "repeated-column")]),
    "no-heading": (log(heading="1,2,3"), {}, [("path.csv", None, None, "no-heading"), ("path.csv", None, None, "incomplete")]),
    "byte-order-mark": ("\ufeff" + log(), {}, [("path.csv", None, None, "byte-order-mark")]),
    "wrong-delimiter": (log().replace(",", ";"), {}, [("path.csv", None, None, "wrong-delimiter"), ("path.csv", None, None, "incomplete")]),
    "empty-file": ("", {}, [("path.csv", None, None, "empty-file"), ("path.csv", None, None, "incomplete")]),
    "no-rows": ("user_id,item_id\n", {}, [("path.csv", None, None, "no-rows"), ("path.csv", None, None, "incomplete")]),
}  # fmt: skip
HARMLESS = {
    "blank-around-id",
    "time-out-of-range",
    "time-in-the-future",
    "not-in-time-order",
    "repeated-row",
    "one-interaction",
    "byte-order-mark",
}


@pytest.mark.parametrize("kind", LOG_FAULTS)
def test_faults_of_interactions(tmp_path: Path, kind: str) -> None:
    text, options, expected = LOG_FAULTS[kind]
    given = written(tmp_path, path=text) | options
    found = faults(**given)
    assert told(found) == set(expected)
    assert all(fault.found and fault.expected and fault.mend for fault in found)
    assert all(fault.harmless == (fault.kind in HARMLESS) for fault in found)
    assert trains(**given) == (kind in HARMLESS)


@pytest.mark.parametrize(
    ("rows", "row", "column", "kind", "harmless"),
    [
        (["1,3", "2,-1", "1,4", "2,3"], 2, "item_id", "negative-id", False),
        (["1,3.5", "2,2", "1,4", "2,3"], 1, "item_id", "fractional-id", False),
        (["1,3.0", "2,2", "1,4", "2,3"], 1, "item_id", "float-id", True),
        (["1,3", "2.5E+17,2", "1,4", "2.5E+17,3"], 2, "user_id", "rounded-id", False),
        (["1,3", "2,nan", "1,4", "2,3"], 2, "item_id", "missing-id", False),
    ],
)
def test_ids_that_are_numbers(tmp_path: Path, rows: list[str], row: int, column: str, kind: str, harmless: bool) -> None:
    given = written(tmp_path, path="\n".join(["user_id,item_id", *rows]) + "\n")
    found = [fault for fault in faults(**given) if fault.kind == kind]
    assert (found[0].row, found[0].column, found[0].harmless) == (row, column, harmless)
    assert trains(**given, split="random", test_share=0.4) == harmless


def dated(cell: str, row: int = 30) -> str:
    """The log with days for times, ``cell`` in one row."""
    days = [f"2023-11-{15 + k * 3:02}" for k in range(5) for _ in range(6)]
    lines = [line.rsplit(",", 1)[0] for line in log().splitlines()]
    days[row - 1] = cell
    return "\n".join([lines[0] + ",timestamp", *(f"{line},{day}" for line, day in zip(lines[1:], days, strict=True))]) + "\n"


@pytest.mark.parametrize(
    ("cell", "row", "kind"),
    [
        ("31/12/2023", 30, "not-a-time"),
        ("2023-02-30", 30, "not-a-time"),
        ("1700000000", 30, "not-a-time"),
        ("", 30, "missing-time"),
        ("2999-01-01", 30, "time-in-the-future"),
        ("1960-05-05", 1, "time-before-1970"),
    ],
)
def test_times_that_are_dates(tmp_path: Path, cell: str, row: int, kind: str) -> None:
    assert faults(**written(tmp_path, path=dated("2023-11-27"))) == []
    given = written(tmp_path, path=dated(cell, row))
    assert told(faults(**given)) == {("path.csv", row, "timestamp", kind)}
    assert trains(**given) == (kind in ("time-in-the-future", "time-before-1970"))


def test_times_that_tell_little_are_said(tmp_path: Path) -> None:
    lines = log().splitlines()
    numbered = [lines[0], *(f"{line.rsplit(',', 1)[0]},{20240101 + k // 6}" for k, line in enumerate(lines[1:]))]
    still = [lines[0], *(f"{line.rsplit(',', 1)[0]},{START}" for line in lines[1:])]
    for text, kind in (("\n".join(numbered), "time-as-date-number"), ("\n".join(still), "one-moment")):
        assert told(faults(**written(tmp_path, path=text))) == {("path.csv", None, "timestamp", kind)}


ITEM_FAULTS: dict[str, tuple[dict[int, str], list[Found], bool]] = {
    "repeated-id": ({8: "i2,love,3.5"}, [("items.csv", 8, "item_id", "repeated-id")], False),
    "missing-id": ({8: ",love,3.5"}, [("items.csv", 8, "item_id", "missing-id")], False),
    "item-without-features": ({7: "i5,war,9.5"}, [("items.csv", 7, "item_id", "repeated-id"), ("path.csv", 12, "item_id", "item-without-features")], False),
    "item-without-interaction": ({8: "new,war,1.5"}, [("items.csv", 8, "item_id", "item-without-interaction")], True),
    "not-a-number": ({3: "i2,love,cheap"}, [("items.csv", 3, "price", "not-a-number")], False),
    "decimal-comma": ({3: 'i2,love,"1,25"'}, [("items.csv", 3, "price", "decimal-comma")], False),
    "number-with-unit": ({3: "i2,love,$1.25"}, [("items.csv", 3, "price", "number-with-unit")], False),
    "not-finite": ({3: "i2,love,inf"}, [("items.csv", 3, "price", "not-finite")], False),
    "empty-value": ({2: "i1,war||love,0.75", 4: "i3,|love,1.75"}, [("items.csv", row, "genre", "empty-value") for row in (2, 4)], True),
    "values-alike": ({2: "i1,War|love,0.75"}, [("items.csv", None, "genre", "values-alike")], True),
    "constant-feature": ({row: line.replace("war|love", "love") for row, line in enumerate(ITEMS) if row}, [("items.csv", None, "genre", "constant-feature")], True),
    "other-separator": ({row: line.replace("war|love", "war;love").replace(",love", ",love;peace") for row, line in enumerate(ITEMS) if row}, [("items.csv", None, "genre", "other-separator")], True),
    "numbers-as-words": ({row: f'i{row - 1},{"war" if row % 2 else "love"},"{row % 3},5"' for row in range(1, 8)}, [("items.csv", None, "price", "numbers-as-words")], True),
    "empty-feature": ({row: f"i{row - 1},,{row}.5" for row in range(1, 8)}, [("items.csv", None, "genre", "empty-feature")], True),
    "ragged-row": ({8: "new,war"}, [("items.csv", 8, None, "ragged-row")], False),
    "unnamed-column": ({0: "item_id,genre,"}, [("items.csv", None, None, "unnamed-column")], True),
    "missing-column": ({0: "id,genre,price"}, [("items.csv", None, "item_id", "missing-column")], False),
}  # fmt: skip


@pytest.mark.parametrize("kind", ITEM_FAULTS)
def test_faults_of_features(tmp_path: Path, kind: str) -> None:
    rows, expected, harmless = ITEM_FAULTS[kind]
    given = written(tmp_path, path=log(), items=items(rows))
    found = faults(**given)
    assert told(found) == set(expected)
    assert next(fault.harmless for fault in found if fault.kind == kind) == (harmless or kind == "item-without-features")
    assert trains(**given) == harmless


def test_features_that_name_rows_and_users_without_any(tmp_path: Path) -> None:
    people = [
        "user_id,name,town",
        *(f"p{k},name{k},{'x' if k % 2 else 'y'}" for k in range(12)),
        *(f"u{k},anon{k},x" for k in range(1, 6)),
    ]
    found = told(faults(**written(tmp_path, path=log(), users="\n".join(people) + "\n")))
    assert found == {("users.csv", row, "user_id", "user-without-interaction") for row in range(1, 13)} | {
        ("users.csv", None, "name", "a-value-a-row"),
        ("path.csv", 1, "user_id", "user-without-features"),
    }


def test_faults_of_ratings(tmp_path: Path) -> None:
    rows = [f"u{u},i{i},{1 + (u + i) % 5}" for u in range(12) for i in range(12)]
    rows[2], rows[5], rows[7], rows[9], rows[11] = "u0,i2,", "u0,i5,50", "u0,i7,-1", "u0,i9,good", 'u0,i11,"4,5"'
    given = written(tmp_path, path="\n".join(["user_id,item_id,rating", *rows]) + "\n")
    assert told(faults(**given, least_rating=3)) == {
        ("path.csv", 3, "rating", "missing-number"),
        ("path.csv", 6, "rating", "rating-out-of-range"),
        ("path.csv", 8, "rating", "rating-out-of-range"),
        ("path.csv", 10, "rating", "not-a-number"),
        ("path.csv", 12, "rating", "decimal-comma"),
        ("path.csv", None, "rating", "rated-lower"),
    }
    assert ("path.csv", None, "rating", "no-positive") in told(faults(**given, least_rating=90))
    assert told(faults(**given)) == {("path.csv", None, None, "unused-column")}


def test_faults_of_parts(tmp_path: Path) -> None:
    test = f"user_id,item_id,timestamp\nu0,i6,{T}\nu0,i0,{T}\nstranger,i1,{T}\n"
    given = written(tmp_path, path=log(), test=test)
    assert told(faults(**given)) == {
        ("test.csv", 2, None, "pair-in-two-parts"),
        ("test.csv", 3, None, "user-without-history"),
    }
    assert not trains(**given)
    given = written(tmp_path, path=log(), test="user_id,item_id\nu0,i6\n")
    assert told(faults(**given)) == {("test.csv", None, "timestamp", "no-times")}


def test_faults_of_recboles_headings(tmp_path: Path) -> None:
    lines = [f"u{u}\ti{(u + k) % 7}\t{START + 6 * k * DAY + u}" for k in range(5) for u in range(6)]
    for heading, column, kind, harmless in (
        ("user_id\titem_id:token\ttimestamp:float", "user_id", "untyped-heading", False),
        ("user_id:token\titem_id:word\ttimestamp:float", "item_id:word", "untyped-heading", False),
        ("user_id:token\titem_id:token\ttimestamp:token", "timestamp", "unusual-type", True),
    ):
        (tmp_path / "a.inter").write_text("\n".join([heading, *lines]) + "\n")
        found = faults(path=tmp_path / "a.inter")
        assert ("a.inter", None, column, kind) in told(found)
        assert all(fault.harmless == harmless for fault in found if fault.kind == kind)
        assert trains(path=tmp_path / "a.inter") == harmless
    (tmp_path / "a.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *lines, "u0\ti6"]) + "\n")
    vectors = ["item_id:token\tplace:float_seq\tprice:float", *(f"i{i}\t1 {i}\t{i}" for i in range(6)), "i6\t1 2\tdear"]
    (tmp_path / "a.item").write_text("\n".join(vectors) + "\n")
    assert told(faults(path=tmp_path / "a.inter", items=tmp_path / "a.item")) == {
        ("a.inter", 31, None, "ragged-row"),
        ("a.item", None, "place", "vector"),
        ("a.item", 7, "price", "not-a-number"),
    }


TEXT = "0 0 1 2 3\n1 1 2 3 4\n2 2 3 4 5\n"


@pytest.mark.parametrize(
    ("text", "row", "kind", "harmless"),
    [
        (TEXT + "3 x 1\n", 4, "not-a-number", False),
        (TEXT + "3 1.0 2\n", 4, "not-a-number", False),
        (TEXT + "3,1,2\n", 4, "wrong-delimiter", False),
        (TEXT + "3 99999999999999999999\n", 4, "number-too-long", False),
        (TEXT + "3 -1\n", 4, "negative-number", False),
        (TEXT + "1 5\n", 4, "user-on-two-lines", False),
        (TEXT + "3 987654321\n", None, "numbers-too-high", False),
        (TEXT + "3\n", 4, "user-without-item", True),
        (TEXT + "3 1 2 1\n", 4, "repeated-item", True),
        ("\ufeff" + TEXT, 1, "byte-order-mark", True),
        ("\n \n", None, "empty-file", False),
        ("0\n1\n", None, "no-interaction", False),
    ],
)
def test_faults_of_lightgcns_text(tmp_path: Path, text: str, row: int | None, kind: str, harmless: bool) -> None:
    file = tmp_path / "train.txt"
    file.write_text(text, encoding="utf-8")
    found = faults(path=file)
    name = "train" if kind == "no-interaction" else "train.txt"
    assert (name, row, None, kind) in told(found)
    assert {fault.kind for fault in found} <= {kind, "no-interaction", "user-without-item"}
    assert all(fault.harmless == harmless for fault in found if fault.kind == kind)
    assert trains(path=file) == harmless


def test_ragged_lines_and_leaks_of_lightgcns_text_are_all_told(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT + "3 a\n4 -5\n5\n")
    (tmp_path / "test.txt").write_text("0 9\n1 2\n2 z\n")
    assert told(faults(path=tmp_path / "train.txt", test=tmp_path / "test.txt")) == {
        ("train.txt", 4, None, "not-a-number"),
        ("train.txt", 5, None, "negative-number"),
        ("train.txt", 6, None, "user-without-item"),
        ("test.txt", 3, None, "not-a-number"),
        ("test.txt", 2, None, "pair-in-two-parts"),
    }


def test_all_faults_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    given = written(
        tmp_path,
        path=log({3: f",i1,{T}", 9: "u2,i3,noon", 31: "u1", 32: f"u1,i5,{T}000", 33: f"once,i2,{T}"}),
        items=items({3: "i2,love,cheap", 8: "i4,love,1.5", 9: "new,war|,2.5"}),
    )
    assert told(faults(**given)) == {
        ("path.csv", 3, "user_id", "missing-id"),
        ("path.csv", 9, "timestamp", "not-a-number"),
        ("path.csv", 31, None, "ragged-row"),
        ("path.csv", 32, "timestamp", "time-in-another-unit"),
        ("path.csv", None, "timestamp", "not-in-time-order"),
        ("path.csv", 33, None, "one-interaction"),
        ("items.csv", 3, "price", "not-a-number"),
        ("items.csv", 8, "item_id", "repeated-id"),
        ("items.csv", 9, "item_id", "item-without-interaction"),
        ("items.csv", 9, "genre", "empty-value"),
    }


def test_sequences_and_baskets_of_ones_own_are_checked_alike(tmp_path: Path) -> None:
    given = written(tmp_path, path=log({3: f",i1,{T}"}))
    for name in ("sequences-files", "baskets-files"):
        assert ("path.csv", 3, "user_id", "missing-id") in told(faults(name, files=given))


def test_many_rows_are_checked_without_a_loop_over_them(tmp_path: Path) -> None:
    rows = 300_000
    draw = np.random.default_rng(0)
    user, item = np.divmod(draw.permutation(4_000 * 500)[:rows], 500)
    stamp = START + np.arange(rows, dtype=np.float64)
    stamp[123_456] *= 1000
    pq.write_table(pa.table({"user_id": user, "item_id": item, "timestamp": stamp}), tmp_path / "log.parquet")
    begun = time.process_time()
    found = told(faults(path=tmp_path / "log.parquet"))
    assert ("log.parquet", 123_457, "timestamp", "time-in-another-unit") in found
    assert {one[3] for one in found} == {"time-in-another-unit", "not-in-time-order"}
    assert time.process_time() - begun < 20  # a loop over rows would take minutes on a slow machine
