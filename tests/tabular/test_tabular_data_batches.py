"""Batches are pure functions of (order, step) and are shared by ranks; a streamed file is the same data as one in memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from torch.utils.data import DataLoader

from sslplug.contracts import DataContext, LabelledRows, Order
from sslplug.errors import DataError, UsageError
from sslplug_tabular.batch import Rows
from sslplug_tabular.data import DATA, own, prepare, streaming

N = 1_000
FIELDS = ("numeric", "missing", "codes", "index")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    g = np.random.default_rng(0)
    made = pa.table(
        {
            "a": g.normal(size=N),
            "b": pa.array(np.where(g.random(N) < 0.2, np.nan, g.lognormal(size=N)), from_pandas=True),
            "c": pa.array(np.array(["u", "v", "w"])[g.integers(3, size=N)], mask=g.random(N) < 0.1).dictionary_encode(),
            "d": g.integers(0, 1500, size=N).astype("datetime64[D]"),
            "y": g.integers(3, size=N),
        }
    )
    file = tmp_path_factory.mktemp("streamed") / "t.parquet"
    parquet.write_table(made, file, row_group_size=130)
    return file


@pytest.fixture(params=["memory", "stream"])
def data(request: pytest.FixtureRequest, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(streaming, "WINDOW", 300)
    yield build(path, request.param == "stream")


def build(path: Path, stream: bool, seed: int = 0, **options: Any) -> Any:
    options = {"path": path, "target": "y", "stream": stream} | options
    return DATA["files"].build(DATA["files"].options(**options), DataContext(None, path.parent, seed))


def same(one: Rows, other: Rows) -> bool:
    return all(torch.equal(getattr(one, field), getattr(other, field)) for field in FIELDS)


def joined(parts: list[Rows], field: str) -> torch.Tensor:
    return torch.cat([getattr(part, field) for part in parts])


def test_an_epoch_holds_every_allowed_row_once(data: Any) -> None:
    train = data.tasks["target"].splits[0].train
    for size in (64, 97, 0, 10_000):
        index = joined(list(data.batches(Order(3, 1, batch_size=size))), "index").tolist()
        assert sorted(index) == train.tolist()
        assert index != train.tolist()


def test_batches_are_functions_of_order_and_step(data: Any, path: Path) -> None:
    order = Order(3, 1, batch_size=64)
    forward = list(data.batches(order))
    again = build(path, isinstance(data, streaming.StreamedTable)).batches(order)
    assert len(forward) == len(again) == 10
    for step in (9, 0, 4, 5, 3, 9):
        assert same(forward[step], again[step])
    orders = (Order(4, 1, batch_size=64), Order(3, 2, batch_size=64))
    assert not any(torch.equal(forward[0].index, data.batches(other)[0].index) for other in orders)
    with pytest.raises(IndexError):
        again[10]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_each_batch(data: Any, world: int) -> None:
    whole = list(data.batches(Order(3, 1, batch_size=66)))
    parts = [list(data.batches(Order(3, 1, rank, world, 66))) for rank in range(world)]
    assert {len(part) for part in parts} == {len(whole)}
    for step, batch in enumerate(whole[:-1]):
        assert torch.equal(joined([part[step] for part in parts], "index"), batch.index)
        assert torch.equal(joined([part[step] for part in parts], "numeric"), batch.numeric)


def test_more_ranks_than_rows_are_refused(data: Any) -> None:
    with pytest.raises(UsageError, match="cannot be shared by 5000 ranks"):
        data.batches(Order(0, 0, world=5000))


def test_loader_processes_change_nothing(data: Any) -> None:
    batches = data.batches(Order(3, 1, batch_size=200))
    loader = DataLoader(batches, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for one, other in zip(batches, loader, strict=True):
        assert same(one, other)


def test_editing_a_batch_changes_no_other(data: Any) -> None:
    order = Order(3, 1, batch_size=64)
    for make in (lambda: data.batches(order)[0], lambda: next(iter(data.rows())).data):
        before = make()
        kept = {field: getattr(before, field).clone() for field in FIELDS}
        for field in FIELDS:
            getattr(before, field).zero_()
        assert all(torch.equal(getattr(make(), field), kept[field]) for field in FIELDS)


def test_rows_are_all_rows_in_order(data: Any) -> None:
    views = list(data.rows())
    assert torch.cat([view.ids["row"] for view in views]).tolist() == list(range(N))
    assert joined([view.data for view in views], "index").tolist() == list(range(N))
    assert {view.role for view in views} == {""}


def test_a_streamed_file_is_the_same_data(path: Path) -> None:
    memory, stream = build(path, False), build(path, True)
    assert isinstance(stream, streaming.StreamedTable)
    assert json.dumps(memory.fitted) == json.dumps(stream.fitted)
    assert same(memory.spec.reference, stream.spec.reference)
    for field in FIELDS:
        assert torch.equal(
            joined([view.data for view in memory.rows()], field), joined([view.data for view in stream.rows()], field)
        )
    task, other = memory.tasks["target"], stream.tasks["target"]
    np.testing.assert_array_equal(task.splits[0].test, other.splits[0].test)
    np.testing.assert_array_equal(memory.raw_features(task).values, stream.raw_features(other).values)
    assert any(note.startswith("streamed: 8 row groups of at most 130 rows") for note in stream.description["notes"])
    labels = [LabelledRows(t, t.splits[0].train[::2]) for t in (task, other)]
    for made, labelled in ((memory, labels[0]), (stream, labels[1])):
        for batch in made.batches(Order(0, 0, batch_size=64, labels=labelled)):
            assert torch.equal(batch.labels, torch.from_numpy(task.labels)[batch.index[batch.labelled]])


def test_a_large_file_streams_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = DATA["files"].options(path=path, target="y")
    context = DataContext(None, path.parent, 0)
    assert not isinstance(own.build_files(options, context), streaming.StreamedTable)
    monkeypatch.setattr(own, "STREAM_BYTES", 1000)
    assert isinstance(own.build_files(options, context), streaming.StreamedTable)


def test_rows_are_shuffled_beyond_their_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "WINDOW", 300)
    data = build(path, True)
    firsts = {int(data.batches(Order(0, epoch, batch_size=16))[0].index[0]) // 130 for epoch in range(20)}
    assert len(firsts) >= 5
    groups = {int(i) // 130 for i in data.batches(Order(0, 0, batch_size=64))[0].index}
    assert len(groups) >= 2


def test_statistics_of_many_rows_come_from_some_and_say_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "STATISTICS_ROWS", 200)
    memory, stream = build(path, False), build(path, True)
    assert json.dumps(memory.fitted) == json.dumps(stream.fitted)
    assert memory.description["statistics_rows"] == 200
    assert "statistics and kinds of columns come from 200 of the 640 rows" in " ".join(stream.description["notes"])
    train = set(memory.tasks["target"].splits[0].train.tolist())
    assert set(memory.spec.reference.index.tolist()) <= train
    assert len(memory.spec.reference.index) == 200


def test_raw_features_that_do_not_fit_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_RAW_BYTES", 1000)
    data = build(path, True)
    with pytest.raises(DataError, match=r"raw features of 1000 rows x 8 columns need .* GiB"):
        data.raw_features(data.tasks["target"])


def test_streamed_data_can_be_sent_to_another_process(path: Path) -> None:
    data = build(path, True)
    order = Order(3, 1, batch_size=64)
    again = pickle.loads(pickle.dumps(data))
    assert same(data.batches(order)[2], again.batches(order)[2])


def test_rows_take_keeps_labels_at_their_rows() -> None:
    rows = Rows(
        torch.arange(10.0).view(5, 2), torch.zeros(5, 2, dtype=torch.bool), torch.zeros(5, 0, dtype=torch.int64),
        torch.arange(100, 105), torch.tensor([7, 8, 9]), torch.tensor([4, 0, 2]),
    )  # fmt: skip
    part = rows.take(torch.tensor([2, 3, 4, 2]))
    assert part.index.tolist() == [102, 103, 104, 102]
    assert part.labels is not None
    assert part.labelled is not None
    assert dict(zip(part.labelled.tolist(), part.labels.tolist())) == {0: 9, 2: 7, 3: 9}
    with pytest.raises(DataError, match=r"Rows\.codes is \(5, 0\) torch\.float32; expected"):
        Rows(rows.numeric, rows.missing, torch.zeros(5, 0), rows.index)
    with pytest.raises(DataError, match="come together"):
        Rows(rows.numeric, rows.missing, rows.codes, rows.index, labels=rows.labels)
