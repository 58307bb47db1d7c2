"""Every kind of fault of a user's own signals: found with file, row and column, alone and together with others."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug_sequence.signals.data import DATA

PEOPLE, SECONDS, RATE = 4, 20, 10
EACH = SECONDS * RATE
HEADING = "subject,device,time,ax,ay,az,label"
WHOLE: dict[str, Any] = {"window": 2.0, "overlap": 0.0}
"""Windows of one activity each, unless a case says otherwise."""
Told = tuple[str, int | None, str | None, str]
"""File, row, column, kind."""


def samples(devices: tuple[str, ...] = ("wrist",)) -> list[list[str]]:
    """Person by person and device by device, 20 s at 10 Hz in g, the class changes half way; sound."""
    draw = np.random.Generator(np.random.Philox(key=11))
    rows = []
    for person in range(PEOPLE):
        for device in devices:
            for tick in range(EACH):
                x, y, z = draw.normal([0, 0, 1], 0.2).round(4)
                label = "rest" if tick < EACH // 2 else "walk"
                rows.append([f"p{person}", device, f"{tick / RATE:.2f}", str(x), str(y), str(z), label])
    return rows


def written(rows: list[list[str]], heading: str = HEADING) -> str:
    return "\n".join([heading, *(",".join(row) for row in rows)]) + "\n"


def put(column: int, changes: dict[int, str]) -> Callable[[], str]:
    """Other cells in some rows of a column, rows counted from 1."""

    def make() -> str:
        rows = samples()
        for row, cell in changes.items():
            rows[row - 1][column] = cell
        return written(rows)

    return make


def rows(change: Callable[[list[list[str]]], list[list[str]]]) -> Callable[[], str]:
    return lambda: written(change(samples()))


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[], str]:
    return lambda: "\n".join(change(written(samples()).splitlines())) + "\n"


def each(change: Callable[[int, list[str]], list[str]]) -> Callable[[], str]:
    """Every row changed by its number, counted from 1."""
    return rows(lambda made: [change(number, row) for number, row in enumerate(made, 1)])


def times(number: int, row: list[str], factor: float) -> list[str]:
    """The channels of the second person in another unit."""
    return [*row[:3], *(f"{factor * float(cell):.4f}" for cell in row[3:6]), row[6]] if row[0] == "p1" else row


def two(clock: float) -> str:
    """Two devices of each person, the clock of the second one ahead."""
    made = samples(("ankle", "wrist"))
    for row in made:
        if row[1] == "wrist":
            row[2] = f"{float(row[2]) + clock:.2f}"
    return written(made)


def at(kind: str, column: str | None, *numbers: int | None) -> list[Told]:
    return [("own.csv", number, column, kind) for number in numbers]


# name: (content, options, what is told, whether training goes on)
FAULTS: dict[str, tuple[Callable[[], str | bytes], dict[str, Any], list[Told], bool]] = {
    "empty-file": (lambda: "", {}, at("empty-file", None, None), False),
    "no-rows": (lambda: HEADING + "\n", {}, at("no-rows", None, None), False),
    "another-format": (lambda: b"PK\x03\x04rest", {}, at("another-format", None, None), False),
    "not-utf-8": (lambda: put(6, {5: "géant"})().encode("latin-1"), {}, [*at("not-utf-8", None, 5), *at("rare-class", "label", None)], False),
    "byte-order-mark": (lambda: written(samples()).encode("utf-8-sig"), {}, at("byte-order-mark", None, None), True),
    "wrong-delimiter": (lambda: written(samples()).replace(",", ";"), {}, at("wrong-delimiter", None, None), False),
    "no-heading": (lambda: "1,2,3\n4,5,6\n", {}, at("no-heading", None, None), False),
    "ragged-row": (lines(lambda made: [*made[:7], "p0,wrist,0.6", *made[8:]]), {}, at("ragged-row", None, 7), False),
    "repeated-column": (lines(lambda made: [HEADING.replace("ay", "ax"), *made[1:]]), {}, at("repeated-column", "ax", None), False),
    "missing-column": (lines(lambda made: [HEADING.replace("time", "t"), *made[1:]]), {}, [*at("missing-column", "time", None), *at("missing-columns", None, None)], False),
    "no-channel": (lambda: written([row[:3] + row[6:] for row in samples()], "subject,device,time,label"), {}, at("no-channel", None, None), False),
    "unknown-factor": (lambda: written(samples()), {"factors": {"gx": 2.0}}, at("unknown-factor", None, None), False),
    "missing-subject": (put(0, {9: ""}), {}, at("missing-id", "subject", 9), False),
    "missing-device": (put(1, {9: ""}), {}, at("missing-id", "device", 9), False),
    "missing-time": (put(2, {9: ""}), {}, at("missing-time", "time", 9), False),
    "not-a-time": (put(2, {9: "noon"}), {}, at("not-a-number", "time", 9), False),
    "infinite-time": (put(2, {9: "inf"}), {}, at("not-finite", "time", 9), False),
    "words-for-numbers": (each(lambda number, row: [*row[:3], "fast", *row[4:]]), {}, [*at("words-for-numbers", "ax", None), *at("empty-recording", None, *(1 + EACH * k for k in range(PEOPLE))), *at("missing-sample", None, *range(1, PEOPLE * EACH + 1)), *at("no-recording", None, None)], False),
    "not-a-number": (put(3, {9: "fast"}), {}, [*at("not-a-number", "ax", 9), *at("missing-sample", None, 9)], False),
    "decimal-comma": (put(3, {9: '"0,25"'}), {}, [*at("decimal-comma", "ax", 9), *at("missing-sample", None, 9)], False),
    "number-with-unit": (put(3, {9: "0.25 g"}), {}, [*at("number-with-unit", "ax", 9), *at("missing-sample", None, 9)], False),
    "not-finite": (put(4, {12: "-inf"}), {}, [*at("not-finite", "ay", 12), *at("missing-sample", None, 12)], False),
    "missing-sample": (put(4, {12: "", 300: "NaN"}), {}, at("missing-sample", None, 12, 300), True),
    "late-sample": (rows(lambda made: [*made[:30], made[31], made[30], *made[32:]]), {}, at("late-sample", "time", 32), True),
    "repeated-sample": (rows(lambda made: [*made[:30], made[29], *made[30:]]), {}, at("repeated-sample", None, 31), True),
    "conflicting-sample": (rows(lambda made: [*made[:30], [*made[29][:3], "5", *made[29][4:]], *made[30:]]), {}, at("conflicting-sample", "time", 31), False),
    "gap": (rows(lambda made: [*made[:50], *made[70:]]), {}, at("gap", "time", 51), True),
    "short-recording": (rows(lambda made: [*made, *[["p9", *row[1:]] for row in made[:15]]]), {}, at("short-recording", "time", 801), True),
    "too-short": (lambda: written(samples()), {"window": 60.0}, at("too-short", None, None), False),
    "few-samples": (lambda: written(samples()), {"window": 0.2}, at("few-samples", "time", None), False),
    "one-sample": (lambda: written([[f"p{k}", *row[1:]] for k, row in enumerate(samples())]), {}, at("one-sample", None, None), False),
    "resampled": (lambda: written(samples()), {"rate": 12.0}, at("resampled", "time", None), True),
    "other-rate": (rows(lambda made: [row for number, row in enumerate(made) if row[0] != "p2" or number % 2]), {}, at("other-rate", "time", 401), True),
    "strange-rate": (lambda: written(samples()), {"time_unit": "ms", "window": 0.002}, at("strange-rate", "time", None), True),
    "uneven-steps": (each(lambda number, row: [*row[:2], f"{float(row[2]) + (0.07 if row[0] == 'p1' and number % 3 == 0 else 0):.2f}", *row[3:]]), {}, at("uneven-steps", "time", 201), True),
    "devices-out-of-step": (lambda: two(1000.0), {}, at("devices-out-of-step", "time", 1), False),
    "other-unit": (each(lambda number, row: times(number, row, 9.80665)), {}, at("other-unit", "ax", 201), True),
    "stuck-sensor": (rows(lambda made: [*made[:60], *[[*row[:3], *made[60][3:6], row[6]] for row in made[60:85]], *made[85:]]), {}, at("stuck-sensor", None, 61), True),
    "flat-channel": (each(lambda number, row: [*row[:5], "1.0", row[6]]), {}, at("flat-channel", "az", None), True),
    "saturated": (each(lambda number, row: [*row[:3], str(min(float(row[3]), 0.2) if row[0] == "p0" else row[3]), *row[4:]]), {}, at("saturated", "ax", 4), True),
    "one-class": (each(lambda number, row: [*row[:6], "walk"]), {}, at("one-class", "label", None), False),
    "empty-labels": (each(lambda number, row: [*row[:6], ""]), {}, at("empty-labels", "label", None), True),
    "fractional-label": (each(lambda number, row: [*row[:6], "0.5" if number == 3 else "1"]), {}, at("fractional-label", "label", 3), False),
    "classes-alike": (put(6, dict.fromkeys(range(1, 101), "Walk")), {}, at("classes-alike", "label", None), True),
    "label-reads-missing": (put(6, {4: "none"}), {}, at("label-reads-missing", "label", 4), True),
    "mixed-window": (lambda: written(samples()), {"window": 6.0}, at("mixed-window", None, None), True),
    "one-subject": (each(lambda number, row: ["p0", row[1], f"{number / RATE:.2f}", *row[3:]]), {}, at("one-subject", "subject", None), False),
}  # fmt: skip


def data(path: Path, **options: Any) -> tuple[Any, DataContext]:
    return DATA["files"].options(**{"path": path} | options), DataContext(None, path.parent, 0)


def told(path: Path, **options: Any) -> list[Fault]:
    faults = DATA["files"].faults
    assert faults is not None
    return list(faults(*data(path, **options)))


def seen(faults: list[Fault]) -> list[Told]:
    return sorted(((Path(fault.file).name, fault.row, fault.column, fault.kind) for fault in faults), key=str)


def holds(path: Path, expected: list[Told], harmless: bool, **options: Any) -> None:
    """The faults are those expected; training goes on, or refuses with the first that is not harmless."""
    found = told(path, **options)
    assert seen(found) == sorted(expected, key=str)
    assert all(fault.harmless for fault in found) == harmless
    if harmless:
        DATA["files"].build(*data(path, **options))
        return
    first = next(fault for fault in found if not fault.harmless)
    with pytest.raises(DataError) as refused:
        DATA["files"].build(*data(path, **options))
    if first.kind != "one-subject":  # the split says it in its own words
        assert str(refused.value).startswith(str(first))


@pytest.mark.parametrize("case", FAULTS)
def test_long_tables(case: str, tmp_path: Path) -> None:
    make, options, expected, harmless = FAULTS[case]
    content = make()
    path = tmp_path / "own.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if case == "label-reads-missing":
        expected = [*expected, *at("rare-class", "label", None)]
    options = WHOLE | options
    holds(path, expected, harmless, **options)


def test_a_sound_table_has_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(two(0.0))
    holds(path, [], True, **WHOLE)


def test_some_devices_out_of_step_are_harmless(tmp_path: Path) -> None:
    made = samples(("ankle", "wrist"))
    for row in made:
        if row[0] == "p2" and row[1] == "wrist":
            row[2] = f"{float(row[2]) + 500:.2f}"
    path = tmp_path / "own.csv"
    path.write_text(written(made))
    holds(path, at("devices-out-of-step", "time", 801), True, **WHOLE)


def arrays(**parts: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "values": np.random.default_rng(0).normal(size=(12, 3, 30)),
        "subjects": np.array(["a", "b", "c"] * 4),
        "labels": np.arange(12) % 2,
    }
    return {name: array for name, array in {**made, **parts}.items() if array is not None}


def spoilt(row: int, value: Any) -> np.ndarray:
    values = arrays()["values"].copy()
    values[row] = value
    return values


def npz(kind: str, column: str | None, *numbers: int | None) -> list[Told]:
    return [("own.npz", number, column, kind) for number in numbers]


HOLE = spoilt(4, np.nan)
ARRAYS: dict[str, tuple[dict[str, Any], dict[str, Any], list[Told], bool]] = {
    "missing-array": ({"values": None}, {}, npz("missing-array", None, None), False),
    "unknown-array": ({"speed": np.zeros(12)}, {}, npz("unknown-array", None, None), False),
    "wrong-shape": ({"values": np.zeros((2, 2, 2, 2, 2))}, {}, npz("wrong-shape", None, None), False),
    "words": ({"values": np.array([["a"]])}, {}, npz("wrong-shape", None, None), False),
    "turned-axes": ({"values": arrays()["values"].swapaxes(1, 2)}, {}, npz("turned-axes", None, None), False),
    "turned-axes with names": ({"values": arrays()["values"].swapaxes(1, 2)}, {"columns": {"channels": ["x", "y", "z"]}}, npz("turned-axes", None, None), True),
    "channel-count": ({}, {"columns": {"channels": ["x", "y"]}}, npz("channel-count", None, None), False),
    "other-length": ({"subjects": np.array(["a"])}, {}, [*npz("other-length", None, None), *npz("no-subjects", None, None)], False),
    "length-out-of-range": ({"lengths": np.array([30] * 10 + [31, 0])}, {}, npz("length-out-of-range", "lengths", 11, 12), False),
    "not-finite": ({"values": HOLE}, {}, [*(("own.npz", 5, f"channel {c}", "not-finite") for c in range(3)), *npz("flat-window", None, 5)], False),
    "missing-id": ({"subjects": np.array(["a", "b", ""] * 4)}, {}, npz("missing-id", "subjects", 3, 6, 9, 12), False),
    "no-subjects": ({"subjects": None}, {}, npz("no-subjects", None, None), True),
    "flat-window": ({"values": spoilt(7, 1.0)}, {}, npz("flat-window", None, 8), True),
    "repeated-window": ({"values": spoilt(7, arrays()["values"][2])}, {}, npz("repeated-window", None, 8), True),
    "fractional-label": ({"labels": np.array([0.0, 1.0] * 5 + [0.5, 1.0])}, {}, npz("fractional-label", "labels", 11), False),
    "one-class": ({"labels": np.zeros(12, int)}, {}, npz("one-class", "labels", None), False),
    "one-subject": ({"subjects": np.array(["a"] * 12)}, {}, npz("one-subject", "subject", None), False),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(case: str, tmp_path: Path) -> None:
    parts, options, expected, harmless = ARRAYS[case]
    path = tmp_path / "own.npz"
    np.savez(path, **arrays(**parts))
    holds(path, expected, harmless, **options)


TS = """@timeStamps false
@classLabel true up down
@data
1,2,3,4:0,0,0,1:up
4,3,2,1:1,0,0,0:down
1,2,3:0,0,1:up
3,2,1,0,-1:1,1,0,0,0:down
2,2,1,0,-1:1,1,0,0,0:down
1,1,2,3:0,0,1,1:up
2,1,2,3:0,0,1,1:up
0,1,0,0:0,1,1,0:down
"""
SERIES: dict[str, tuple[str, str, list[tuple[int | None, str | None, str]]]] = {
    "no-data-line": ("@data", "data", [(None, None, "no-data-line")]),
    "time-stamps": ("@timeStamps false", "@timeStamps true", [(None, None, "time-stamps")]),
    "missing-value": ("4,3,2,1:", "4,?,2,1:", [(2, "dimension 0", "missing-value")]),
    "not-a-number": ("4,3,2,1:", "4,x,2,1:", [(2, "dimension 0", "not-a-number")]),
    "not-finite": ("4,3,2,1:", "4,nan,2,1:", [(2, "dimension 0", "not-finite")]),
    "unequal-dimensions": ("4,3,2,1:", "4,3,2:", [(2, None, "unequal-dimensions")]),
    "dimension-count": ("1,2,3:0,0,1:up", "1,2,3:up", [(3, None, "dimension-count")]),
    "unknown-class": ("1,2,3:0,0,1:up", "1,2,3:0,0,1:left", [(3, None, "unknown-class")]),
    "no-rows": (TS[TS.index("1,2,3,4") :], "", [(None, None, "no-rows")]),
}


@pytest.mark.parametrize("case", SERIES)
def test_series(case: str, tmp_path: Path) -> None:
    old, new, expected = SERIES[case]
    path = tmp_path / "own.ts"
    path.write_text(TS.replace(old, new))
    holds(path, [("own.ts", *fault) for fault in expected], False, val_share=0)


def test_several_faults_at_once(tmp_path: Path) -> None:
    made = samples()
    made[8][0], made[40][2], made[99][3] = "", "noon", "fast"
    made[300][4] = "inf"
    made[210], made[211] = made[211], made[210]
    made.append([*made[29][:3], "5", *made[29][4:]])
    made = [*made[:500], *made[530:]]
    rows = written(made).splitlines()
    rows[150] = "p0,wrist"
    path = tmp_path / "own.csv"
    path.write_text("\n".join(rows))
    assert seen(told(path, **WHOLE)) == sorted(
        [
            *at("missing-id", "subject", 9),
            *at("not-a-number", "time", 41),
            *at("not-a-number", "ax", 100),
            *at("not-finite", "ay", 301),
            *at("missing-sample", None, 100, 301),
            *at("late-sample", "time", 212),
            *at("conflicting-sample", "time", 771),
            *at("ragged-row", None, 150),
            *at("gap", "time", 501),
        ],
        key=str,
    )


def test_damaged_and_unknown_files(tmp_path: Path) -> None:
    columns = list(zip(*samples(), strict=True))
    table = pa.table({name: list(column) for name, column in zip(HEADING.split(","), columns, strict=True)})
    path = tmp_path / "own.parquet"
    parquet.write_table(table, path)
    whole = path.read_bytes()
    for content in (whole[:-50], b"subject,time\n"):
        path.write_bytes(content)
        assert seen(told(path)) == [("own.parquet", None, None, "unreadable")]
    for name, content, kind in (
        ("own.npz", b"nonsense", "no-archive"),
        ("own.ts.xz", lzma.compress(TS.encode())[:-9], "damaged-packing"),
    ):
        (tmp_path / name).write_bytes(content)
        assert seen(told(tmp_path / name)) == [(name, None, None, kind)]
    (tmp_path / "own.txt").write_text("x")
    assert seen(told(tmp_path / "own.txt")) == [("own.txt", None, None, "unknown-format")]
    assert seen(told(tmp_path / "none.csv")) == [("none.csv", None, None, "no-file")]
    (tmp_path / "Own_TRAIN.ts").write_text(TS)
    for content, kind in (
        ("@classLabel true up down\n@data\n1,2:up\n", "dimension-count"),
        ("@data\n1,2:3,4\n", "missing-classes"),
    ):
        (tmp_path / "Own_TEST.ts").write_text(content)
        assert seen(told(tmp_path / "Own_TRAIN.ts")) == [("Own_TEST.ts", None, None, kind)]
