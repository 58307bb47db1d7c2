"""A user's own signals: what is read, what is mended and said, what is refused and in which words."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from sslplug.contracts import DataContext
from sslplug.errors import DataError, SslplugError, UsageError
from sslplug_sequence.signals.data import DATA
from sslplug_sequence.signals.data.signal_data import SignalData

Columns = dict[str, list[Any]]


def build(path: Path, **options: Any) -> SignalData:
    context = DataContext(path.parent, path.parent / "cache", 0)
    made: SignalData = DATA["files"].build(DATA["files"].options(path=path, scaling="none", **options), context)
    return made


def write(tmp: Path, columns: Columns, kind: str = "parquet") -> Path:
    table, path = pa.table(columns), tmp / f"own.{kind}"
    (pyarrow.parquet.write_table if kind == "parquet" else pyarrow.csv.write_csv)(table, path)
    return path


def long_table(subjects: int = 3, seconds: float = 20.0, rate: float = 10.0, devices: tuple[str, ...] = ("arm",)) -> Columns:
    """Channel x is the time, y the subject's number: a value says where it is from. The class changes half way."""
    made: Columns = {name: [] for name in ("subject", "device", "time", "x", "y", "z", "label")}
    for subject in range(subjects):
        for device in devices:
            for tick in range(int(seconds * rate) + 1):
                time = tick / rate
                row = (f"p{subject}", device, time, time, float(subject), 0.5, "walk" if time < seconds / 2 else "rest")
                for name, value in zip(made, row, strict=True):
                    made[name].append(value)
    return made


def notes(data: SignalData) -> str:
    return "; ".join(data.description["notes"])


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_long_table_becomes_windows(tmp_path: Path, kind: str) -> None:
    data = build(write(tmp_path, long_table(), kind), window=4.0, overlap=0.5)
    assert data.spec.channels == ("x", "y", "z")
    assert data.spec.rate == 10.0
    assert data.spec.length == 40
    assert data.values.shape == (3 * 9, 1, 3, 40)
    for window in range(27):
        start = 2.0 * (window % 9)
        np.testing.assert_allclose(data.values[window, 0, 0], start + np.arange(40) / 10, atol=1e-5)
        assert (data.values[window, 0, 1] == window // 9).all()
    task = data.tasks["activity"]
    assert task.classes == ("rest", "walk")
    wanted = [1, 1, 1, 1, -1, 0, 0, 0, 0]  # the fifth window is half and half: below 75 % agreement
    assert task.labels.tolist() == wanted * 3
    assert task.groups is not None
    assert task.groups.tolist() == [f"p{k // 9}" for k in range(27)]
    assert "3 windows in which no class has 75%" in notes(data)


def test_resampling_is_linear_and_said(tmp_path: Path) -> None:
    data = build(write(tmp_path, long_table(rate=12.5)), rate=10.0)
    np.testing.assert_allclose(data.values[1, 0, 0], 2.0 + np.arange(40) / 10, atol=1e-5)
    assert "resampled from about 12.5 Hz to 10 Hz" in notes(data)


@pytest.mark.parametrize(("unit", "factor"), [("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_units_of_time(tmp_path: Path, unit: str, factor: float) -> None:
    table = long_table()
    plain = build(write(tmp_path, table)).values
    table["time"] = [int(t * factor) for t in table["time"]]
    np.testing.assert_allclose(build(write(tmp_path, table), time_unit=unit).values, plain, atol=1e-4)


def test_time_stamps_need_no_unit(tmp_path: Path) -> None:
    table = long_table()
    plain = build(write(tmp_path, table)).values
    columns: dict[str, Any] = dict(table)
    columns["time"] = pa.array([int(t * 1e3) for t in table["time"]], pa.timestamp("ms"))
    np.testing.assert_allclose(build(write(tmp_path, columns)).values, plain, atol=1e-4)


def test_factors_and_clipping(tmp_path: Path) -> None:
    data = build(write(tmp_path, long_table()), factors={"y": 9.81}, clip=15.0)
    assert data.values[:, 0, 1].max() == pytest.approx(15.0)
    assert data.values[9, 0, 1].max() == pytest.approx(9.81)
    assert "cut off at +-15" in notes(data)


def test_rows_out_of_order_and_repeated_are_mended_and_said(tmp_path: Path) -> None:
    table = long_table()
    plain = build(write(tmp_path, table)).values
    order = np.random.default_rng(0).permutation(len(table["time"])).tolist()
    order += order[:5]
    data = build(write(tmp_path, {name: [column[k] for k in order] for name, column in table.items()}))
    np.testing.assert_array_equal(data.values, plain)
    assert "They are sorted by time." in notes(data)
    assert "It is dropped. (5 such rows)" in notes(data)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_short_nan_stretches_are_bridged_and_long_ones_end_windows(tmp_path: Path, kind: str) -> None:
    table = long_table(subjects=2)
    table["y"][50] = None  # one sample of p0: bridged
    for row in range(201 + 100, 201 + 130):  # three seconds of p1
        table["y"][row] = None
    data = build(write(tmp_path, table, kind))
    assert "row 51: found an empty or NaN channel (subject p0, time 5 s)" in notes(data)
    assert "(31 such rows)" in notes(data)
    assert "row 332, column 'time': found a pause of 3.1 s (subject p1, device 'arm')" in notes(data)
    starts = data.values[:, 0, 0, 0].round().tolist()
    assert starts[:9] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert starts[9:] == [0, 2, 4, 6, 14, 16]
    assert np.isfinite(data.values).all()
    bridged = build(write(tmp_path, table, kind), gap=5.0)
    assert len(bridged.values) == 18


def test_devices_at_other_instants_are_brought_in_step(tmp_path: Path) -> None:
    table = long_table(subjects=2, devices=("arm", "leg"))
    for row, device in enumerate(table["device"]):
        if device == "leg":  # samples lie between the ticks, and the device starts 5 s late
            table["time"][row] += 5.03
            table["x"][row] += 5.03
    data = build(write(tmp_path, table))
    assert data.spec.devices == ("arm", "leg")
    both = data.present.all(1)
    np.testing.assert_allclose(data.values[both, 0, 0], data.values[both, 1, 0], atol=1e-4)
    assert data.present[:, 0].sum() > both.sum() > 0
    assert sorted(data.tasks) == ["activity-arm", "activity-leg"]
    first = data.values[~data.present[:, 1]]
    assert np.abs(first[:, 1]).max() == 0


def test_a_table_without_device_or_label(tmp_path: Path) -> None:
    table = long_table()
    del table["device"], table["label"]
    data = build(write(tmp_path, table))
    assert data.tasks == {}
    assert data.spec.devices == ("device",)
    assert len(data.batches.__self__.allowed) == 27


def test_own_names_of_columns_and_triads(tmp_path: Path) -> None:
    table = long_table()
    renamed = {"who": table["subject"], "t": table["time"], "AccX": table["x"], "AccY": table["y"], "AccZ": table["z"]}
    data = build(write(tmp_path, renamed), columns={"subject": "who", "time": "t"})
    assert data.spec.triads == ((0, 1, 2),)
    chosen = build(
        write(tmp_path, renamed),
        columns={"subject": "who", "time": "t", "channels": ["AccZ", "AccX", "AccY"]},
        triads=[["AccX", "AccY", "AccZ"]],
    )
    assert chosen.spec.triads == ((1, 2, 0),)


def test_subjects_too_short_are_left_out_and_said(tmp_path: Path) -> None:
    table = long_table()
    kept = [k for k in range(len(table["time"])) if not (table["subject"][k] == "p1" and table["time"][k] > 2)]
    data = build(write(tmp_path, {name: [column[k] for k in kept] for name, column in table.items()}))
    assert "found subject p1 with 2 s; expected a window of 4 s without a pause. The subject is left out." in notes(data)
    assert len(data.values) == 18


def test_new_data_is_cut_and_scaled_as_the_run_was(tmp_path: Path) -> None:
    component = DATA["files"]
    (tmp_path / "first").mkdir()
    run = component.build(component.options(path=write(tmp_path / "first", long_table())), DataContext(None, tmp_path, 0))
    new = long_table(subjects=1, rate=12.5)
    new["label"] = ["walk"] * len(new["time"])  # one class, one person: of no matter here
    path = write(tmp_path, new)
    data = component.build(component.options(path=path), DataContext(None, tmp_path, 0, fitted=run.fitted))
    assert data.spec.rate == run.spec.rate == 10.0
    assert data.tasks == {}
    assert data.fitted == run.fitted
    mean, std = data.spec.scale.mean[0], data.spec.scale.std[0]
    np.testing.assert_allclose(data.values[1, 0, 0] * std + mean, 2.0 + np.arange(40) / 10, atol=1e-4)
    with pytest.raises(DataError, match="only the class walk"):
        component.build(component.options(path=path), DataContext(None, tmp_path, 0))


def change(column: str, row: int, value: Any) -> Callable[[Columns], None]:
    def apply(table: Columns) -> None:
        table[column][row] = value

    return apply


def every(column: str, value: Any) -> Callable[[Columns], None]:
    def apply(table: Columns) -> None:
        table[column] = [value] * len(table["time"])

    return apply


def again(table: Columns) -> None:
    for name in table:
        table[name].append(table[name][7])
    table["x"][-1] = 99.0


def out_of_step(table: Columns) -> None:
    half = [*table["device"]]
    for row, subject in enumerate(table["subject"]):
        late = table["time"][row] >= 10
        half[row] = "leg" if late else "arm"
        table["time"][row] += 1000.0 if late else 0.0
        table["subject"][row] = subject
    table["device"] = half


BAD_TABLES: dict[str, tuple[Callable[[Columns], Any], dict[str, Any], str]] = {
    "no subject column": (
        lambda t: t.pop("subject"),
        {},
        r"column 'subject': found no such column; it has device, time.*data\.columns",
    ),
    "no time column": (lambda t: t.pop("time"), {}, "column 'time': found no such column"),
    "no such channel": (lambda t: None, {"columns": {"channels": ["w"]}}, "column 'w': found no such column"),
    "empty subject": (change("subject", 4, None), {}, "row 5, column 'subject': found an empty cell"),
    "empty time": (change("time", 4, None), {}, "row 5, column 'time': found an empty cell"),
    "time not finite": (change("time", 4, float("inf")), {}, "row 5, column 'time': found inf; expected a finite number"),
    "time of words": (
        every("time", "noon"),
        {},
        r"row 1, column 'time': found 'noon'; expected seconds as a number, or a time.*603 such rows",
    ),
    "infinite value": (change("x", 12, float("inf")), {}, r"row 13, column 'x': found inf; expected a finite number"),
    "channel of words": (every("x", "fast"), {}, "column 'x': found a column of words"),
    "two samples at one time": (again, {}, r"two different samples of subject p0, device 'arm' at time 0\.7 s"),
    "one class": (every("label", "walk"), {}, "column 'label': found only the class walk"),
    "channel empty throughout": (
        every("z", float("nan")),
        {},
        "no complete sample of subject p0, device 'arm'; channel z is empty throughout",
    ),
    "devices out of step": (out_of_step, {}, "never record at the same time.*clocks are out of step"),
    "unknown factor": (lambda t: None, {"factors": {"w": 2.0}}, r"data\.factors names w; expected the channels x, y, z"),
    "unknown triad": (lambda t: None, {"triads": [["x", "y", "w"]]}, r"data\.triads: w unknown"),
    "window too long": (lambda t: None, {"window": 60.0}, r"no recording is long enough for a window of 60 s.*data\.window"),
    "window too short": (lambda t: None, {"window": 0.1}, r"data\.window of 0\.1 s has 1 samples.*time_unit"),
    "wrong unit of time": (
        lambda t: None,
        {"time_unit": "ms"},
        r"no recording is long enough.* at 10000 Hz.*data\.time_unit",
    ),
    "no channel": (lambda t: [t.pop(c) for c in "xyz"], {}, "no channel beside device, label, subject, time"),
    "no rows": (lambda t: [t.update({c: t[c][:0]}) for c in list(t)], {}, "found no rows; expected one a sample"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_refused_in_words(tmp_path: Path, case: str) -> None:
    spoil, options, words = BAD_TABLES[case]
    table = long_table()
    spoil(table)
    path = write(tmp_path, table)
    with pytest.raises(SslplugError, match=words):
        build(path, **options)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    for name, content, words in (
        ("own.parquet", b"nonsense", "found no readable Parquet file"),
        ("own.csv", b"a,b\n1\n", r"row 1: found 1 of 2 cells"),
        ("own.csv", b"time,time\n1,2\n", "found two columns named 'time'"),
        ("own.npz", b"nonsense", "no .npz archive"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=words):
            build(tmp_path / name)
    with pytest.raises(DataError, match="are no files"):
        build(tmp_path / "missing.csv")
    (tmp_path / "own.txt").write_text("x")
    with pytest.raises(DataError, match=r"found a \.txt file; expected"):
        build(tmp_path / "own.txt")


def arrays(**parts: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    made: dict[str, Any] = {
        "values": draw.normal(size=(12, 3, 30)),
        "subjects": np.array(["a", "b", "c"] * 4),
        "labels": np.arange(12) % 2,
    }
    return {**made, **parts}


def saved(tmp: Path, **parts: Any) -> Path:
    path = tmp / "own.npz"
    np.savez(path, **arrays(**parts))
    return path


def test_arrays_with_subjects(tmp_path: Path) -> None:
    data = build(saved(tmp_path), rate=20.0, columns={"channels": ["ax", "ay", "az"]})
    np.testing.assert_allclose(data.values[:, 0], arrays()["values"], rtol=1e-6)
    assert data.spec.triads == ((0, 1, 2),)
    assert data.spec.rate == 20.0
    assert len(data.tasks["activity"].splits) == 3
    several = build(saved(tmp_path, values=np.zeros((12, 2, 3, 30)) + np.arange(30)))
    assert several.spec.devices == ("device 0", "device 1")


def test_turned_axes_are_mended_where_names_tell_and_refused_where_not(tmp_path: Path) -> None:
    plain = arrays()["values"]
    path = saved(tmp_path, values=plain.swapaxes(1, 2))
    named = build(path, columns={"channels": ["ax", "ay", "az"]})
    np.testing.assert_allclose(named.values[:, 0], plain, rtol=1e-6)
    assert "The axes are turned" in notes(named)
    said = build(path, axes="time-channel")
    np.testing.assert_allclose(said.values[:, 0], plain, rtol=1e-6)
    with pytest.raises(
        DataError, match=r"30 channels of 3 samples; the axes look turned. expected channels before time. Set data\.axes"
    ):
        build(path)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"values": np.array([["a"]])}, "values are .*expected numbers"),
        ({"values": np.zeros((2, 2, 2, 2, 2))}, "values are"),
        (
            {"values": np.full((12, 3, 30), np.nan)},
            r"row 1, column 'channel 0': found NaN or infinite samples in window 0 \(subject a\).*12 such rows",
        ),
        ({"subjects": np.array(["a"])}, r"subjects are \(1,\); expected \(12,\)"),
        ({"labels": np.zeros(3, int)}, r"labels are \(3,\)"),
        ({"labels": np.zeros(12, int)}, "only the class 0"),
        ({"labels": np.linspace(0, 1, 12)}, "row 2, column 'labels': found a number with fractions"),
        ({"lengths": np.full(12, 31)}, r"expected 1\.\.30"),
        ({"speed": np.zeros(12)}, "found the arrays values, subjects, labels, speed"),
        ({"subjects": np.array(["a"] * 12)}, "All windows are of subject a"),
    ],
)
def test_bad_arrays_are_refused(tmp_path: Path, parts: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        build(saved(tmp_path, **parts))


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, values=np.array([{"x": 1}], dtype=object))
    with pytest.raises(DataError, match="found values cannot be read"):
        build(path)


def test_memory_takes_an_array_or_a_mapping(tmp_path: Path) -> None:
    component = DATA["memory"]

    def memory(content: Any, **options: Any) -> SignalData:
        made: SignalData = component.build(component.options(**options), DataContext(None, tmp_path, 0, memory=content))
        return made

    assert memory(np.zeros((4, 50)) + np.arange(50)).values.shape == (4, 1, 1, 50)
    data = memory(np.random.default_rng(0).normal(size=(5, 2, 30)))
    assert data.tasks == {}
    assert len(data.allowed) == 5
    assert len(memory(arrays()).tasks) == 1
    with pytest.raises(UsageError, match="nothing in memory"):
        memory(None)
    with pytest.raises(DataError, match="speed; expected values and maybe"):
        memory({"speed": np.zeros(3)})


TS = """#made by hand
@problemName Own
@timeStamps false
@univariate false
@classLabel true up down
@data
1,2,3,4:0,0,0,1:up
4,3,2,1:1,0,0,0:down
1,2,3:0,0,1:up
3,2,1,0,-1:1,1,0,0,0:down
"""


@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_ts_files_with_their_split(tmp_path: Path, suffix: str) -> None:
    for part in ("TRAIN", "TEST"):
        content = TS.encode()
        (tmp_path / f"Own_{part}.ts{suffix}").write_bytes(lzma.compress(content) if suffix else content)
    data = build(tmp_path / f"Own_TRAIN.ts{suffix}", val_share=0)
    assert data.spec.ragged
    assert data.values.shape == (8, 1, 2, 5)
    assert data.values[2, 0].tolist() == [[1, 2, 3, 0, 0], [0, 0, 1, 0, 0]]
    task = data.tasks["activity"]
    assert task.classes == ("down", "up")
    assert task.labels.tolist() == [1, 0, 1, 0] * 2
    assert task.splits[0].train.tolist() == [0, 1, 2, 3]
    assert task.splits[0].test.tolist() == [4, 5, 6, 7]
    assert data.allowed.tolist() == [0, 1, 2, 3]
    assert "series of 3 to 5 samples" in notes(data)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("@data", "data", "no line '@data'"),
        ("@timeStamps false", "@timeStamps true", "has time stamps"),
        ("4,3,2,1:", "4,?,2,1:", r"row 2, column 'dimension 0': found a missing value \('\?'\)"),
        ("4,3,2,1:", "4,x,2,1:", "row 2, column 'dimension 0': found could not convert"),
        ("4,3,2,1:", "4,nan,2,1:", "row 2, column 'dimension 0': found NaN"),
        ("4,3,2,1:", "4,3,2:", "row 2: found dimensions of 3, 4 samples"),
        ("1,2,3:0,0,1:up", "1,2,3:up", "row 3: found 1 dimensions; the first series has 2"),
        ("1,2,3:0,0,1:up", "1,2,3:0,0,1:left", "row 3: found class 'left'; expected one that the header names: down, up"),
        (TS[TS.index("1,2,3,4") :], "", "no series after '@data'"),
    ],
)
def test_bad_ts_files_are_refused_with_their_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "own.ts"
    path.write_text(TS.replace(old, new))
    with pytest.raises(DataError, match=words):
        build(path)


def test_damaged_xz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.ts.xz").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged or cut off"):
        build(tmp_path / "own.ts.xz")


def test_train_and_test_files_must_agree(tmp_path: Path) -> None:
    (tmp_path / "Own_TRAIN.ts").write_text(TS)
    (tmp_path / "Own_TEST.ts").write_text("@classLabel true up down\n@data\n1,2:up\n")
    with pytest.raises(DataError, match=r"found 1 dimensions; Own_TRAIN\.ts has 2"):
        build(tmp_path / "Own_TRAIN.ts")
    (tmp_path / "Own_TEST.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    with pytest.raises(DataError, match="expected both or neither"):
        build(tmp_path / "Own_TRAIN.ts")
