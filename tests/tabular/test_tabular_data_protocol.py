"""What held-out rows may not do: move a statistic, a kind, a vocabulary; lend a label; and what new data is encoded by."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from sslplug.contracts import DataContext, LabelledRows, Order
from sslplug.errors import DataError
from sslplug_tabular.data import DATA
from sslplug_tabular.data.leaks import leaking
from sslplug_tabular.data.table_data import TableData

N = 300


def columns(seed: int = 0) -> dict[str, list[Any]]:
    """Every kind of column, with missing cells and rare words, and a target that the number tells roughly."""
    g = np.random.default_rng(seed)
    number = g.normal(size=N)
    return {
        "number": [None if g.random() < 0.1 else float(v) for v in number],
        "word": [None if g.random() < 0.05 else f"w{min(int(g.exponential(3)), 12)}" for _ in range(N)],
        "flag": [bool(v) for v in g.integers(2, size=N)],
        "size": [("small", "middle", "large")[v] for v in g.integers(3, size=N)],
        "day": [datetime.date(2020, 1, 1) + datetime.timedelta(int(v)) for v in g.integers(900, size=N)],
        "count": [int(v) for v in g.poisson(4, size=N)],
        "y": [("no", "yes")[int(v + 0.5 * e > 0)] for v, e in zip(number, g.normal(size=N))],
    }


def build(table: Any, *, fitted: Any = None, seed: int = 0, **options: Any) -> TableData:
    options = {"target": "y", "orders": {"size": ["small", "middle", "large"]}} | options
    context = DataContext(None, Path(), seed, memory=table, fitted=fitted)
    return DATA["memory"].build(DATA["memory"].options(**options), context)


def wild(made: dict[str, list[Any]], rows: np.ndarray) -> dict[str, list[Any]]:
    """The table with these rows' features changed beyond recognition."""
    found = {name: list(values) for name, values in made.items()}
    for row in rows:
        found["number"][row] = 1e9 * (row + 1)
        found["word"][row] = f"never seen {row}"
        found["flag"][row] = True
        found["size"][row] = "large"
        found["day"][row] = datetime.date(1900, 1, 1)
        found["count"][row] = 10**6 + row
    return found


@pytest.mark.parametrize("scaler", ["quantile-normal", "standard", "min-max"])
def test_held_out_rows_move_nothing(scaler: str) -> None:
    made = columns()
    before = build(pa.table(made), scaler=scaler)
    split = before.tasks["target"].splits[0]
    held = np.concatenate([split.val, split.test])
    after = build(pa.table(wild(made, held)), scaler=scaler)
    assert json.dumps(before.fitted) == json.dumps(after.fitted)
    for name in ("numeric", "missing", "codes", "index"):
        assert torch.equal(getattr(before.spec.reference, name), getattr(after.spec.reference, name))
    order = Order(1, 0, batch_size=32)
    for one, other in zip(before.batches(order), after.batches(order), strict=True):
        assert torch.equal(one.numeric, other.numeric)
        assert torch.equal(one.codes, other.codes)
        assert not set(one.index.tolist()) & set(held.tolist())
    moved = build(pa.table(wild(made, split.train[:9])), scaler=scaler)
    assert json.dumps(before.fitted) != json.dumps(moved.fitted), "the test could not fail"


def test_transductive_statistics_see_all_rows_and_say_so() -> None:
    made = columns()
    inductive, transductive = build(pa.table(made)), build(pa.table(made), protocol="transductive")
    split = inductive.tasks["target"].splits[0]
    assert len(transductive.spec.reference.index) == N
    assert sum(b.n for b in transductive.batches(Order(0, 0, batch_size=64))) == N
    assert inductive.tasks["target"].protocol == "random 64/16/20, stratified; inductive"
    assert transductive.tasks["target"].protocol.endswith("; transductive")
    assert any("transductive: pretraining and all statistics see all 300" in n for n in transductive.description["notes"])
    assert any("see 192 of 300 rows, none of validation or test" in n for n in inductive.description["notes"])
    changed = build(pa.table(wild(made, split.test)), protocol="transductive")
    assert json.dumps(changed.fitted) != json.dumps(transductive.fitted)


def test_a_scaler_that_saw_test_rows_would_be_noticed() -> None:
    """The planted leak: the mean over all rows differs from what the data kept, the mean over training rows does not."""
    made = columns()
    numbers = np.sqrt(np.arange(N))
    made["number"] = numbers.tolist()
    made["s"] = ["train"] * 200 + ["test"] * 100
    data = build(pa.table(made), scaler="standard", split={"column": "s"})
    kept = next(c for c in data.fitted["encoding"]["numbers"] if c["name"] == "number")["scalers"][0]["centre"]
    assert kept == numbers[:200].mean()
    assert kept != numbers.mean()


def test_labels_come_with_allowed_rows_alone() -> None:
    data = build(pa.table(columns()))
    task = data.tasks["target"]
    rows = task.splits[0].train[::3]
    seen = []
    for batch in data.batches(Order(0, 0, batch_size=32, labels=LabelledRows(task, rows))):
        assert batch.labels is not None
        assert batch.labelled is not None
        numbers = batch.index[batch.labelled]
        assert torch.equal(batch.labels, torch.from_numpy(task.labels)[numbers])
        seen += numbers.tolist()
    assert sorted(seen) == rows.tolist()
    assert all(batch.labels is None for batch in data.batches(Order(0, 0, batch_size=32)))


def test_regression_labels_are_standardised_on_training_rows() -> None:
    made = columns()
    target = 1e3 + 50 * np.random.default_rng(1).normal(size=N)
    made["y"] = target.tolist()
    data = build(pa.table(made))
    task, facts = data.tasks["target"], data.description["targets"]["target"]
    train = target[task.splits[0].train]
    assert facts["mean"] == train.mean()
    assert facts["deviation"] == train.std()
    np.testing.assert_allclose(task.labels * facts["deviation"] + facts["mean"], target)
    batch = data.batches(Order(0, 0, batch_size=64, labels=LabelledRows(task, task.splits[0].train)))[0]
    assert batch.labels is not None
    assert batch.labels.dtype == torch.float32


def test_unlabelled_rows_train_but_are_in_no_split() -> None:
    made = columns()
    made["y"] = [None if i % 2 else v for i, v in enumerate(made["y"])]
    data = build(pa.table(made))
    split = data.tasks["target"].splits[0]
    assert len(split.train) + len(split.val) + len(split.test) == 150
    assert sum(b.n for b in data.batches(Order(0, 0))) == 150 + len(split.train)


def test_without_a_target_there_is_no_task_and_all_rows_train() -> None:
    made = columns()
    del made["y"]
    data = build(pa.table(made), target=None)
    assert data.tasks == {}
    assert data.batches(Order(0, 0))[0].n == N


@pytest.mark.parametrize("protocol", ["inductive", "transductive"])
def test_new_data_is_encoded_by_what_was_fitted(protocol: str) -> None:
    """Through JSON and back, bit for bit; unseen words, missing targets and extra columns are no trouble."""
    made = columns()
    data = build(pa.table(made), protocol=protocol)
    fitted = json.loads(json.dumps(dict(data.fitted)))
    whole = torch.cat([view.data.numeric for view in data.rows()]), torch.cat([view.data.codes for view in data.rows()])
    part = {name: values[40:45] for name, values in made.items() if name != "y"} | {"extra": [1, 2, 3, 4, 5]}
    part["word"][0] = "never seen"
    new = build(pa.table(part), fitted=fitted, seed=9)
    rows = next(iter(new.rows())).data
    assert rows.numeric.numpy().tobytes() == whole[0][40:45].numpy().tobytes()
    assert torch.equal(rows.codes[1:], whole[1][41:45])
    assert rows.codes[0, 0] == 1
    assert new.tasks == {}
    assert not any("statistics see" in note for note in new.description["notes"])
    assert new.spec.cardinalities == data.spec.cardinalities
    assert dict(new.fitted)["encoding"] == fitted["encoding"]
    one = build(pa.table({name: values[:1] for name, values in part.items()}), fitted=fitted)
    assert next(iter(one.rows())).data.n == 1


def test_the_same_data_encoded_again_has_the_same_tasks() -> None:
    made = columns()
    data = build(pa.table(made))
    again = build(pa.table(made), fitted=json.loads(json.dumps(dict(data.fitted))))
    task, other = data.tasks["target"], again.tasks["target"]
    np.testing.assert_array_equal(task.labels, other.labels)
    np.testing.assert_array_equal(task.splits[0].test, other.splits[0].test)
    made["y"] = ["maybe" if i < 10 else v for i, v in enumerate(made["y"])]
    unknown = build(pa.table(made), fitted=dict(data.fitted))
    assert unknown.tasks["target"].labels[:10].tolist() == [-1] * 10


def test_new_data_without_a_needed_column_is_refused() -> None:
    made = columns()
    data = build(pa.table(made))
    del made["count"]
    with pytest.raises(DataError, match="no column 'count', which the encoder was trained on"):
        build(pa.table(made), fitted=dict(data.fitted))


LEAKS = {
    "a copy of the classes": lambda y: [f"is {v}" for v in y],
    "classes as numbers": lambda y: [3.5 if v == "yes" else -1.0 for v in y],
    "classes as truth values": lambda y: [v == "yes" for v in y],
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_copied_target_is_refused_or_noted(leak: str) -> None:
    made = columns()
    made["copy"] = LEAKS[leak](made["y"])
    with pytest.raises(DataError, match=r"column 'copy'.* tells the target 'y' exactly in all 192 labelled training rows"):
        build(pa.table(made))
    noted = build(pa.table(made), leaks="note")
    assert any(n.startswith("LEAK: column 'copy'") for n in noted.description["notes"])
    left_out = build(pa.table(made), types={"copy": "ignore"})
    assert "copy" not in (*left_out.spec.numeric, *left_out.spec.categorical)


def test_a_scaled_number_target_is_refused() -> None:
    made = columns()
    target = np.random.default_rng(1).normal(size=N)
    made["y"], made["copy"] = target.tolist(), (40 - 1e3 * target).tolist()
    with pytest.raises(DataError, match="column 'copy'.* tells the target 'y'"):
        build(pa.table(made))
    made["copy"] = (target + 1e-3 * np.random.default_rng(2).normal(size=N)).tolist()
    build(pa.table(made))


def test_twenty_rows_without_exception_make_a_leak() -> None:
    values, labels = np.array([[0.0], [1.0]] * 15), np.array([0, 1] * 15)
    none = np.empty((30, 0))
    assert leaking(values, none, ["a"], labels, True) == ["a"]
    assert leaking(values[:18], none[:18], ["a"], labels[:18], True) == []
    labels[4] = 1
    assert leaking(values, none, ["a"], labels, True) == []
