"""Every kind of fault of a user's own events: found with file, row and column, alone and together with others."""

from __future__ import annotations

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
from sslplug_sequence.events.data import DATA

PEOPLE, EACH = 20, 5
EVENTS = PEOPLE * EACH
HEADING = "entity,time,shop,amount"
Told = tuple[str, int | None, str | None, str]
"""File, row, column, kind."""


def events() -> list[list[str]]:
    """Person by person, five events of different days each; sound."""
    draw = np.random.Generator(np.random.Philox(key=5))
    return [
        [
            f"p{row // EACH}",
            f"2024-03-{1 + 3 * (row % EACH):02d} 10:00:00",
            "abc"[draw.integers(3)],
            f"{draw.normal(20, 4):.2f}",
        ]
        for row in range(EVENTS)
    ]


def labels() -> list[list[str]]:
    return [[f"p{person}", ("no", "yes")[person % 2]] for person in range(PEOPLE)]


def written(rows: list[list[str]], heading: str) -> str:
    return "\n".join([heading, *(",".join(row) for row in rows)]) + "\n"


def put(column: int, changes: dict[int, str]) -> Callable[[], str]:
    """Other cells in some rows of a column, rows counted from 1."""

    def make() -> str:
        rows = events()
        for row, cell in changes.items():
            rows[row - 1][column] = cell
        return written(rows, HEADING)

    return make


def column(values: list[str], name: str = "more") -> Callable[[], str]:
    return lambda: written([[*row, value] for row, value in zip(events(), values, strict=True)], f"{HEADING},{name}")


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[], str]:
    return lambda: "\n".join(change(written(events(), HEADING).splitlines())) + "\n"


def row_is(number: int, line: str) -> Callable[[], str]:
    return lines(lambda rows: [*rows[:number], line, *rows[number + 1 :]])


def sound() -> str:
    return written(events(), HEADING)


def swapped() -> str:
    rows = events()
    rows[10], rows[11] = rows[11], rows[10]
    return written(rows, HEADING)


def at(kind: str, name: str | None, *rows: int | None) -> list[Told]:
    return [("events.csv", row, name, kind) for row in rows]


EVERY = tuple(range(1, EVENTS + 1))
PLAIN = {"categories": ["shop"], "numbers": ["amount"]}
# name: (content, data.columns, what is told, whether training goes on)
FAULTS: dict[str, tuple[Callable[[], str | bytes], dict[str, Any], list[Told], bool]] = {
    "empty-file": (lambda: "", {}, at("empty-file", None, None), False),
    "no-events": (lambda: HEADING + "\n", {}, at("no-events", None, None), False),
    "another-format": (lambda: b"PK\x03\x04rest", {}, at("another-format", None, None), False),
    "not-utf-8": (lambda: put(0, {1: "é"})().encode("latin-1"), {}, [*at("not-utf-8", None, 1), *at("damaged-characters", "entity", 1)], False),
    "byte-order-mark": (lambda: sound().encode("utf-8-sig"), {}, at("byte-order-mark", None, None), True),
    "wrong-delimiter": (lambda: sound().replace(",", ";"), {}, at("wrong-delimiter", None, None), False),
    "no-heading": (lambda: "1,2\n3,4\n", {}, at("no-heading", None, None), False),
    "ragged-row": (row_is(17, "p3,2024-03-04 10:00:00,a"), {}, at("ragged-row", None, 17), False),
    "unclosed-quote": (put(2, {12: '"a'}), {}, at("unclosed-quote", None, 12), False),
    "repeated-column": (lines(lambda rows: ["entity,time,shop,shop", *rows[1:]]), {}, at("repeated-column", "shop", None), False),
    "missing-column": (lines(lambda rows: ["who,time,shop,amount", *rows[1:]]), {}, [*at("missing-column", "entity", None), *at("missing-columns", None, None)], False),
    "missing-entity": (put(0, {3: "", 4: " "}), {}, [*at("missing-id", "entity", 3, 4), *at("blank-around-id", "entity", 4)], False),
    "blank-around-id": (put(0, {3: "p0 "}), {}, at("blank-around-id", "entity", 3), True),
    "missing-time": (put(1, {3: "", 8: "NaN"}), {}, at("missing-time", "time", 3, 8), False),
    "not-a-time": (put(1, {3: "soon", 8: "31/12/2024"}), {}, at("not-a-time", "time", 3, 8), False),
    "impossible-date": (put(1, {3: "2024-02-30 10:00:00"}), {}, at("not-a-time", "time", 3), False),
    "number-among-dates": (put(1, {3: "1710000000"}), {}, at("not-a-time", "time", 3), False),
    "infinite-time": (lambda: written([[row[0], "inf" if k == 6 else str(k), *row[2:]] for k, row in enumerate(events())], HEADING), {}, at("not-finite", "time", 7), False),
    "future-time": (put(1, {5: "2999-12-31 00:00:00"}), {}, at("future-time", "time", 5), True),
    "zero-time": (put(1, {1: "1970-01-01 00:00:00"}), {}, at("zero-time", "time", 1), True),
    "negative-time": (lambda: written([[row[0], "-1" if k == 5 else str(k), *row[2:]] for k, row in enumerate(events())], HEADING), {}, at("negative-time", "time", 6), True),
    "late-event": (swapped, {}, at("late-event", "time", 12), True),
    "simultaneous-event": (put(1, {2: "2024-03-01 10:00:00"}), {}, at("simultaneous-event", "time", 2), True),
    "repeated-event": (lines(lambda rows: [*rows[:5], rows[4], *rows[5:]]), {}, at("repeated-event", "time", 5), True),
    "few-events": (lines(lambda rows: [*rows, "p99,2024-03-01 10:00:00,a,20.0"]), {}, at("few-events", "entity", 101), True),
    "many-events": (lambda: written([["p0", *row[1:]] if k < 40 else row for k, row in enumerate(
        [[r[0], str(k), *r[2:]] for k, r in enumerate(events())])], HEADING), {}, at("many-events", "entity", 1), True),
    "not-a-number": (put(3, {9: "much"}), {}, at("not-a-number", "amount", 9), False),
    "decimal-comma": (put(3, {9: '"20,5"'}), {}, at("decimal-comma", "amount", 9), False),
    "number-with-unit": (put(3, {9: "20 EUR"}), {}, at("number-with-unit", "amount", 9), False),
    "not-finite": (put(3, {9: "-inf"}), {}, at("not-finite", "amount", 9), False),
    "too-large": (put(3, {9: "1e300"}), {}, at("too-large", "amount", 9), False),
    "words-for-numbers": (sound, {"numbers": ["shop"]}, [*at("words-for-numbers", "shop", None), *at("empty-field", "shop", None)], False),
    "number-for-missing": (put(3, {9: "-9999"}), {}, at("number-for-missing", "amount", 9), True),
    "constant-field": (column(["x"] * EVENTS), {}, at("constant-field", "more", None), True),
    "constant-number": (column(["7"] * EVENTS), {}, at("constant-field", "more", None), True),
    "empty-field": (column([""] * EVENTS), {}, at("empty-field", "more", None), True),
    "names-of-events": (column([f"t{k}" for k in range(EVENTS)]), {}, at("names-of-events", "more", None), True),
    "word-for-missing": (put(2, {9: "unknown", 30: "-"}), {}, at("word-for-missing", "shop", 9, 30), True),
    "categories-alike": (column(["ab", "cd"] * 49 + ["ab", "Cd"]), {}, at("categories-alike", "more", *range(2, 99, 2)), True),
}  # fmt: skip


def data(folder: Path, **options: Any) -> tuple[Any, DataContext]:
    given = {"path": folder / "events.csv", "longest": 30} | options
    return DATA["files"].options(**given), DataContext(None, folder / "cache", 0)


def told(folder: Path, **options: Any) -> list[Fault]:
    faults = DATA["files"].faults
    assert faults is not None
    return list(faults(*data(folder, **options)))


def seen(faults: list[Fault]) -> list[Told]:
    return sorted(((Path(fault.file).name, fault.row, fault.column, fault.kind) for fault in faults), key=str)


def holds(folder: Path, found: list[Fault], expected: list[Told], harmless: bool, **options: Any) -> None:
    """The faults are those expected; training goes on, or refuses with the first that is not harmless."""
    assert seen(found) == sorted(expected, key=str)
    assert all(fault.harmless for fault in found) == harmless
    if harmless:
        DATA["files"].build(*data(folder, **options))
        return
    first = next(fault for fault in found if not fault.harmless)
    with pytest.raises(DataError) as refused:
        DATA["files"].build(*data(folder, **options))
    assert str(refused.value).startswith(str(first))


@pytest.mark.parametrize("case", FAULTS)
def test_events(case: str, tmp_path: Path) -> None:
    make, columns, expected, harmless = FAULTS[case]
    content = make()
    (tmp_path / "events.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    holds(tmp_path, told(tmp_path, columns=columns), expected, harmless, columns=columns)


def renamed(changes: dict[int, list[str]]) -> Callable[[], str]:
    """Other rows in the label table, counted from 1; behind the last they are added."""

    def make() -> str:
        rows = labels()
        for row, cells in changes.items():
            rows[row - 1 : row] = [cells]
        return written(rows, "entity,label")

    return make


LABELS: dict[str, tuple[Callable[[], str], dict[str, Any], list[Told], bool]] = {
    "missing-column": (lambda: written(labels(), "entity,outcome"), {}, [("labels.csv", None, "label", "missing-column"), ("labels.csv", None, None, "missing-columns")], False),
    "no-rows": (lambda: "entity,label\n", {}, [("labels.csv", None, None, "no-rows")], False),
    "missing-id": (renamed({4: ["", "yes"]}), {}, [("labels.csv", 4, "entity", "missing-id")], False),
    "conflicting-label": (renamed({21: ["p3", "no"]}), {}, [("labels.csv", 21, "label", "conflicting-label")], False),
    "repeated-label": (renamed({21: ["p3", "yes"]}), {}, [("labels.csv", 21, "label", "repeated-label")], True),
    "label-without-event": (renamed({21: ["p77", "yes"]}), {}, [("labels.csv", 21, "entity", "label-without-event")], True),
    "one-class": (lambda: written([[name, "yes"] for name, _ in labels()], "entity,label"), {}, [("labels.csv", None, "label", "one-class")], False),
    "a-class-a-row": (lambda: written([[name, name] for name, _ in labels()], "entity,label"), {}, [("labels.csv", None, "label", "a-class-a-row")], False),
    "few-of-a-class": (renamed({2: ["p1", "perhaps"], 4: ["p3", "perhaps"], 6: ["p5", "perhaps"]}), {"folds": 5}, [("labels.csv", None, "label", "few-of-a-class")], False),
    "classes-alike": (renamed({k: [f"p{k - 1}", "Yes"] for k in (2, 4, 6, 8, 10)}), {}, [("labels.csv", None, "label", "classes-alike")], True),
    "label-reads-missing": (renamed({k: [f"p{k - 1}", "NA"] for k in (2, 4, 6, 8, 10)}), {}, [("labels.csv", k, "label", "label-reads-missing") for k in (2, 4, 6, 8, 10)], True),
    "not-a-number": (lambda: written([[name, "high" if name == "p4" else name[1:]] for name, _ in labels()], "entity,label"), {"kind": "regression"}, [("labels.csv", 5, "label", "not-a-number")], False),
    "empty-labels": (lambda: written([[name, ""] for name, _ in labels()], "entity,label"), {"kind": "regression"}, [("labels.csv", None, "label", "empty-labels")], False),
}  # fmt: skip


@pytest.mark.parametrize("case", LABELS)
def test_labels(case: str, tmp_path: Path) -> None:
    make, options, expected, harmless = LABELS[case]
    (tmp_path / "events.csv").write_text(sound())
    (tmp_path / "labels.csv").write_text(make())
    options = {"labels": tmp_path / "labels.csv", "folds": 2, "test_share": 0.2} | options
    holds(tmp_path, told(tmp_path, **options), expected, harmless, **options)


def test_sound_files_have_no_fault(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(sound())
    (tmp_path / "labels.csv").write_text(written(labels(), "entity,label"))
    options = {"labels": tmp_path / "labels.csv", "folds": 2, "test_share": 0.2}
    holds(tmp_path, told(tmp_path, **options), [], True, **options)


def test_several_faults_at_once_in_both_files(tmp_path: Path) -> None:
    rows = events()
    rows[2][0], rows[6][1], rows[8][3], rows[9][3] = "", "soon", "much", "inf"
    rows[20], rows[21] = rows[21], rows[20]
    lines = written(rows, HEADING).splitlines()
    lines[40] = "p7,2024-03-01"
    (tmp_path / "events.csv").write_text("\n".join(lines))
    (tmp_path / "labels.csv").write_text(renamed({21: ["p3", "no"], 22: ["p77", "yes"]})())
    assert seen(told(tmp_path, labels=tmp_path / "labels.csv", folds=2, test_share=0.2)) == sorted(
        [
            *at("ragged-row", None, 40),
            *at("missing-id", "entity", 3),
            *at("not-a-time", "time", 7),
            *at("not-a-number", "amount", 9),
            *at("not-finite", "amount", 10),
            *at("late-event", "time", 22),
            ("labels.csv", 21, "label", "conflicting-label"),
            ("labels.csv", 22, "entity", "label-without-event"),
        ],
        key=str,
    )


def test_damaged_and_unknown_files(tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    parquet.write_table(pa.table({"entity": ["a"] * 9, "time": range(9), "x": [[1]] * 9}), file)
    assert seen(told(tmp_path, path=file)) == [("events.parquet", None, "x", "nested-column")]
    whole = file.read_bytes()
    for content in (whole[:-40], b"entity,time\na,1\n"):
        file.write_bytes(content)
        assert seen(told(tmp_path, path=file)) == [("events.parquet", None, None, "unreadable")]
    (tmp_path / "events.txt").write_text("")
    assert seen(told(tmp_path, path=tmp_path / "events.txt")) == [("events.txt", None, None, "unknown-format")]
    assert seen(told(tmp_path, path=tmp_path / "none.csv")) == [("none.csv", None, None, "no-file")]


def test_a_large_file_is_read_in_pieces_and_every_row_of_it_looked_at(tmp_path: Path) -> None:
    rows = 300_000
    draw = np.random.default_rng(0)
    owner, amount = np.sort(draw.integers(0, 5000, rows)), draw.normal(size=rows).round(4).astype(str)
    bad = [5, 150_000, rows - 1]
    amount[bad] = "much"
    shop = np.array(["a", "b", "c"])[draw.integers(0, 3, rows)]
    note = "x" * 60
    with (tmp_path / "events.csv").open("w") as file:
        file.write("entity,time,shop,amount,note\n")
        file.writelines(f"p{p},{k},{s},{a},{note}\n" for k, (p, s, a) in enumerate(zip(owner, shop, amount, strict=True)))
    size = (tmp_path / "events.csv").stat().st_size
    tracemalloc.start()
    found = told(tmp_path, on_disk=True, columns={"categories": ["shop"], "numbers": ["amount"]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [fault.row for fault in found if fault.kind == "not-a-number"] == [row + 1 for row in bad]
    assert size > 24e6
    assert peak < 90e6  # pieces of 16 MiB, and whose an event is, when, and in which row
