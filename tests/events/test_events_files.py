"""A user's own tables: any order, dates, empty entities, columns on disk; what cannot be used is refused with its place."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sslplug.contracts import DataContext, finished
from sslplug.errors import DataError, UsageError
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.data.files import Columns, read_events

COLUMNS = Columns("entity", "time", (), ())


def write(folder: Path, name: str, **columns: object) -> Path:
    file = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table(columns), file, row_group_size=7)
    else:
        rows = zip(*columns.values(), strict=True)  # type: ignore[call-overload]
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
        file.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return file


def many(count: int = 500) -> dict[str, object]:
    draw = np.random.default_rng(0)
    return {
        "entity": [f"u{n}" for n in draw.integers(0, 20, count)],
        "time": draw.integers(0, 50, count),
        "kind": [None if n == 3 else "abc"[n] for n in draw.integers(0, 4, count)],
        "value": [None if n > 1.5 else float(n) for n in draw.normal(size=count)],
    }


@pytest.mark.parametrize("name", ["events.parquet", "events.csv"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_events_are_read_in_pieces_sorted_and_kept_apart(
    name: str, on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sslplug_sequence.events.data.files.PIECE", 64)
    monkeypatch.setattr("sslplug_sequence.events.data.files.BLOCK", 500)
    monkeypatch.setattr("sslplug_sequence.events.data.files.CHUNK", 100)
    columns = many()
    notes: list[str] = []
    made = finished(read_events(write(tmp_path, name, **columns), COLUMNS, tmp_path / "kept" if on_disk else None), notes)
    assert isinstance(made.time, np.memmap) == on_disk
    assert list(made.values) == ["kind"]
    assert made.numeric == ("value",)
    seen = list(dict.fromkeys(columns["entity"]))  # type: ignore[call-overload]
    assert made.entities.tolist() == seen
    for number, who in enumerate(seen):
        rows = [i for i, entity in enumerate(columns["entity"]) if entity == who]  # type: ignore[arg-type]
        rows.sort(key=lambda i: columns["time"][i])  # type: ignore[index]  # Python's sort is stable
        part = slice(made.offsets[number], made.offsets[number + 1])
        assert made.time[part].tolist() == [columns["time"][i] for i in rows]  # type: ignore[index]
        words = [None if c < 0 else made.values["kind"][c] for c in made.codes[part, 0]]
        assert words == [columns["kind"][i] for i in rows]  # type: ignore[index]
        values = [columns["value"][i] for i in rows]  # type: ignore[index]
        np.testing.assert_allclose(made.numbers[part, 0], np.array(values, float), rtol=1e-6)
    assert any("sorted by time" in note for note in notes)
    assert any("at the time of the event before" in note for note in notes)


def test_the_content_hash_does_not_depend_on_where_columns_are_kept(tmp_path: Path) -> None:
    file = write(tmp_path, "events.parquet", **many())
    memory, disk = (finished(read_events(file, COLUMNS, folder)) for folder in (None, tmp_path / "kept"))
    assert memory.sha256 == disk.sha256
    assert (
        finished(read_events(file, COLUMNS, tmp_path / "kept")).sha256 == disk.sha256
    )  # columns of an earlier run are replaced


def test_dates_become_days(tmp_path: Path) -> None:
    stamps = [datetime(1970, 1, 3, 12), datetime(1970, 1, 2)]
    for name in ("events.parquet", "events.csv"):
        file = write(tmp_path, name, entity=["a", "a"], time=stamps, kind=["x", "y"])
        made = finished(read_events(file, COLUMNS, None))
        assert made.time.tolist() == [1.0, 2.5]
        assert made.unit == "days"


def build(folder: Path, **options: object) -> EventData:
    component = DATA["files"]
    return component.build(component.options(**options), DataContext(folder, folder / "cache", 0))


def test_labels_splits_and_entities_without_events(tmp_path: Path) -> None:
    write(tmp_path, "events.parquet", **many())
    names = [f"u{n}" for n in range(20)] + ["nobody", "unknown"]
    write(tmp_path, "labels.csv", entity=names, label=["yes", "no"] * 10 + ["yes", None])
    data = build(tmp_path, path="events.parquet", labels="labels.csv", folds=2, test_share=0.2, on_disk=True)
    task = data.tasks["label"]
    assert task.classes == ("no", "yes")
    assert len(task.labels) == 22
    assert (task.labels == -1).sum() == 1
    assert any("'nobody'; expected an entity of the event table" in note for note in data.description["notes"])
    assert sum(len(view.data.entity) for view in data.rows()) == 22
    assert not np.isin(task.splits[0].test, data._training).any()
    assert np.isnan(data.raw_features(task).values[-1]).any()
    number = build(tmp_path, path="events.parquet", labels="labels.csv", kind="anomaly", folds=2, next_event="kind")
    assert set(number.tasks) == {"label", "next-kind", "next-gap"}
    assert next(view.data.levels for view in number.rows()) == ("entity", "event")
    with pytest.raises(UsageError, match="'colour' is no category; there are kind"):
        build(tmp_path, path="events.parquet", next_event="colour")


BAD = {
    "no-entity": (
        {"entity": ["a", None], "time": [1.0, 2.0], "x": [1.0, 2.0]},
        r"row 2, column 'entity': found an empty cell; expected an id",
    ),
    "no-time": (
        {"entity": ["a", "b"], "time": [1.0, None], "x": [1.0, 2.0]},
        r"row 2, column 'time': found an empty cell; expected a time",
    ),
    "words": (
        {"entity": ["a"], "time": ["noon"], "x": [1.0]},
        r"row 1, column 'time': found 'noon'; expected seconds as a number, or a time",
    ),
    "endless": (
        {"entity": ["a", "b"], "time": [1.0, 2.0], "x": [1.0, float("inf")]},
        r"row 2, column 'x': found inf; expected a finite number",
    ),
    "other": ({"who": ["a"], "time": [1.0]}, "column 'entity': found no such column; it has who, time"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_refused(case: str, tmp_path: Path) -> None:
    columns, sentence = BAD[case]
    with pytest.raises(DataError, match=sentence):
        finished(read_events(write(tmp_path, "events.parquet", **columns), COLUMNS, None))


def test_refusals_of_files_and_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such file"):
        build(tmp_path, path="nothing.csv")
    (tmp_path / "events.txt").write_text("")
    with pytest.raises(DataError, match=r"expected an event table in \.parquet or \.csv"):
        build(tmp_path, path="events.txt")
    file = write(tmp_path, "events.csv", entity=["a", "b"], time=[1, 2], x=["1", "one"])
    with pytest.raises(DataError, match=r"events\.csv, row 2, column 'x': found 'one'"):
        finished(read_events(file, Columns("entity", "time", (), ("x",)), None))
    write(tmp_path, "empty.parquet", entity=pa.array([], pa.string()), time=pa.array([], pa.float64()))
    with pytest.raises(DataError, match="found no event"):
        finished(read_events(tmp_path / "empty.parquet", COLUMNS, None))
    write(tmp_path, "events.csv", entity=["a", "b"], time=[1, 2], x=["1", "2"])
    write(tmp_path, "labels.csv", entity=["a", "a", "b"], label=[1, 2, 2])
    with pytest.raises(DataError, match=r"labels\.csv, row 2, column 'label': found entity 'a' again with the label '2'"):
        build(tmp_path, path="events.csv", labels="labels.csv")
