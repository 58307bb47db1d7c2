"""Every kind of fault of a table of one's own: found with file, row and column, alone and together with others.

A case makes a sound table of 60 rows wrong in one way and names what must be told; nothing else may be.
"""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug_tabular.data import DATA

ROWS = 60
Cells = dict[str, list[str]]
Told = tuple[int | None, str | None, str]
"""Row, column, kind."""


def sound() -> Cells:
    generator = np.random.Generator(np.random.Philox(key=7))
    return {
        "age": [str(age) for age in generator.integers(18, 80, ROWS)],
        "income": [f"{income:.2f}" for income in generator.normal(3000, 400, ROWS)],
        "job": [("baker", "clerk", "nurse")[kind] for kind in generator.integers(0, 3, ROWS)],
        "since": [
            f"20{10 + day // 28:02d}-{1 + day % 12:02d}-{1 + day % 28:02d}" for day in generator.integers(0, 300, ROWS)
        ],
        "bought": [("no", "yes")[kind] for kind in generator.permutation([0, 1] * (ROWS // 2))],
    }


def text(cells: Cells, separator: str = ",") -> str:
    rows = [separator.join(row) for row in zip(*cells.values(), strict=True)]
    return "\n".join([separator.join(cells), *rows]) + "\n"


def put(column: str, changes: dict[int, str]) -> Callable[[], str]:
    """Other cells in some rows of a column, counted from 1."""

    def make() -> str:
        cells = sound()
        for row, cell in changes.items():
            cells[column][row - 1] = cell
        return text(cells)

    return make


def column(name: str, values: list[str] | None) -> Callable[[], str]:
    """A column more, or another in the place of one; None: without it."""

    def make() -> str:
        cells = sound() | ({} if values is None else {name: values})
        if values is None:
            del cells[name]
        return text(cells)

    return make


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[], str]:
    return lambda: "\n".join(change(text(sound()).splitlines())) + "\n"


def replaced(number: int, line: str) -> Callable[[], str]:
    """Another line in the place of row ``number``."""
    return lines(lambda rows: [*rows[:number], line, *rows[number + 1 :]])


def headed(heading: str) -> Callable[[], str]:
    return lines(lambda rows: [heading, *rows[1:]])


def told(path: Path, **options: Any) -> list[Fault]:
    options = {"target": "bought"} | options
    component = DATA["files"]
    assert component.faults is not None
    return list(component.faults(component.options(path=path, **options), DataContext(None, path.parent, 0)))


def built(path: Path, **options: Any) -> Any:
    options = {"target": "bought"} | options
    return DATA["files"].build(DATA["files"].options(path=path, **options), DataContext(None, path.parent, 0))


MANY = [f"{1000 + row}" for row in range(ROWS)]
SPLIT = ["train"] * 40 + ["val"] * 10 + ["test"] * 10

# name: (content, options, what is told, whether training goes on)
TEXT: dict[str, tuple[Callable[[], str | bytes], dict[str, Any], list[Told], bool]] = {
    "empty-file": (lambda: "", {}, [(None, None, "empty-file")], False),
    "blank-file": (lambda: "\n\n", {}, [(None, None, "empty-file")], False),
    "no-rows": (lambda: "age,bought\n", {}, [(None, None, "no-rows")], False),
    "few-rows": (lambda: "age,income\n1,2\n", {"target": None}, [(None, None, "few-rows")], False),
    "another-format": (lambda: b"PK\x03\x04" + b"\0" * 50, {}, [(None, None, "another-format")], False),
    "utf-16": (lambda: text(sound()).encode("utf-16"), {}, [(None, None, "not-utf-8")], False),
    "latin-1": (lambda: put("job", {5: "café"})().encode("latin-1"), {}, [(5, None, "not-utf-8"), (5, "job", "damaged-characters")], False),
    "byte-order-mark": (lambda: text(sound()).encode("utf-8-sig"), {}, [(None, None, "byte-order-mark")], True),
    "nul-bytes": (put("job", {9: "cl\0erk"}), {}, [(9, None, "nul-bytes")], False),
    "unclosed-quote": (put("job", {12: '"clerk'}), {}, [(12, None, "unclosed-quote")], False),
    "wrong-delimiter": (lambda: text(sound(), ";"), {}, [(None, None, "wrong-delimiter")], False),
    "no-heading": (lambda: "1,2,3\n4,5,6\n7,8,9\n", {}, [(None, None, "no-heading")], False),
    "heading-of-other-width": (headed("age,income,job,since"), {}, [(None, None, "heading-of-other-width")], False),
    "short-row": (replaced(7, "44,3000.0,clerk"), {}, [(7, None, "ragged-row")], False),
    "long-row": (replaced(7, "44,3,000.0,clerk,2011-01-01,no"), {}, [(7, None, "ragged-row")], False),
    "repeated-column": (headed("age,age,job,since,bought"), {}, [(None, "age", "repeated-column")], False),
    "unnamed-column": (headed(",income,job,since,bought"), {}, [(None, None, "unnamed-column")], True),
    "blank-around-name": (headed("age, income,job,since,bought"), {}, [(None, None, "blank-around-name")], True),
    "not-a-number": (put("age", {3: "old", 40: "?x"}), {}, [(3, "age", "not-a-number"), (40, "age", "not-a-number")], False),
    "not-finite": (put("income", {8: "inf", 9: "1e300"}), {}, [(8, "income", "not-finite"), (9, "income", "not-finite")], False),
    "decimal-comma": (put("income", {4: '"3000,5"'}), {}, [(4, "income", "decimal-comma")], False),
    "all-decimal-commas": (
        column("weight", [f'"{50 + row},5"' for row in range(ROWS)]), {},
        [(row, "weight", "decimal-comma") for row in range(1, ROWS + 1)], False,
    ),
    "thousands-separator": (put("income", {4: '"3,000.50"', 6: "1.234.567"}), {}, [(4, "income", "thousands-separator"), (6, "income", "thousands-separator")], False),
    "number-with-unit": (put("income", {4: "3000 €", 5: "$ 12"}), {}, [(4, "income", "number-with-unit"), (5, "income", "number-with-unit")], False),
    "impossible-date": (put("since", {10: "2023-02-30"}), {}, [(10, "since", "impossible-date")], False),
    "date-format": (put("since", {10: "30/11/2023", 11: "3 May 2023"}), {}, [(10, "since", "date-format"), (11, "since", "date-format")], False),
    "not-a-date": (put("since", {10: "soon"}), {}, [(10, "since", "not-a-date")], False),
    "mixed-time-zones": (
        column("at", [f"2024-05-{1 + row % 28:02d} 10:{row:02d}:00{'Z' if row != 20 else ''}" for row in range(ROWS)]), {},
        [(21, "at", "mixed-time-zones")], True,
    ),
    "numbers-as-dates": (lambda: text(sound()), {"types": {"age": "date"}}, [(row, "age", "not-a-date") for row in range(1, ROWS + 1)], False),
    "constant-column": (column("club", ["yes"] * ROWS), {}, [(None, "club", "constant-column")], True),
    "empty-column": (column("club", [""] * ROWS), {}, [(None, "club", "empty-column")], True),
    "row-names": (column("name", [f"person {row}" for row in range(ROWS)]), {}, [(None, "name", "row-names")], True),
    "repeated-id": (
        column("customer_id", [*MANY[:30], MANY[4], *MANY[31:]]), {}, [(31, "customer_id", "repeated-id")], True,
    ),
    "repeated-row": (lines(lambda rows: [*rows[:20], rows[3], *rows[20:]]), {}, [(20, None, "repeated-row")], True),
    "number-for-missing": (put("age", {5: "-999", 50: "-999"}), {}, [(5, "age", "number-for-missing"), (50, "age", "number-for-missing")], True),
    "word-for-missing": (put("job", {5: "unknown", 7: "-"}), {}, [(5, "job", "word-for-missing"), (7, "job", "word-for-missing")], True),
    "categories-alike": (put("job", {6: "Clerk"}), {}, [], True),  # told where "clerk" stands, see below
    "rounded-number": (column("device", [str(2**60 + 97 * row * row) for row in range(ROWS)]), {}, [(row, "device", "rounded-number") for row in range(1, ROWS + 1)], True),
    "leak": (column("paid", [{"no": "0", "yes": "1"}[word] for word in sound()["bought"]]), {}, [(None, "paid", "leak")], False),
    "words-without-order": (lambda: text(sound()), {"types": {"job": "ordinal"}}, [(None, "job", "words-without-order")], False),
    "word-beyond-order": (put("job", {4: "smith"}), {"orders": {"job": ["baker", "clerk", "nurse"]}}, [(4, "job", "word-beyond-order")], False),
    "no-column": (column("age", None), {"types": dict.fromkeys(["income", "job", "since"], "ignore")}, [(None, None, "no-column")], False),
    "empty-target": (column("bought", [""] * ROWS), {}, [(None, "bought", "empty-target")], False),
    "one-class": (column("bought", ["no"] * ROWS), {}, [(None, "bought", "one-class")], False),
    "a-class-a-row": (column("bought", [f"w{row}" for row in range(ROWS)]), {}, [(None, "bought", "a-class-a-row")], False),
    "rare-class": (put("bought", {2: "perhaps"}), {}, [(2, "bought", "rare-class")], True),
    "classes-alike": (column("bought", ["no", "yes", "Yes"] * 20), {}, [(None, "bought", "classes-alike")], True),
    "word-among-labels": (column("bought", ["0"] * 20 + ["1"] * 39 + ["x"]), {}, [(60, "bought", "word-among-labels")], False),
    "not-finite-label": (column("bought", [f"{row}.5" for row in range(59)] + ["inf"]), {}, [(60, "bought", "not-finite-label")], False),
    "constant-target": (column("bought", ["0.5"] * ROWS), {}, [(None, "bought", "constant-target")], False),
    "unknown-part": (column("part", [*SPLIT[:5], "tarin", *SPLIT[6:]]), {"split": {"column": "part"}}, [(6, "part", "unknown-part")], False),
    "empty-part": (column("part", ["train"] * ROWS), {"split": {"column": "part"}}, [(None, "bought", "empty-part")], False),
    "missing-group": (column("who", ["a", "b", "c", ""] * 15), {"split": {"group": "who"}}, [(row, "who", "missing-group") for row in range(4, 61, 4)], False),
    "few-groups": (column("who", ["a", "b"] * 30), {"split": {"group": "who"}}, [(None, "who", "few-groups")], False),
    "missing-time": (put("since", {9: ""}), {"split": {"time": "since"}}, [(9, "since", "missing-time")], False),
    "not-a-time": (put("since", {9: "soon"}), {"split": {"time": "since"}}, [(9, "since", "not-a-time")], False),
}  # fmt: skip
TEXT["categories-alike"] = (
    TEXT["categories-alike"][0], {},
    [(row + 1, "job", "categories-alike") for row, word in enumerate(sound()["job"]) if word == "clerk" and row != 5], True,
)  # fmt: skip


def seen(faults: list[Fault]) -> list[Told]:
    return sorted(((fault.row, fault.column, fault.kind) for fault in faults), key=str)


@pytest.mark.parametrize("case", TEXT)
def test_text(case: str, tmp_path: Path) -> None:
    make, options, expected, harmless = TEXT[case]
    content = make()
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = told(path, **options)
    assert seen(found) == sorted(expected, key=str)
    assert {fault.file for fault in found} == {str(path)}
    assert all(fault.harmless for fault in found) == harmless
    if harmless:
        assert len(built(path, **options).tasks) == ("target" not in options)
        return
    first = next(fault for fault in found if not fault.harmless)
    with pytest.raises(DataError) as refused:
        built(path, **options)
    assert str(refused.value).startswith(str(first))


def test_a_sound_table_has_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text(sound()))
    assert told(path) == []
    assert built(path).description["rows"] == ROWS


def table(**columns: Any) -> pa.Table:
    cells: dict[str, Any] = sound()
    cells["age"] = [int(age) for age in cells["age"]]
    cells["income"] = [float(income) for income in cells["income"]]
    return pa.table({name: values for name, values in (cells | columns).items() if values is not None})


PARQUET: dict[str, tuple[pa.Table, list[Told]]] = {
    "nested-column": (table(age=[[1, 2]] * ROWS), [(None, "age", "nested-column")]),
    "binary-column": (table(age=pa.array([b"x"] * ROWS)), [(None, "age", "nested-column")]),
    "not-finite": (table(income=[1.5, 2.5, float("inf")] + [3.5] * 57), [(3, "income", "not-finite")]),
    "numbers-as-dates": (table(), [(None, "age", "numbers-as-dates")]),
    "repeated-column": (pa.table([*table().columns, table()["age"]], [*table().column_names, "age"]), [(None, "age", "repeated-column")]),
    "no-rows": (table().slice(0, 0), [(None, None, "no-rows")]),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", PARQUET)
def test_parquet(case: str, stream: bool, tmp_path: Path) -> None:
    content, expected = PARQUET[case]
    path = tmp_path / "t.parquet"
    parquet.write_table(content, path, row_group_size=16)
    options = {"types": {"age": "date"}} if case == "numbers-as-dates" else {}
    found = told(path, stream=stream, **options)
    assert [fault for fault in seen(found) if fault[2] != "repeated-row"] == expected
    first = next(fault for fault in found if not fault.harmless)
    with pytest.raises(DataError) as refused:
        built(path, stream=stream, **options)
    assert str(refused.value).startswith(str(first))


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(table(), path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"age,income\n1,2\n"):
        path.write_bytes(content)
        for stream in (False, True):
            assert seen(told(path, stream=stream)) == [(None, None, "unreadable")]
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(text(sound()).encode())[:-30])
    assert seen(told(packed)) == [(None, None, "unreadable")]
    other = tmp_path / "t.xlsx"
    other.write_bytes(b"PK")
    assert seen(told(other)) == [(None, None, "unknown-format")]


def test_several_faults_at_once_are_all_found(tmp_path: Path) -> None:
    cells = sound()
    cells["age"][2], cells["age"][30] = "old", "young"
    cells["income"][4], cells["income"][5] = '"3000,5"', "inf"
    cells["since"][9] = "2023-02-30"
    cells["job"][11] = "unknown"
    cells["club"] = ["yes"] * ROWS
    cells["bought"][1] = "perhaps"
    rows = text(cells).splitlines()
    rows[20] = "1,2"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(rows))
    assert seen(told(path)) == sorted(
        [
            (20, None, "ragged-row"),
            (3, "age", "not-a-number"),
            (31, "age", "not-a-number"),
            (5, "income", "decimal-comma"),
            (6, "income", "not-finite"),
            (10, "since", "impossible-date"),
            (12, "job", "word-for-missing"),
            (None, "club", "constant-column"),
            (2, "bought", "rare-class"),
        ],
        key=str,
    )


def test_every_row_of_a_large_file_is_looked_at_without_holding_it(tmp_path: Path) -> None:
    """A streamed file: the rows beyond those that statistics come from are looked at too, row group by row group."""
    rows, group = 300_000, 20_000
    path = tmp_path / "t.parquet"
    generator = np.random.Generator(np.random.Philox(key=1))
    bad = {17, 250_001, 299_999}
    schema = pa.schema({"a": pa.float64(), "b": pa.string(), "y": pa.int64()})
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, group):
            a = generator.normal(size=group)
            for row in bad:
                if start <= row - 1 < start + group:
                    a[row - 1 - start] = np.inf
            b = [f"{value:.3f}" for value in generator.normal(size=group)]
            writer.write_table(pa.table({"a": a, "b": b, "y": generator.integers(0, 2, group)}, schema))
    tracemalloc.start()
    found = told(path, stream=True, target="y")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen(found) == sorted(((row, "a", "not-finite") for row in bad), key=str)
    assert len(found) == 3
    assert peak < 120e6  # the unpacked columns alone are twice that as words and numbers
